"""Circuit breakers: ``machine`` is the breaker itself, ``config`` what it is told."""

from operators.breaker.config import BreakerConfig
from operators.breaker.machine import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    STATES,
    Breaker,
    Clock,
    Permission,
    State,
)

__all__ = [
    "CLOSED",
    "HALF_OPEN",
    "OPEN",
    "STATES",
    "Breaker",
    "BreakerConfig",
    "Clock",
    "Permission",
    "State",
]
