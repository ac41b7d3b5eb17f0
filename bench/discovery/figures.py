"""From the outcomes of scenes to the figures of the benchmark: means by preset and over all.

Invariant: pure; what is not known of any scene is None, so that the last line is JSON.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from bench.discovery.baselines import BASELINES
from bench.discovery.kinds import SORTS, added
from bench.discovery.measures import reliability
from bench.discovery.scoring import GRYM, Discovery, Outcome, Row

LIVE = "grym-live"
"""The row of what stood a while after each event."""
ALL = "all"
ORDER = (GRYM, LIVE, *BASELINES)
OWN = (
    "recognised_from",
    "onset_recall",
    "live_ms",
    "hindsight_ms",
    "front_ms",
    "state_mb",
)

Figures = dict[str, float | None]


def online(name: str) -> bool:
    """Whether a candidate decides as it hears; grym in the end has heard everything."""
    return name == LIVE or (name in BASELINES and BASELINES[name].online)


def candidates(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Figures]]:
    """Candidate -> preset, or all of them -> figure; in the order of the tables."""
    found: dict[str, dict[str, Figures]] = {}
    for name in ORDER:
        rows = [(each.preset, row) for each in outcomes if (row := _row(each, name)) is not None]
        if rows:
            presets = dict.fromkeys(preset for preset, _ in rows)
            found[name] = {p: _means(row for q, row in rows if q == p) for p in presets}
            found[name][ALL] = _means(row for _, row in rows)
    return found


def grym(outcomes: Sequence[Outcome]) -> dict[str, Figures]:
    """Preset, or all of them -> what is known of grym alone."""
    heard = [(each.preset, each.grym) for each in outcomes if each.grym is not None]
    if not heard:
        return {}
    presets = dict.fromkeys(preset for preset, _ in heard)
    figures = {p: _alone([alone for q, alone in heard if q == p]) for p in presets}
    figures[ALL] = _alone([alone for _, alone in heard])
    return figures


def calibration(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Claimed against observed, pooled over all scenes; empty where grym did not hear."""
    pairs = [pair for each in outcomes if each.grym is not None for pair in each.grym.judged]
    if not pairs:
        return {}
    pooled = reliability(pairs)
    names = ("from", "count", "claimed", "right")
    rows = [dict(zip(names, row, strict=True)) for row in pooled.rows]
    return {"ece": pooled.ece, "rows": rows}


def of_one_kind(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Kinds, added up over all scenes; empty where grym did not hear."""
    scenes = [each.grym.kinds for each in outcomes if each.grym is not None]
    if not scenes:
        return {}
    counts = added(scenes)
    return asdict(counts) | {
        "recall": {s: _share(counts.joined[s], counts.both_found[s]) for s in SORTS},
        "precision": _share(counts.right, counts.told),
    }


def mean(values: Iterable[float]) -> float | None:
    """Of the values that are known."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None


def rounded(item: Any) -> Any:
    """The same with four digits after the point, for the last line."""
    if isinstance(item, dict):
        return {key: rounded(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [rounded(value) for value in item]
    return round(item, 4) if isinstance(item, float) else item


def _row(outcome: Outcome, name: str) -> Row | None:
    if name == LIVE and outcome.grym is not None:
        return Row(outcome.grym.frozen, outcome.rows[GRYM].cpu_ms)
    return outcome.rows.get(name)


def _means(rows: Iterable[Row]) -> Figures:
    flat = [asdict(row.measures) | {"cpu_ms": row.cpu_ms} for row in rows]
    return {figure: mean(row[figure] for row in flat) for figure in flat[0]}


def _alone(scenes: Sequence[Discovery]) -> Figures:
    return {figure: mean(getattr(each, figure) for each in scenes) for figure in OWN}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
