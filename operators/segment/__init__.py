"""From frames to windows for the models and regions for discovery; see ``segmenter``."""

from operators.segment.segmenter import SegmentConfig, Segmenter

__all__ = ["SegmentConfig", "Segmenter"]
