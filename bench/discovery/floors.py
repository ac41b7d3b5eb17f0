"""What grym's discovery has to reach on the scenes that nothing was tuned on.

Invariant: judged only on held-out seeds with every preset; a figure that is not known is missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.discovery.baselines import BASELINES
from bench.discovery.figures import ALL, LIVE, Figures, online
from bench.discovery.scoring import GRYM
from operators.scene.presets import PRESETS

HELD_OUT_FROM = 100
"""Seeds below it are for development."""
LEAST_B_CUBED = 0.80
LEAST_EVENT_F1 = 0.82
LEAST_FROZEN_F1 = 0.79
LEAST_FOUND = 0.87
MOST_EXTRA = 2.5
MOST_RECOGNISED_FROM = 3.5
MOST_ONE_OFFS = 3.0
MOST_ONSET_MS = 22.0
LEAST_RELATION_PRECISION = 0.80
LEAST_RELATION_RECALL = 0.70
MOST_LIVE_MS = 15.0
MOST_HINDSIGHT_MS = 30.0
MOST_ECE = 0.10
ABOVE = {"b_cubed": "B-cubed F", "event_f1": "event F1"}
"""In which grym is above every online baseline, on every preset."""


@dataclass(frozen=True, slots=True)
class Floor:
    """A figure and its bound, over all scenes."""

    name: str
    value: float | None
    bound: float
    at_least: bool

    @property
    def held(self) -> bool:
        """Whether the figure is known and within the bound."""
        if self.value is None:
            return False
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def unjudged(seeds: Sequence[int], presets: Sequence[str], names: Sequence[str]) -> str:
    """Why floors are not judged; "" where they are."""
    if GRYM not in names:
        return "grym did not hear the scenes"
    if any(seed < HELD_OUT_FROM for seed in seeds):
        return f"seeds below {HELD_OUT_FROM} are for development"
    if set(presets) != set(PRESETS):
        return "not all presets were heard"
    return ""


def floors(
    candidates: Mapping[str, Mapping[str, Figures]],
    grym: Mapping[str, Figures],
    ece: float | None,
) -> list[Floor]:
    """Every floor with the value that was reached."""
    final, alone = candidates[GRYM][ALL], grym[ALL]
    frozen = candidates[LIVE][ALL]
    return [
        Floor("B-cubed F", final["b_cubed"], LEAST_B_CUBED, True),
        Floor("event F1", final["event_f1"], LEAST_EVENT_F1, True),
        Floor("event F1, frozen", frozen["event_f1"], LEAST_FROZEN_F1, True),
        Floor("found", final["found"], LEAST_FOUND, True),
        Floor("extra", final["extra"], MOST_EXTRA, False),
        Floor("recognised from", alone["recognised_from"], MOST_RECOGNISED_FROM, False),
        Floor("one-offs taken", final["one_offs"], MOST_ONE_OFFS, False),
        Floor("onset error ms", final["onset_ms"], MOST_ONSET_MS, False),
        Floor("relations, precision", final["relation_precision"], LEAST_RELATION_PRECISION, True),
        Floor("relations, recall", final["relation_recall"], LEAST_RELATION_RECALL, True),
        Floor("CPU live, ms a second", alone["live_ms"], MOST_LIVE_MS, False),
        Floor("CPU hindsight, ms a second", alone["hindsight_ms"], MOST_HINDSIGHT_MS, False),
        Floor("ECE", ece, MOST_ECE, False),
    ]


def not_above(candidates: Mapping[str, Mapping[str, Figures]]) -> list[str]:
    """Where grym, in the end or frozen, is not above an online baseline; one line each."""
    lines = []
    for rival in (name for name in BASELINES if name in candidates and online(name)):
        for preset in PRESETS:
            for own in (GRYM, LIVE):
                for figure, title in ABOVE.items():
                    ours = candidates[own][preset][figure] or 0.0
                    theirs = candidates[rival][preset][figure] or 0.0
                    if ours <= theirs:
                        lines.append(f"{preset}, {title}: {own} {ours:.3f}, {rival} {theirs:.3f}")
    return lines
