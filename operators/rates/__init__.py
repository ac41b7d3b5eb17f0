"""How often each pattern comes: a rate that changed for good is an event."""

from operators.rates.config import RateConfig
from operators.rates.record import Direction, RateChange, Reached
from operators.rates.tracker import RateTracker

__all__ = ["Direction", "RateChange", "RateConfig", "RateTracker", "Reached"]
