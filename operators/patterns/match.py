"""How well does a template fit at one place? First on 160 of its loud cells, then on all.

The coarse pass tries shifts of one frame and tempi for all candidates at once, then whether what
is made of partials fits better a little higher or lower; the exact pass gives the evidence on
which a match is accepted.

Invariant: a cell counts only where the template, at the gain of this occurrence, is expected to
be heard above the background and above sounds that are already accounted for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.patterns import kernels
from operators.patterns.canvas import View
from operators.patterns.config import DetectorConfig
from operators.patterns.propose import Candidate
from operators.patterns.template import TEMPI, TEMPO_FROM_FRAMES, Shape, Template, tempo_rows
from operators.records import BANDS, Floats

FAR = 0.08
"""What fits so much worse than asked where it is expected does not fit a frame beside it."""
TEMPO_PRICE, SPEED_PRICE = 0.01, 0.03
"""By how much another tempo, or another pitch, has to fit better."""
_ALL_TEMPI, _ONE_TEMPO = np.array(TEMPI), np.array(TEMPI[:1])


@dataclass(frozen=True, slots=True)
class Placement:
    """A candidate with the shift, tempo and speed that fitted best.

    Attributes:
        tempo: how much longer it takes, at the same pitch.
        speed: how much higher it is, the time it takes apart (see ``pitch``).
    """

    index: int
    row: int
    tempo: float
    on_onset: bool
    similarity: float
    speed: float = 1.0

    @property
    def plain(self) -> bool:
        """Whether it was heard as the template has it, so that it can be learnt from."""
        return self.tempo == 1.0 == self.speed


@dataclass(frozen=True, slots=True)
class Fit:
    """The evidence of one exact comparison.

    Attributes:
        place: which template, where.
        gain: dB of the template's loudest cell here.
        raw: weighted mean agreement of the cells that count.
        cells: how many cells count.
        explained: share of the sound inside the extent that the template accounts for.
        occlusion: weight of the cells covered by something louder.
        audible: weight of the cells that count, of all the template's weight.
        tail: how much louder than usual the sound goes on after the end (0-1).
        energy: dB-cells accounted for.
        predicted: (rows, BANDS) expected level, NOTHING where the template is empty.
        claims: (rows, BANDS) cells it accounts for.
    """

    place: Placement
    gain: float
    raw: float
    cells: int
    explained: float
    occlusion: float
    audible: float
    tail: float
    energy: float
    predicted: Floats
    claims: NDArray[np.bool_]

    @property
    def rows(self) -> slice:
        """Padded rows it covers."""
        return slice(self.place.row, self.place.row + len(self.claims))


def seen_by(view: View, shape: Shape) -> NDArray[np.bool_]:
    """(rows,) of a view that say something about a template."""
    return view.so_far if shape.paused else view.seen


def coarse(
    view: View, templates: list[Template], candidates: list[Candidate], least: float
) -> list[Placement]:
    """The best shift, tempo and speed of each candidate; those below ``least`` are dropped."""
    places = []
    for candidate in candidates:
        template = templates[candidate.index]
        tempi = _ALL_TEMPI if template.frames > TEMPO_FROM_FRAMES else _ONE_TEMPO
        best, shift, number = kernels.best_place(
            *_loud_cells(view, template, 1.0),
            candidate.row,
            tempi,
            least - FAR,
            TEMPO_PRICE,
        )
        at, tempo = candidate.row + shift, float(tempi[number])
        speed = 1.0
        if best >= least - FAR:
            best, speed = _at_speed(view, template, at, tempo, best)
        if best < least:
            continue
        row = min(max(at, 1), len(view.level) - 2)
        places.append(Placement(candidate.index, row, tempo, candidate.on_onset, best, speed))
    return places


def _at_speed(
    view: View, template: Template, row: int, tempo: float, best: float
) -> tuple[float, float]:
    """The similarity and the speed that fit best where ``best`` was reached as it is."""
    speed = 1.0
    price = SPEED_PRICE if tempo == 1.0 else SPEED_PRICE + TEMPO_PRICE
    for other in template.speeds[1:]:
        score = kernels.coarse_score(*_loud_cells(view, template, other), row, tempo)
        score = float(np.rint(1e4 * (score - price)) / 1e4)
        if score > best:
            best, speed = score, other
    return best, speed


def _loud_cells(
    view: View, template: Template, speed: float
) -> tuple[
    Floats, Floats, Floats, NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp], Floats, Floats
]:
    """What a coarse comparison is made of: the view, then a template's loud cells."""
    shape = template.shape_at(speed)
    return (
        view.level,
        view.floor,
        view.known,
        seen_by(view, template.shape),
        shape.coarse_row,
        shape.coarse_band,
        shape.coarse_level,
        shape.coarse_weight,
    )


def exact(view: View, template: Template, place: Placement, config: DetectorConfig) -> Fit:
    """Compare all cells of a template at one place."""
    shape = template.shape_at(place.speed)
    source = tempo_rows(template.frames, place.tempo)
    source = source[: len(view.level) - place.row]
    predicted = np.empty((len(source), BANDS), dtype=np.float32)
    claims = np.empty((len(source), BANDS), dtype=np.bool_)
    gain, raw, cells, explained, occlusion, audible, energy = kernels.exact_cells(
        view.level,
        view.floor,
        view.noise,
        view.known,
        seen_by(view, template.shape),
        shape.level,
        shape.weight,
        source,
        place.row,
        config.audible_db,
        predicted,
        claims,
    )
    return Fit(
        place=place,
        gain=gain,
        raw=raw,
        cells=cells,
        explained=explained,
        occlusion=occlusion,
        audible=audible,
        tail=_tail(view, place.row + len(source), predicted, template.tail),
        energy=energy,
        predicted=predicted,
        claims=claims,
    )


def observed_tail(view: View, end: int, predicted: Floats) -> float:
    """Share of the cells that sound at the template's end which go on sounding after it."""
    return kernels.tail_share(view.level, view.floor, end, predicted)


def _tail(view: View, end: int, predicted: Floats, expected: float) -> float:
    return max(0.0, observed_tail(view, end, predicted) - expected - 0.2)
