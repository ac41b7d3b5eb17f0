"""Models and totals in the live view: a line a lane, and figures that wrap as the width allows."""

from collections.abc import Mapping, Sequence

from rich.text import Text

from connectors.live.glyphs import Glyphs
from connectors.live.inputs import span
from operators.breaker import CLOSED
from operators.inference.rung import RungState
from operators.vitals import LaneVitals, Vitals

_OUTCOMES = ("stored", "gated", "silent", "shed", "dead")
_WRONG = {"shed": "yellow", "dead": "red"}
_GAP = "   "


def lane(vitals: LaneVitals, glyphs: Glyphs) -> Text:
    """Breakers as far as they matter, who serves, what waits, windows a call."""
    first, *others = vitals.rungs
    line = Text(" ")
    line.append_text(_rung(first, glyphs))
    for other in others:
        if other.breaker != CLOSED or other.stuck:
            line.append(", ").append_text(_rung(other, glyphs))
    if not vitals.serving:
        line.append(" nobody serves", "bold red")
    elif vitals.serving != first.model:
        line.append(f" -> {glyphs.plain(vitals.serving)} serves", "yellow")
    waiting = sum(each.waiting for each in vitals.rungs)
    calling = sum(each.calling for each in vitals.rungs)
    serving = next((each for each in vitals.rungs if each.model == vitals.serving), first)
    line.append(f"{_GAP}queue {waiting}{_GAP}batch {calling} of {serving.batch_cap}")
    hanging = sum(each.hanging for each in vitals.rungs)
    if hanging:
        said = "1 call hangs" if hanging == 1 else f"{hanging} calls hang"
        line.append(f"{_GAP}{said}", "red")
    return line


def totals(vitals: Vitals, reasons: Mapping[str, str], width: int) -> list[Text]:
    """All of the run, in as many lines as the width asks for."""
    found = (
        f"{_many(vitals.patterns, 'pattern')} heard {_many(vitals.occurrences, 'time')},"
        f" {_many(vitals.relations, 'relation')}"
    )
    pieces = [_windows(vitals, reasons), Text(found)]
    if vitals.latency_p95_ms is not None:
        pieces.append(Text(f"p95 {vitals.latency_p95_ms:.0f} ms"))
    if vitals.waiting_regions:
        pieces.append(Text(f"discovery {vitals.waiting_regions} waiting"))
    if vitals.pending:
        pieces.append(Text(f"store {vitals.pending} waiting"))
    pieces.append(Text(f"CPU {100 * vitals.cpu_share:.0f} %"))
    pieces.append(Text(f"{vitals.rss_mb:.0f} MB"))
    pieces.append(Text(f"{span(vitals.audio_s)} heard in {span(vitals.elapsed_s)}"))
    return flowed(pieces, width)


def flowed(pieces: Sequence[Text], width: int) -> list[Text]:
    """Pieces one after the other, a new line where the next one does not fit."""
    lines: list[Text] = []
    for piece in pieces:
        if lines and lines[-1].cell_len + len(_GAP) + piece.cell_len <= width:
            lines[-1].append(_GAP).append_text(piece)
        else:
            lines.append(Text(" ").append_text(piece))
    return lines


def _rung(rung: RungState, glyphs: Glyphs) -> Text:
    state = "stuck" if rung.stuck else rung.breaker.replace("_", "-")
    style = {"closed": "green", "half-open": "yellow"}.get(state, "red")
    return Text.assemble((glyphs.plain(rung.model), "bold"), " ", (state, style))


def _windows(vitals: Vitals, reasons: Mapping[str, str]) -> Text:
    line = Text(f"windows {vitals.windows}")
    mark = ": "
    for outcome in _OUTCOMES:
        count = vitals.outcomes.get(outcome, 0)
        if count:
            reason = reasons.get(outcome, "").replace("_", " ")
            said = f"{count} {outcome}" + (f" ({reason})" if reason else "")
            line.append(mark).append(said, _WRONG.get(outcome, ""))
            mark = ", "
    return line


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
