"""Hindsight: what was said is corrected from what is known later; ``consolidate`` is the idea."""

from operators.patterns.hindsight.told import Told, entry_of

__all__ = ["Told", "entry_of"]
