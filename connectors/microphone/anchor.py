"""Event time of a microphone: the wall clock gives the start, the samples count on from there.

A callback comes when the machine finds time for it, so the moment of a block says when it was
captured only to within tens of milliseconds. The samples themselves are evenly spaced by the
device's clock, which is steady but not right: it drifts by tens of parts in a million. So time
is counted in samples and the count is slewed towards the wall clock as slowly as NTP slews a
clock (at most 500 ppm, D. Mills, RFC 5905, section 11.3). The median of a second decides: one
late callback, however late, moves nothing.

Invariant: time never moves against the count by more than 500 ppm, unless it is off by more than
``RESYNC_NS``: then ``hear`` says where the block belongs, and counting starts there anew.
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
    """

    def __init__(self, rate_hz: int, index: int, start_ns: int) -> None:
        self._rate_hz = rate_hz
        self._start = self._heard = index
        self._start_ns = start_ns
        self._offset_ns = 0
        self._recent: deque[int] = deque(maxlen=RECENT)

    def at(self, index: int) -> int:
        """Event time (ns) of a position."""
        return self._counted(index) + self._offset_ns

    def place(self, index: int) -> int:
        """Event time of a position, from which the samples are counted from now on."""
        self._start_ns = self.at(index)
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
            None where counting still holds; otherwise how many nanoseconds this block begins
            later than counted since the last placing: ``at(index)`` is its new place.
        """
        passed = index - self._heard
        self._heard = index
        self._recent.append(measured_ns - self._counted(index))
        if len(self._recent) < RECENT:
            return None
        median_ns = sorted(self._recent)[RECENT // 2]
        error_ns = median_ns - self._offset_ns
        if abs(error_ns) > RESYNC_NS:
            self._offset_ns = median_ns
        else:
            self._offset_ns += self._slewed(error_ns, passed)
        if abs(self._offset_ns) <= RESYNC_NS:
            return None
        moved_ns = self._offset_ns
        self.place(index)
        return moved_ns

    def _counted(self, index: int) -> int:
        return self._start_ns + (index - self._start) * NS // self._rate_hz

    def _slewed(self, error_ns: int, passed: int) -> int:
        most_ns = passed * (NS // 1_000_000 * SLEW_PPM) // self._rate_hz
        wanted_ns = error_ns * passed // (SETTLING_S * self._rate_hz)
        return max(-most_ns, min(most_ns, wanted_ns))
