"""Discovery of recurring sounds: see ``detector`` for the idea, one part a module."""

from operators.patterns.codec import decode, encode
from operators.patterns.config import Acceptance, Bounds, DetectorConfig
from operators.patterns.detector import Detector

__all__ = ["Acceptance", "Bounds", "Detector", "DetectorConfig", "decode", "encode"]
