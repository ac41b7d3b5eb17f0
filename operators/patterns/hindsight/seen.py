"""What a look back saw: one match that was chosen.

Invariant: plain numbers, so that it can be kept and stored.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """One match that was chosen.

    Attributes:
        number: of the template.
        first: absolute frame of its row 0.
        frames: how many rows it covers.
        lead: rows before the onset.
    """

    number: int
    first: int
    frames: int
    lead: int
    score: float
    occlusion: float
    gain: float
    tempo: float
    nested: bool
    origin_ns: int
    speed: float = 1.0

    @property
    def onset(self) -> int:
        """Absolute frame at which it sets in."""
        return self.first + self.lead

    @property
    def lasting(self) -> int:
        """Frames from its onset to its end, at least one."""
        return max(1, self.frames - self.lead)
