"""A template that stands for two sounds is parted.

Two dense sounds of much the same length may found one pattern. Its occurrences fall into two
groups, then: those it fits, and those that fit poorly but would fit a shape of their own, which in
turn does not fit the others. That something covers an occurrence looks alike at first; but what
was covered, rebuilt, is the same sound.

Invariant: the sound that the template fits keeps it, and with it the id and the name; the other one
is a new pattern. It does not part three sounds at once, nor what is heard within a longer sound.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from statistics import fmean

from operators.patterns import announce
from operators.patterns.accept import acceptance
from operators.patterns.archive import Archive
from operators.patterns.canvas import View
from operators.patterns.config import DetectorConfig
from operators.patterns.hindsight.renew import best_of, exemplar
from operators.patterns.hindsight.seen import Seen
from operators.patterns.match import Fit, Placement, exact
from operators.patterns.memory import Memory, Moment
from operators.patterns.pieces import alone
from operators.patterns.refit import refit
from operators.patterns.template import PRINT_FRAMES, Template
from operators.patterns.update import adopt
from operators.records import HOP_SAMPLES, Pattern, pattern_id, to_ns

FITS = 0.85
"""An acceptance from here on is of the sound itself."""
LEAST, SHARE = 3, 0.2
"""So many have to be; and so many, and this share of all, have not to be."""
OCCLUDED = 0.25
AGREES, FITTER = 0.15, 0.12
"""By how much the poor ones agree more with a shape of their own, and are surer."""
APART = 0.16
"""By how much the others agree less with it."""
LONGER = 1.5
"""What is longer by so much has grown into what the poor ones were heard in."""
SHIFTS = (0, -1, 1, -2, 2)


@dataclass(slots=True)
class Parting:
    """One round of parting templates.

    Attributes:
        done: ids of the patterns that were parted, each with that of its other sound.
    """

    memory: Memory
    moment: Moment
    done: set[tuple[str, str]] = field(default_factory=set)

    def run(self, seen: dict[int, list[Seen]]) -> list[Pattern]:
        """Templates that stand for two sounds become two, and ``seen`` (by number) follows."""
        memory, found = self.memory, list[Pattern]()
        for template in list(memory.bank.templates):
            own = seen.get(template.number, [])
            pair = parted(template, own, memory.bank.templates, memory.archive, memory.config)
            if pair is None or not memory.bank.room_for(pair[0].frames):
                continue
            other, poor, moved = pair
            self._name(other, template, moved)
            self.done.add((template.pattern, other.pattern))
            seen[template.number] = [one for one in own if one not in poor]
            seen[other.number] = [replace(one, number=other.number) for one in moved]
            told = announce.pattern(template, self.moment, into=other.pattern)
            found.append(replace(told, status="split"))
        return found

    def _name(self, other: Template, template: Template, moved: Sequence[Seen]) -> None:
        """The other sound is a pattern of its own from now on."""
        bank = self.memory.bank
        onsets = [max(0, one.onset) * HOP_SAMPLES for one in moved]
        other.first_sample, other.last_sample = min(onsets), max(onsets)
        onset_ns = bank.name_onset(to_ns(other.origin_ns, other.first_sample))
        other.pattern = pattern_id(self.moment.stream, onset_ns)
        other.number, other.apart = bank.born, template.number
        other.status = "born"
        other.touched = max(one.onset for one in moved)
        bank.add(other, self.moment.emitted_frame)


def parted(
    template: Template,
    seen: Sequence[Seen],
    templates: Sequence[Template],
    archive: Archive,
    config: DetectorConfig,
) -> tuple[Template, list[Seen], list[Seen]] | None:
    """The other sound that a template stands for, if it stands for two.

    Args:
        template: as it is.
        seen: all its occurrences.
        templates: all; what lies in a longer sound tells nothing.
        archive: where they are remembered.
        config: bounds and weights.

    Returns:
        A template of the other sound, not yet with a number and an id of its own; what of
        ``seen`` is surely that sound; and the same by the rows of the new template.
    """
    if sum(one.score < FITS for one in seen) < LEAST:
        return None
    bare = alone(template, [one.first for one in seen], templates)
    clear = [one for one in compress(seen, bare) if one.occlusion < OCCLUDED]
    fine = best_of([one for one in clear if one.score >= FITS])
    poor = best_of([one for one in clear if one.score < FITS], retuned=True)
    if min(len(fine), len(poor)) < LEAST or len(poor) < SHARE * len(clear):
        return None
    clips = [clip for one in poor if (clip := exemplar(one, template.frames, archive)) is not None]
    made = refit(template.level, clips, template.lead, config)
    if made is None or len(made.level) > LONGER * template.frames:
        return None
    other = replace(template, exemplars=[], recent=[], count=0, score_sum=0.0, salience=0.0)
    adopt(other, made, clips[: config.bounds.exemplars])
    moved = _moved(poor, other, made.grown)
    agreed, sure = _fit(template, poor, archive, config)
    agree, surer = _fit(other, moved, archive, config)
    if agree < agreed + AGREES or surer < sure + FITTER:
        return None
    own, _ = _fit(template, fine, archive, config)
    foreign, _ = _fit(other, _moved(fine, other, made.grown), archive, config)
    return (other, poor, moved) if foreign <= own - APART else None


def _moved(ones: Sequence[Seen], other: Template, grown: int) -> list[Seen]:
    """Occurrences by the rows of another template, which has so many more before the first."""
    return [
        replace(one, first=one.first - grown, frames=other.frames, lead=other.lead, speed=1.0)
        for one in ones
    ]


def _fit(
    template: Template, ones: Sequence[Seen], archive: Archive, config: DetectorConfig
) -> tuple[float, float]:
    """Mean agreement and acceptance of a template at the places of some occurrences."""
    found = [fit for one in ones if (fit := _nearest(template, one, archive, config)) is not None]
    if not found:
        return 0.0, 0.0
    return (
        round(fmean(fit.raw for fit in found), 4),
        round(fmean(acceptance(fit, template, config.acceptance) for fit in found), 4),
    )


def _nearest(template: Template, one: Seen, archive: Archive, config: DetectorConfig) -> Fit | None:
    """The likeliest fit within a few rows of where row 0 should be; None where all is forgotten."""
    edge = max(map(abs, SHIFTS))
    first, last = one.first - edge, one.first + template.frames + edge
    canvas = archive.excerpt(first, last, one.origin_ns)
    if canvas is None:
        return None
    view, first_row = View.of(canvas, PRINT_FRAMES), PRINT_FRAMES + edge
    fits = [
        exact(view, template, Placement(0, first_row + shift, 1.0, True, 0.0, speed), config)
        for shift in SHIFTS
        for speed in template.speeds
    ]
    return max(fits, key=lambda fit: round(acceptance(fit, template, config.acceptance), 4))
