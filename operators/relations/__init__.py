"""Typed relations between the patterns of a stream: who follows, overlaps, contains or beats."""

from operators.relations.config import RelationConfig
from operators.relations.tracker import RelationTracker

__all__ = ["RelationConfig", "RelationTracker"]
