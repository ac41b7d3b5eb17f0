"""Event time of a microphone: the wall clock gives the start, the samples count on from there.

A callback comes when the machine finds time for it, so the moment of a block says when it was
captured only to within tens of milliseconds. The samples themselves are evenly spaced by the
device's clock, which is steady but not right: it drifts by tens of parts in a million. So time
is counted in samples and the count is slewed towards the wall clock as slowly as NTP slews a
clock (at most 500 ppm, D. Mills, RFC 5905, section 11.3). The median of a second decides: one
late callback, however late, moves nothing.

A clock that was set on is followed. One that was set back is not, nor is one that falls behind a
device that is too fast: live audio would have to be placed where other audio was heard, and be
left out. Then samples are counted on and their time stays ahead of the clock by what it was set
back, until the clock is set on again or a gap in the audio lets it catch up.

Invariant: time never moves against the count by more than 500 ppm, unless the clock is later by
more than ``RESYNC_NS``: then ``hear`` says where the block belongs, and counting starts there
anew. It never moves back to before the end of what was captured.
"""

from collections import deque

NS = 1_000_000_000
RESYNC_NS = 500_000_000
SLEW_PPM = 500
SETTLING_S = 10
"""Time constant with which a difference is slewed away, where the limit allows."""
RECENT = 11
"""Blocks whose median counts: about a second, and hiccups up to half of that change nothing."""
_SLACK_S = 0.1


def captured_ns(
    wall_ns: int, age_s: float, samples: int, rate_hz: int, latency_s: float = 0.0
) -> int:
    """When the first sample of a block was captured, as far as its callback can tell.

    Args:
        wall_ns: wall clock in the callback.
        age_s: how long ago PortAudio says that the first sample was captured. It is believed
            where that can be: no sample is younger than the block that holds it, nor much older
            than what the device buffers. (Measured behind PulseAudio: 8 to 780 ms, for the same
            block length and device.)
        samples: length of the block.
        rate_hz: sample rate.
        latency_s: what the device buffers, as PortAudio estimates it.
    """
    block_s = samples / rate_hz
    if not block_s <= age_s <= block_s + latency_s + _SLACK_S:  # false for NaN as well
        age_s = block_s
    return wall_ns - round(age_s * NS)


class Anchor:
    """Event time of the positions of one unbroken run of samples.

    Args:
        rate_hz: nominal sample rate.
        index: position of the first sample of a block ...
        start_ns: ... and its event time.
        behind_ns: by how much the wall clock lies behind it and is not followed.
    """

    def __init__(self, rate_hz: int, index: int, start_ns: int, behind_ns: int = 0) -> None:
        self.behind_ns = behind_ns
        self._rate_hz = rate_hz
        self._start = self._heard = index
        self._start_ns = start_ns
        self._offset_ns = 0
        self._recent: deque[int] = deque(maxlen=RECENT)

    def at(self, index: int) -> int:
        """Event time (ns) of a position."""
        return self.counted(index) + self._offset_ns

    def counted(self, index: int) -> int:
        """Event time of a position by the samples since the last placing alone."""
        return self._start_ns + (index - self._start) * NS // self._rate_hz

    def place(self, index: int, least_ns: int = 0) -> int:
        """Event time of a position, from which the samples are counted from now on.

        Args:
            index: the position.
            least_ns: it lies no earlier than this: there other audio ends.
        """
        self._start_ns = max(self.at(index), least_ns)
        self._start = self._heard = index
        self._offset_ns = 0
        self._recent.clear()
        return self._start_ns

    def hear(self, index: int, measured_ns: int) -> int | None:
        """Take note of a block, in order.

        Args:
            index: position of its first sample.
            measured_ns: when that was captured, see ``captured_ns``.

        Returns:
            None where counting still holds. More than 0: so many nanoseconds later than counted
            since the last placing this block begins, and ``at(index)`` is its new place. Less
            than 0: the clock fell behind by so much more; counting goes on (``behind_ns``).
        """
        passed = index - self._heard
        self._heard = index
        self._recent.append(measured_ns - self.counted(index))
        if len(self._recent) < RECENT:
            return None
        median_ns = sorted(self._recent)[RECENT // 2]
        error_ns = median_ns + self.behind_ns - self._offset_ns
        if abs(error_ns) > RESYNC_NS:
            self._offset_ns += error_ns
        else:
            self._offset_ns += self._slewed(error_ns, passed)
        return self._moved(index) if abs(self._offset_ns) > RESYNC_NS else None

    def _moved(self, index: int) -> int | None:
        """What a difference beyond the limit means, see ``hear``."""
        moved_ns = self._offset_ns
        if moved_ns < 0:
            self.behind_ns -= moved_ns
            self._offset_ns = 0
            return moved_ns
        caught_up_ns = min(moved_ns, self.behind_ns)
        self.behind_ns -= caught_up_ns
        self._offset_ns -= caught_up_ns
        if self._offset_ns <= RESYNC_NS:
            return None
        moved_ns = self._offset_ns
        self.place(index)
        return moved_ns

    def _slewed(self, error_ns: int, passed: int) -> int:
        most_ns = passed * (NS // 1_000_000 * SLEW_PPM) // self._rate_hz
        wanted_ns = error_ns * passed // (SETTLING_S * self._rate_hz)
        return max(-most_ns, min(most_ns, wanted_ns))
