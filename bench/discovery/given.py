"""What a candidate of the recurrence benchmark is given of a scene, and what it has to report.

Invariant: every candidate is given the same audio and the same regions, and reports events alone;
whether it heard the whole scene before it decided is said beside it, not here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from operators.records import Floats, Frame, Region
from operators.segment import Segmenter


@dataclass(frozen=True, slots=True)
class Given:
    """What every candidate is given of one scene.

    Attributes:
        samples: (n,) mono float32 at 44.1 kHz.
        regions: of grym's own segmenter, in order.
        segments: true (start_s, end_s) of every event: for the oracle only.
    """

    samples: Floats
    regions: tuple[Region, ...]
    segments: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One reported event: seconds from the start of the scene, and the pattern it belongs to."""

    start_s: float
    end_s: float
    label: str


Candidate: TypeAlias = Callable[[Given], list[Labelled]]


def regions_of(samples: Floats) -> tuple[Region, ...]:
    """The regions that grym's segmenter makes of (n,) samples at 44.1 kHz, in order."""
    items = Segmenter("scene").hear(Frame("scene", 0, samples, 0, last=True))
    return tuple(item for item in items if isinstance(item, Region))
