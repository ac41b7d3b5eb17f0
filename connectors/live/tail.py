"""Lines of what was heard, as it comes: patterns by the names a person can remember.

A sound's first two occurrences and the pattern they founded are one line. Windows without a vector
become counts (see ``spells``), and so does what is corrected later (see ``hindsight``). Invariant:
every other finding gets exactly one line, except that an occurrence waits for its pattern's name;
what is remembered is bounded.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rich.markup import escape
from rich.text import Text

from connectors import wording
from connectors.hindsight import Hindsight, LookBack
from connectors.live.glyphs import Glyphs
from connectors.live.moments import Moments
from connectors.live.spells import Spell, Spells
from connectors.terminal import Announcements
from operators.rates import RateChange
from operators.records import (
    BreakerTransition,
    Embedding,
    Failure,
    Novel,
    Occurrence,
    Pattern,
    Relation,
    RungChange,
    SourceState,
    Verdict,
    to_s,
)
from operators.remarks import Description, Tag

LINES_KEPT = 200
_NAMES_KEPT = 4_096
_UNNAMED_KEPT = 64
_NAME_CELLS = 16
_LABEL_CELLS = 28


@dataclass(frozen=True, slots=True)
class Heard:
    """What is told of the tail beside its lines.

    Attributes:
        spells: what leads to no finding at present.
        reasons: outcome of windows that ought not to be -> its most frequent reason.
    """

    spells: tuple[Spell, ...] = ()
    reasons: Mapping[str, str] | None = None


@dataclass(slots=True)
class _Known:
    name: str
    count: int = 0
    label: str = ""


class Tail:
    """Makes lines of records and keeps the latest; not for several threads at once.

    Args:
        moments: tells times.
        glyphs: what can be shown.
        windows: give the verdict on every window a line, too.
    """

    def __init__(self, moments: Moments, glyphs: Glyphs, *, windows: bool = False) -> None:
        self._moments = moments
        self._glyphs = glyphs
        self._windows = windows
        self._announcements = Announcements(windows=windows)
        self._spells = Spells()
        self._hindsight = Hindsight()
        self._known: dict[str, _Known] = {}
        self._unnamed: dict[str, list[Occurrence]] = {}
        self._name_cells = 0
        self.lines: deque[Text] = deque(maxlen=LINES_KEPT)
        self._makers: dict[type, Callable[[Any], list[Text]]] = {
            Occurrence: self._occurrence,
            Pattern: self._pattern,
            Novel: self._novel,
            LookBack: lambda item: [
                self._at(item, item.at_s, f"[dim]{wording.look_back(item)}[/]")
            ],
            Relation: self._relation,
            RateChange: self._rate,
            Failure: lambda item: [self._at(item, item.start_s, wording.failure(item))],
            BreakerTransition: lambda item: [self._line("", wording.breaker(item))],
            RungChange: lambda item: [self._line("", wording.rung(item))],
            Description: self._description,
            SourceState: lambda item: [self._line(item.stream, wording.source(item))],
            Verdict: self._window,
            Embedding: self._window,
            Tag: lambda item: [self._at(item, to_s(item.index), f"[dim]{wording.tag(item)}[/]")],
        }

    def take(self, item: object) -> list[Text]:
        """Lines that a record gives rise to; often none."""
        return [line for each in self._hindsight.take(item) for line in self._lines_of(each)]

    def _lines_of(self, item: object) -> list[Text]:
        make = self._makers.get(type(item))
        counted = isinstance(item, Embedding | Verdict | Pattern)
        if make is None or not (counted or self._announcements.wanted(item)):
            return []
        lines = make(item)
        self.lines.extend(lines)
        return lines

    def say(self, text: str) -> Text:
        """A line that is no record's; kept, too."""
        line = Text(self._glyphs.plain(text))
        self.lines.append(line)
        return line

    def heard(self) -> Heard:
        """What leads to no finding at present."""
        return Heard(tuple(self._spells.open()), self._spells.reasons())

    def flush(self) -> list[Text]:
        """Lines of what was held back, of occurrences whose pattern was never named, too."""
        lines = [line for each in self._hindsight.flush() for line in self._lines_of(each)]
        return [*lines, *self._name_no_more()]

    def _name_no_more(self) -> list[Text]:
        waiting, self._unnamed = self._unnamed, {}
        return [self._occurred(item) for items in waiting.values() for item in items]

    def _occurrence(self, item: Occurrence) -> list[Text]:
        self._moments.learn(item.stream, item.start_s, item.start_ns)
        self._spells.found(item.stream)
        known = self._known.get(item.pattern)
        if known is not None:
            known.count += 1
            return [self._occurred(item)]
        lines: list[Text] = []
        if item.pattern not in self._unnamed and len(self._unnamed) >= _UNNAMED_KEPT:
            lines = self._name_no_more()
        self._unnamed.setdefault(item.pattern, []).append(item)
        return lines

    def _occurred(self, item: Occurrence) -> Text:
        known = self._known.get(item.pattern)
        count = f"  {_ordinal(known.count)}" if known is not None and known.count else ""
        late = "  [dim]late[/]" if item.backfilled else ""
        said = f"[cyan]{self._name(item.pattern, labelled=True)}[/]{count}  conf {item.score:.2f}"
        return self._at(item, item.start_s, said + late)

    def _pattern(self, item: Pattern) -> list[Text]:
        waiting = self._unnamed.pop(item.pattern, [])
        known = self._know(item)
        self._moments.learn(item.stream, item.last_s, item.last_ns)
        if item.status == "born" and self._announcements.wanted(item):
            first = self._moments.of(item.stream, item.first_s).strip()
            said = (
                f"[bold cyan]{known.name}[/]  new pattern, {item.duration_s:.2f} s, first {first}"
            )
            return [self._at(item, item.last_s, f"{said}  [dim]{item.pattern}[/]")]
        lines = [self._occurred(each) for each in waiting]
        if not self._announcements.wanted(item):
            return lines
        said = wording.outcome(item, known.name, self._name(item.into))
        return [*lines, self._at(item, item.last_s, said)]

    def _know(self, item: Pattern) -> _Known:
        if item.pattern not in self._known and len(self._known) >= _NAMES_KEPT:
            self._known.pop(next(iter(self._known)))
        known = self._known.setdefault(item.pattern, _Known(item.name or item.pattern))
        known.count = item.count
        return known

    def _novel(self, item: Novel) -> list[Text]:
        self._spells.once(item.stream, self._moments.of(item.stream, item.start_s))
        return []

    def _relation(self, item: Relation) -> list[Text]:
        named = replace(item, source=self._name(item.source), target=self._name(item.target))
        return [self._at(item, item.last_s, wording.describe(named))]

    def _rate(self, item: RateChange) -> list[Text]:
        said = f"[cyan]{self._name(item.pattern, labelled=True)}[/]  {wording.rate(item)}"
        return [self._at(item, item.at_s, said)]

    def _description(self, item: Description) -> list[Text]:
        self._moments.learn(item.stream, item.start_s, item.start_ns)
        name = self._name(item.pattern)
        known = self._known.get(item.pattern)
        if known is not None and item.text:
            known.label = self._glyphs.fit(self._glyphs.plain(item.text), _LABEL_CELLS)
        said = f"[cyan]{name}[/]  {wording.description(item)}"
        return [self._at(item, item.start_s, said)]

    def _window(self, item: Embedding | Verdict) -> list[Text]:
        at_s = to_s(item.index)
        self._moments.learn(item.stream, at_s, item.start_ns)
        over = self._spells.window(item, self._moments.of(item.stream, at_s))
        if self._windows:
            return [self._at(item, at_s, f"[dim]{wording.window(item)}[/]")]
        return [self._line(each.stream, sentence(each), each.latest) for each in over]

    def _name(self, pattern: str, *, labelled: bool = False) -> str:
        """What a pattern is called, as markup."""
        known = self._known.get(pattern)
        if known is None:
            return pattern
        return f'{known.name} "{escape(known.label)}"' if labelled and known.label else known.name

    def _at(self, item: Any, at_s: float, said: str) -> Text:
        return self._line(item.stream, said, self._moments.of(item.stream, at_s))

    def _line(self, stream: str, said: str, moment: str = "") -> Text:
        name = self._glyphs.plain(stream)
        self._name_cells = max(self._name_cells, min(Text(name).cell_len, _NAME_CELLS))
        pad = " " * max(0, self._name_cells - Text(name).cell_len)
        where = f"[dim]{moment or self._moments.now()}  {escape(name)}[/]{pad}"
        return Text.from_markup(self._glyphs.plain(f"{where}  {said}"))


def sentence(spell: Spell) -> str:
    """What is not shown, how much of it, and why, as markup."""
    what, reason = spell.cause
    begun = "" if spell.since == spell.latest else spell.since.strip()
    since = f" since {begun}" if begun else ""
    where = f" of {spell.streams} streams" if spell.streams > 1 else ""
    if what == "once":
        sounds = "sound" if spell.count == 1 else "sounds"
        began = f", from {begun}" if begun else ""
        return f"[dim]{spell.count} {sounds}{where} heard once since the last finding{began}[/]"
    windows = "window" if spell.count == 1 else "windows"
    why = _WHY.get(what, "") if not reason else reason.replace("_", " ")
    colour = "yellow" if spell.wrong else "dim"
    because = f": {escape(why)}" if why else ""
    return f"[{colour}]{spell.count} {windows}{where} {what}{since}{because}[/]"


_WHY = {
    "silent": "hardly any signal",
    "gated": "nothing stands out from the background",
}


def _ordinal(count: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count}{'th' if count % 100 in (11, 12, 13) else suffix}"
