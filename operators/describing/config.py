"""Bounds of the slow lane."""

import math
from dataclasses import dataclass, field, replace

from operators.breaker import BreakerConfig


@dataclass(frozen=True, slots=True)
class DescribeConfig:
    """How often, how much may wait, how long a call may take.

    Attributes:
        every_s: a pattern is described again at most so often, in time of its stream.
        retry_s: after a call that failed, its pattern waits so long, in time of its stream.
        queue: exemplars that may wait (0.9 MB each at most); the oldest gives way to a newer.
        keep_s: audio kept of each stream to cut them from (88 kB a second); up to four times as
            much while the streams are few.
        streams: streams whose audio is kept; the one that was silent longest goes.
        patterns: patterns that are known at a time, over all streams.
        longest_s: an exemplar is cut off there, or where the model hears no more.
        pad_s: of the sound around an occurrence.
        deadline_s: longest call; beyond it the call has failed and its thread is left behind.
        keep_deadline_s: longest that judging and keeping a clip may take; usually milliseconds.
        drain_s: the end of a run waits so long for words, over all that is still to be said.
        max_abandoned: threads left behind at which the lane rests until one comes back.
        longest_text: characters of a description; the rest is cut off.
        tell_every_s: each kind of loss is reported at most so often.
        breaker: when to stop calling the model. No call that keeps its deadline is slow here.
    """

    every_s: float = 3_600.0
    retry_s: float = 300.0
    queue: int = 8
    keep_s: float = 30.0
    streams: int = 64
    patterns: int = 4_096
    longest_s: float = 10.0
    pad_s: float = 0.1
    deadline_s: float = 120.0
    keep_deadline_s: float = 30.0
    drain_s: float = 60.0
    max_abandoned: int = 2
    longest_text: int = 2_000
    tell_every_s: float = 3_600.0
    breaker: BreakerConfig = field(default_factory=BreakerConfig)

    def __post_init__(self) -> None:
        """Refuse what could not work.

        Raises:
            ValueError: names the setting, its value and the expected range.
        """
        for key in ("queue", "streams", "patterns", "max_abandoned", "longest_text"):
            if getattr(self, key) < 1:
                raise ValueError(f"describe {key} = {getattr(self, key)}: expected 1 or more")
        for key in ("every_s", "retry_s", "pad_s", "drain_s", "tell_every_s"):
            if not 0.0 <= getattr(self, key) < math.inf:
                raise ValueError(f"describe {key} = {getattr(self, key)}: expected 0 s or more")
        for key in ("keep_s", "longest_s", "deadline_s", "keep_deadline_s"):
            if not 0.0 < getattr(self, key) < math.inf:
                raise ValueError(f"describe {key} = {getattr(self, key)}: expected above 0 s")

    @property
    def patient_breaker(self) -> BreakerConfig:
        """The breaker's configuration with waits that suit calls of seconds to minutes."""
        return replace(
            self.breaker,
            slow_call_duration_s=max(self.breaker.slow_call_duration_s, self.deadline_s),
            trial_timeout_s=max(self.breaker.trial_timeout_s, 2 * self.deadline_s),
        )
