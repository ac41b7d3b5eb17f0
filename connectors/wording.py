"""What a person reads of each record, as rich markup: views put place and time before it.

Invariant: what came from outside (names, details, what a model said) is escaped, so that it can
neither colour nor break a line.
"""

from rich.markup import escape

from connectors.hindsight import LookBack
from operators.rates import RateChange
from operators.records import (
    BreakerTransition,
    Embedding,
    Failure,
    Pattern,
    Relation,
    RungChange,
    SourceState,
    Verdict,
)
from operators.remarks import Description, Tag

_STATUS = {"born": "new pattern", "confirmed": "confirmed", "retired": "forgotten"}
_RATES = {"more": "more often", "fewer": "more rarely"}


def clock(at_s: float) -> str:
    """A position in a stream: minutes, or hours where there are any, and tenths of a second."""
    minutes, seconds = divmod(max(at_s, 0.0), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{seconds:04.1f}" if hours else f"{minutes:2d}:{seconds:04.1f}"


def outcome(item: Pattern, name: str, into: str) -> str:
    """What has become of a pattern; both names as the reader knows them, as markup."""
    match item.status:
        case "merged":
            return f"{name} turned out to be [cyan]{into}[/]"
        case "split":
            return f"{name} turned out to be two sounds: also [cyan]{into}[/]"
        case status:
            said = f"{_STATUS.get(status, status)}, {item.duration_s:.2f} s long"
            return f"[bold cyan]{name}[/]  {said}"


def rate(item: RateChange) -> str:
    """How often a pattern comes now, and how often it came before."""
    before, now = _per_hour(item.rate_before_per_h), _per_hour(item.rate_per_h)
    match item.direction:
        case "silent":
            return f"[yellow]fell silent[/]  it came {before}"
        case "again":
            return f"[yellow]comes again[/]  {now}"
        case direction:
            return f"[yellow]comes {_RATES[direction]}[/]  {now}, before {before}"


def _per_hour(rate: float) -> str:
    return f"{rate:.0f} an hour" if rate >= 9.5 else f"{rate:.1f} an hour"


def failure(item: Failure) -> str:
    """The thing, the value, the remedy."""
    return f"[red]{item.stage}: {item.reason}[/]  {escape(item.detail)} - {escape(item.remedy)}"


def breaker(item: BreakerTransition) -> str:
    """Where a breaker went, and why."""
    return f"breaker of {item.name}: {item.from_state} -> [yellow]{item.to_state}[/] {item.reason}"


def rung(item: RungChange) -> str:
    """Who serves from now on."""
    serving = f"[yellow]{item.to_model}[/] serves" if item.to_model else "[red]nobody serves[/]"
    return f"model {item.ladder}: {serving} ({item.reason.replace('_', ' ')})"


def description(item: Description) -> str:
    """What a model said of a pattern, or the clip that was kept of it."""
    return f"{escape(item.model)}: {escape(item.text)}" if item.text else f"clip {item.clip}"


def tag(item: Tag) -> str:
    """What a window holds."""
    return f"{item.kind} {item.score:.2f}"


def source(item: SourceState) -> str:
    """How a source is doing."""
    lag = f"  {item.lag_s:.1f} s behind" if item.lag_s is not None else ""
    colour = "green" if item.state in ("live", "ended") else "yellow"
    return f"[{colour}]{item.state}[/]{lag}  {escape(item.detail)}"


def window(item: Embedding | Verdict) -> str:
    """What became of a window."""
    if isinstance(item, Embedding):
        return "window stored"
    return f"window {item.verdict} ({item.reason})" if item.reason else f"window {item.verdict}"


def look_back(item: LookBack) -> str:
    """What hindsight corrected."""
    counts = (
        (item.added, "added"),
        (item.moved, "moved"),
        (item.withdrawn, "withdrawn"),
    )
    return f"hindsight: {', '.join(f'{count} {what}' for count, what in counts if count)}"


def describe(relation: Relation) -> str:
    """A relation as a sentence with its evidence."""
    arrow = {"sequential": "->", "composite": "contains", "overlapping": "overlaps"}
    if relation.kind == "periodic":
        said = f"{relation.source} every {relation.period_s:.2f} s"
    else:
        link = arrow.get(relation.kind, relation.kind)
        said = f"{relation.source} {link} {relation.target}"
    if relation.lag_s is not None:
        said += f"  lag {relation.lag_s:.2f} s"
    if relation.lift is not None:
        said += f"  lift {relation.lift:.1f}"
    verb = "[dim]no longer:[/] " if relation.withdrawn else ""
    via = "  [dim]indirect[/]" if relation.indirect else ""
    return f"{verb}[magenta]{relation.kind}[/]  {said}  n={relation.support}{via}"
