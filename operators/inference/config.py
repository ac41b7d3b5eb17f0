"""Bounds of one model's queue and calls."""

from dataclasses import dataclass, field

from operators.breaker import BreakerConfig


@dataclass(frozen=True, slots=True)
class InferenceConfig:
    """How much may wait, how large a call is, how long it may take.

    Attributes:
        capacity: windows of live streams that may wait (1 s of audio is 176 kB).
        max_batch: windows a call.
        deadline_s: longest call; beyond it the call has failed.
        max_abandoned: hanging calls at which no further thread is started and a restart is
            asked for.
        growth_calls: full batches after which a cap that was halved grows by one again.
        breaker: when to stop calling the model.
    """

    capacity: int = 256
    max_batch: int = 32
    deadline_s: float = 30.0
    max_abandoned: int = 3
    growth_calls: int = 16
    breaker: BreakerConfig = field(default_factory=BreakerConfig)

    def __post_init__(self) -> None:
        """Refuse what could not work.

        Raises:
            ValueError: names the setting, its value and the expected range.
        """
        for key in ("capacity", "max_batch", "max_abandoned", "growth_calls"):
            if getattr(self, key) < 1:
                raise ValueError(f"inference {key} = {getattr(self, key)}: expected 1 or more")
        if not self.deadline_s > 0.0:
            raise ValueError(f"inference deadline_s = {self.deadline_s}: expected above 0 s")
