"""The rules by which Jaeger shows spans, each as a function that names the spans that break it.

From its documentation and source (jaegertracing.io/docs, model/adjuster and the trace page): what
breaks one of them is shown in the wrong place, with a warning, or not at all.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tests.plugins.collector import Span

Rule = Callable[[Sequence[Span]], Iterable[object]]
SERVICES = {"grym-flow", "grym-publish"}
KINDS = {"send": "PRODUCER", "poll": "CLIENT", "upsert": "CLIENT", "delete": "CLIENT"}
MOST_OPERATIONS = 24
MOST_IN_TRACE = 60
HOUR_NS = 3_600_000_000_000


def ids_are_whole(spans: Sequence[Span]) -> Iterable[object]:
    """16 and 8 bytes, not zero: others are refused at the door."""
    for span in spans:
        if len(span.trace_id) != 32 or not int(span.trace_id, 16):
            yield span.name, span.trace_id
        if len(span.span_id) != 16 or not int(span.span_id, 16):
            yield span.name, span.span_id


def ids_are_unique(spans: Sequence[Span]) -> Iterable[object]:
    """Spans that share an id in a trace are deduplicated, with a warning."""
    return [id_ for id_, count in Counter(span.id for span in spans).items() if count > 1]


def parents_are_there(spans: Sequence[Span]) -> Iterable[object]:
    """A span whose parent is not in its trace hangs at its root, with a warning."""
    known = {span.id for span in spans}
    return [
        span.name
        for span in spans
        if span.parent_id and (span.trace_id, span.parent_id) not in known
    ]


def traces_have_one_root(spans: Sequence[Span]) -> Iterable[object]:
    """A trace is named after its first root: with two, the name depends on the clock."""
    roots = Counter(span.trace_id for span in spans if not span.parent_id)
    return [trace for trace in {span.trace_id for span in spans} if roots[trace] != 1]


def references_lead_somewhere(spans: Sequence[Span]) -> Iterable[object]:
    """A link is shown on the linking span only, and opens a trace: it has to be there."""
    known = {span.id for span in spans}
    return [(span.name, linked) for span in spans for linked in span.links if linked not in known]


def no_span_is_its_own_reference(spans: Sequence[Span]) -> Iterable[object]:
    """Neither its parent nor its link."""
    return [span.name for span in spans if span.id in span.links or span.span_id == span.parent_id]


def services_are_named(spans: Sequence[Span]) -> Iterable[object]:
    """The search begins with the service; without a name it is `unknown_service`."""
    return {span.service for span in spans} - SERVICES


def instances_are_told_apart(spans: Sequence[Span]) -> Iterable[object]:
    """Of two processes of one service, which one it was stands in the process's tags."""
    return [span.name for span in spans if not span.resource.get("service.instance.id")]


def operations_are_few(spans: Sequence[Span]) -> Iterable[object]:
    """The second field of the search lists the names of a service: ids have no place there."""
    names = {span.name for span in spans}
    return names if len(names) > MOST_OPERATIONS or "" in names else ()


def kinds_are_those_of_the_conventions(spans: Sequence[Span]) -> Iterable[object]:
    """Shown as the tag span.kind, and what the service graph is drawn from."""
    for span in spans:
        if span.kind != KINDS.get(span.name.partition(" ")[0], "INTERNAL"):
            yield span.name, span.kind


def spans_end_after_they_begin(spans: Sequence[Span]) -> Iterable[object]:
    """A negative duration is shown as none."""
    return [span.name for span in spans if span.end_ns < span.start_ns]


def children_begin_after_their_parents(spans: Sequence[Span]) -> Iterable[object]:
    """A child that begins before its parent is shifted, for a clock that is thought wrong."""
    known = {span.id: span for span in spans}
    for span in spans:
        parent = known.get((span.trace_id, span.parent_id))
        if parent is not None and span.start_ns < parent.start_ns:
            yield span.name, parent.start_ns - span.start_ns


def times_are_those_of_the_run(spans: Sequence[Span]) -> Iterable[object]:
    """The search looks back an hour or two: audio of 1970 would never be found."""
    latest = max(span.end_ns for span in spans)
    return [span.name for span in spans if span.start_ns < latest - HOUR_NS]


def errors_are_marked(spans: Sequence[Span]) -> Iterable[object]:
    """The red mark comes from the status; what it was, from a tag."""
    return [span.name for span in spans if span.failed != ("error.type" in span.attributes)]


def traces_can_be_looked_at(spans: Sequence[Span]) -> Iterable[object]:
    """A trace is one window's story, not the run's: the page gets slow with thousands of spans."""
    sizes = Counter(span.trace_id for span in spans)
    return [trace for trace, count in sizes.items() if count > MOST_IN_TRACE]


RULES: tuple[Rule, ...] = (
    ids_are_whole,
    ids_are_unique,
    parents_are_there,
    traces_have_one_root,
    references_lead_somewhere,
    no_span_is_its_own_reference,
    services_are_named,
    instances_are_told_apart,
    operations_are_few,
    kinds_are_those_of_the_conventions,
    spans_end_after_they_begin,
    children_begin_after_their_parents,
    times_are_those_of_the_run,
    errors_are_marked,
    traces_can_be_looked_at,
)
