"""Sources in the live view: a cell each, and which of them are shown where there are too many.

Those that need attention come first: away or behind, then the loudest, then those that are over.
"""

from collections import Counter
from collections.abc import Sequence
from math import isfinite

from rich.cells import cell_len
from rich.text import Span, Text

from connectors.live.glyphs import METER_CELLS, Glyphs
from operators.vitals import SourceVitals

_NAME_CELLS = 24
_STATE_CELLS = 10
_WHERE_CELLS = 16
_BESIDE_NAME_CELLS = 1 + 2 + _STATE_CELLS + 1 + METER_CELLS + 1 + 7 + 2 + _WHERE_CELLS
_LAG_S = 2.0
"""Further behind than this it is of note."""
_STEP_DB = 6.0
"""Levels are ranked in steps, so that rows do not change places all the time."""
_COLOURS = {
    "live": "green",
    "reading": "green",
    "connecting": "cyan",
    "degraded": "red",
    "lagging": "yellow",
}
_RANKS = {"degraded": 0, "lagging": 1, "connecting": 2, "waiting": 3, "done": 6, "ended": 5}
_CALM = 4


def cells(
    sources: Sequence[SourceVitals],
    rows: int,
    width: int,
    glyphs: Glyphs,
    order: Sequence[int] = (),
) -> tuple[list[Text], int]:
    """At most ``rows`` lines of sources, and how many cells the widest of them takes.

    Where they do not fit below one another they stand side by side, as far as there is width;
    what is left out even so is counted by state in the last line. ``order`` is what ``ranked`` said
    of the same sources; it is asked here where it was not given.
    """
    if rows <= 0 or not sources:
        return [], 0
    names = max(cell_len(glyphs.plain(each.name)) for each in sources)
    name_cells = min(names, _NAME_CELLS if width >= 100 else 16, max(8, width - 50))
    widest = name_cells + _BESIDE_NAME_CELLS
    columns = max(1, (width + 3) // (widest + 3)) if len(sources) > rows else 1
    shown: Sequence[int] = range(len(sources))
    rest: Sequence[int] = ()
    if len(sources) > rows * columns:
        order = order if len(order) == len(sources) else ranked(sources)
        rows -= 1
        shown, rest = order[: rows * columns], order[rows * columns :]
    lines = _side_by_side([_cell(sources[each], name_cells, glyphs) for each in shown], rows)
    if rest:
        lines.append(_more([sources[each] for each in rest], glyphs))
    return lines, width if len(sources) > len(lines) else widest


def ranked(sources: Sequence[SourceVitals]) -> list[int]:
    """Positions of sources, those that need attention first."""
    return sorted(range(len(sources)), key=lambda each: (*_urgency(sources[each]), each))


def condition(source: SourceVitals) -> str:
    """How a source is doing, in a word."""
    if source.done:
        return "done"
    if source.state is not None:
        return source.state
    if source.total_s is not None:
        return "reading"
    return "hearing" if source.position_s > 0.0 else "waiting"


def span(seconds: float) -> str:
    """A length of time: minutes and seconds, or hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _urgency(source: SourceVitals) -> tuple[int, float]:
    rank = _RANKS.get(condition(source), _CALM)
    if rank == _CALM and source.lag_s is not None and source.lag_s > _LAG_S:
        rank = _RANKS["lagging"]
    level_db = _level(source)
    return rank, -round(level_db / _STEP_DB) if level_db is not None else 99


def _cell(source: SourceVitals, name_cells: int, glyphs: Glyphs) -> Text:
    """Name, state, level, and how far it is: always as wide."""
    word = condition(source)
    level_db = _level(source)
    meter, level = " " * METER_CELLS, " " * 7
    if level_db is not None:
        meter, level = glyphs.meter(level_db), f"{level_db:4.0f} dB"
    loud = level_db is not None and level_db > -3.0
    behind = source.lag_s is not None and source.lag_s > _LAG_S
    name = glyphs.padded(glyphs.plain(source.name), name_cells)
    head = f" {name}  {word:<{_STATE_CELLS}} "
    middle = f"{head}{meter} {level}  "
    state = Span(len(name) + 3, len(head) - 1, _COLOURS.get(word, "dim"))
    return Text(  # at once, because it is done for every source at every draw
        middle + glyphs.padded(_where(source), _WHERE_CELLS),
        spans=[
            Span(1, 1 + len(name), "bold"),
            state,
            Span(len(head), len(head) + len(meter), "red" if loud else "green"),
            Span(len(middle), len(middle) + _WHERE_CELLS, "yellow" if behind else "dim"),
        ],
    )


def _where(source: SourceVitals) -> str:
    if source.lag_s is not None and not source.done:
        said = f"lag {_lag(source.lag_s)}"
    elif source.total_s is not None and not source.done:
        said = f"{span(source.position_s)} of {span(source.total_s)}"
    else:
        said = span(source.position_s)
    return f"{said}, {source.streams} str." if source.streams > 1 else said


def _lag(lag_s: float) -> str:
    if lag_s < 1.0:
        return f"{1_000 * max(lag_s, 0.0):.0f} ms"
    return f"{lag_s:.1f} s" if lag_s < 100.0 else span(lag_s)


def _level(source: SourceVitals) -> float | None:
    if source.level_db is None or source.done:
        return None
    return max(source.level_db, -99.0) if isfinite(source.level_db) else -99.0


def _side_by_side(made: Sequence[Text], rows: int) -> list[Text]:
    lines = list(made[:rows])
    for position, each in enumerate(made[rows:]):
        lines[position % rows].append("   ").append_text(each)
    return lines


def _more(rest: Sequence[SourceVitals], glyphs: Glyphs) -> Text:
    words = Counter(condition(each) for each in rest)
    if len(words) == 1:
        said = f"all {next(iter(words))}"
    else:
        said = ", ".join(f"{count} {word}" for word, count in words.most_common())
    return Text(f" {glyphs.ellipsis} and {len(rest)} more, {said}", "dim")
