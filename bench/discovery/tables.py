"""The tables of the benchmark for a person.

Invariant: says nothing that the last line of the benchmark does not say.
"""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.discovery.baselines import BASELINES
from bench.discovery.figures import ALL, LIVE, Figures, online
from bench.discovery.kinds import SORTS
from bench.discovery.measures import FROZEN_AFTER_S
from bench.discovery.scoring import GRYM

BOUND = "oracle"
TITLES = {GRYM: "grym, in the end", LIVE: f"grym, frozen after {FROZEN_AFTER_S:g} s"}
TITLES |= {name: baseline.title for name, baseline in BASELINES.items()}
COMPARED = {
    "b_cubed": ("B-cubed F", 3),
    "ari": ("ARI", 3),
    "event_f1": ("event F1", 3),
    "found": ("found", 2),
    "extra": ("extra", 1),
    "one_offs": ("one-offs", 1),
    "onset_ms": ("onset ms", 0),
    "cpu_ms": ("CPU ms/s", 1),
}
OWN = {
    "b_cubed": ("B-cubed F", 3),
    "event_f1": ("event F1", 3),
    "frozen_f1": ("frozen F1", 3),
    "recognised_from": ("recog. from", 1),
    "onset_recall": ("onset recall", 3),
    "relation_precision": ("rel. prec.", 2),
    "relation_recall": ("rel. recall", 2),
    "live_ms": ("live ms/s", 1),
    "hindsight_ms": ("hinds. ms/s", 1),
    "front_ms": ("front ms/s", 1),
    "state_mb": ("state MB", 2),
}


def report(console: Console, figures: Mapping[str, Any]) -> None:
    """Prints every table that there are figures for."""
    candidates = figures["candidates"]
    console.print(comparison(candidates, figures["scenes"]))
    words = distance(candidates)
    if words:
        console.print(words, highlight=False, soft_wrap=True)
    if figures["grym"]:
        console.print(by_preset(candidates, figures["grym"]))
    console.print(event_f1(candidates))
    if figures["reliability"]:
        console.print(reliability(figures["reliability"]))
    if figures["kinds"]:
        console.print(kinds(figures["kinds"]))


def comparison(candidates: Mapping[str, Mapping[str, Figures]], scenes: int) -> Table:
    """Every candidate over all scenes."""
    columns = [title for title, _ in COMPARED.values()]
    table = Table("candidate", "decides", *columns, title=f"means over {scenes} scenes")
    for name, found in candidates.items():
        cells = [_cell(found[ALL][figure], digits) for figure, (_, digits) in COMPARED.items()]
        table.add_row(TITLES[name], "online" if online(name) else "offline", *cells)
    return table


def distance(candidates: Mapping[str, Mapping[str, Figures]]) -> str:
    """How far grym is from the bound, in words; "" where one of the two is not there."""
    if GRYM not in candidates or BOUND not in candidates:
        return ""
    parts = []
    for figure, title in (("b_cubed", "B-cubed F"), ("event_f1", "event F1")):
        ours, theirs = (candidates[name][ALL][figure] or 0.0 for name in (GRYM, BOUND))
        side = "above" if ours > theirs else "below"
        parts.append(f"{abs(ours - theirs):.3f} {side} it in {title}")
    told = "The oracle bounds what clustering vectors reaches: it is told where every event is"
    return f"{told}; grym, which is not, is {' and '.join(parts)}."


def by_preset(
    candidates: Mapping[str, Mapping[str, Figures]], grym: Mapping[str, Figures]
) -> Table:
    """All of grym's figures, preset by preset."""
    table = Table("preset", *(title for title, _ in OWN.values()), title="grym")
    for preset, alone in grym.items():
        figures = {**candidates[GRYM][preset], **alone}
        figures["frozen_f1"] = candidates[LIVE][preset]["event_f1"]
        table.add_row(preset, *(_cell(figures[name], digits) for name, (_, digits) in OWN.items()))
    return table


def event_f1(candidates: Mapping[str, Mapping[str, Figures]]) -> Table:
    """Event F1 and B-cubed F of every candidate, preset by preset."""
    presets = list(next(iter(candidates.values())))
    title = "event F1 (B-cubed F) by preset"
    table = Table("candidate", "decides", *presets, title=title)
    for name, found in candidates.items():
        cells = [
            f"{_cell(found[p]['event_f1'], 3)} ({_cell(found[p]['b_cubed'], 3)})" for p in presets
        ]
        table.add_row(TITLES[name], "online" if online(name) else "offline", *cells)
    return table


def reliability(found: Mapping[str, Any]) -> Table:
    """What was claimed of occurrences against what was right."""
    title = f"claimed probability against share right; ECE {found['ece']:.3f}"
    table = Table("from", "occurrences", "claimed", "right", title=title)
    for row in found["rows"]:
        right = [f"{row[name]:.3f}" for name in ("claimed", "right")]
        table.add_row(f"{row['from']:.1f}", str(row["count"]), *right)
    return table


def kinds(found: Mapping[str, Any]) -> Table:
    """Pairs of one kind: joined of those both found (planted), fused; only ``variant`` counts."""
    title = "one kind: joined as variants / both found (planted; fused into one pattern)"
    table = Table(*SORTS, "precision of joins", title=title)
    cells = [
        f"{found['joined'][s]}/{found['both_found'][s]} "
        f"({found['planted'][s]}; {found['fused'][s]})"
        for s in SORTS
    ]
    table.add_row(*cells, f"{_cell(found['precision'], 2)} of {found['told']}")
    return table


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
