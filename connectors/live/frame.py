"""The frame below the lines: what is not shown and why, sources, models, totals.

Invariant: a function of plain data; never as tall as the terminal, no line as wide as it. So the
terminal neither scrolls nor wraps what will be drawn over.
"""

from collections.abc import Sequence

from rich.text import Text

from connectors.live import inputs
from connectors.live.figures import lane, totals
from connectors.live.glyphs import Glyphs
from connectors.live.spells import Spell
from connectors.live.tail import Heard, sentence
from operators.vitals import Vitals

_ROWS = 12
"""The frame takes half of the terminal, or as many rows, whichever is more."""
_SPELLS = 4
_SOURCES = 5
"""Lines that are kept for sources before the last spells get theirs."""
_RULE_FROM = 5
_ECHO_CELLS = 2
"""Room at the end of each line, because the terminal echoes ^C where the frame ends."""


def render(
    vitals: Vitals,
    heard: Heard,
    *,
    width: int,
    height: int,
    glyphs: Glyphs,
    order: Sequence[int] = (),
) -> list[Text]:
    """The lines of the frame; fewer where the terminal is low, none where it has one row.

    ``order`` is that of the sources, where they are not all shown (see ``inputs.ranked``).
    """
    rows = max(0, min(height - 1, max(height // 2, _ROWS)))
    usable = max(1, width - 1 - _ECHO_CELLS)
    figures = totals(vitals, heard.reasons or {}, usable)[: max(1, rows // 3)]
    lanes = [lane(each, glyphs) for each in vitals.lanes if each.rungs]
    lanes = lanes[: max(0, (rows - len(figures)) // 3)]
    rules = [Text(glyphs.rule * usable, "dim")] if rows >= _RULE_FROM else []
    left = rows - len(figures) - len(lanes) - len(rules)
    most = max(min(1, left - 1), left - min(len(vitals.sources), _SOURCES))
    spells = [_spell(each, glyphs) for each in heard.spells[: max(0, min(_SPELLS, most))]]
    lines, widest = inputs.cells(vitals.sources, left - len(spells), usable, glyphs, order)
    lanes = _beside(lines, lanes, widest, usable)
    made = [*spells, *rules, *lines, *lanes, *figures][:rows]
    return [_cut(line, usable, glyphs) for line in made]


def _beside(lines: list[Text], lanes: list[Text], widest: int, width: int) -> list[Text]:
    """Put lanes beside sources where they fit; those that are left for lines of their own."""
    needed = widest + max((each.cell_len for each in lanes), default=0)
    if needed > width or len(lanes) > len(lines):
        return lanes
    for line, each in zip(lines, lanes, strict=False):
        line.pad_right(max(0, widest - line.cell_len))
        line.append_text(each)
    return []


def opening(said: str, *, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """The frame while there are no figures yet: what is being done."""
    line = Text(f" {glyphs.plain(said)}", "dim")
    return [_cut(line, max(1, width - 1 - _ECHO_CELLS), glyphs)] if height > 1 else []


def _spell(spell: Spell, glyphs: Glyphs) -> Text:
    name = glyphs.plain(spell.stream)
    where = f"{spell.latest}  {name}  " if name else f"{spell.latest}  "
    return Text(where, "dim").append_text(Text.from_markup(sentence(spell)))


def _cut(line: Text, width: int, glyphs: Glyphs) -> Text:
    if line.cell_len > width:
        end = glyphs.ellipsis[:width]
        line.truncate(width - len(end))
        line.append(end)
    return line
