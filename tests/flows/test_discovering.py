"""The span of a finding."""

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flows.discovering import discovering, found_in
from operators import tracing
from operators.patterns import Detector
from operators.records import BANDS, Novel, Occurrence, Region, StreamEnd
from operators.revision import Revision

WINDOW = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"
FOUND = [
    Occurrence("s", "p1", 0.0, 1.0, 0, 0.9, 1.2, False),
    Novel("s", 2.0, 3.0),
    Occurrence("s", "p2", 4.0, 5.0, 0, 0.9, 5.2, False),
    Revision("s", 1.0, 10**9, "p3", "", "hindsight", 5.2),
]


def region(traceparent: str = WINDOW, delivered_ns: int = 1_000) -> Region:
    rows, levels = np.zeros((4, BANDS), np.float32), np.zeros(BANDS, np.float32)
    return Region("s", 0, rows, levels, levels, (0,), 0, False, traceparent, delivered_ns, (OTHER,))


def test_what_was_found_leads_to_the_span_of_its_finding(exported: InMemorySpanExporter) -> None:
    told = found_in(region(), FOUND, began_ns=3_000, took_s=5e-6)
    (span,) = exported.get_finished_spans()
    assert span.name == "pattern"
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == WINDOW[36:52]
    assert [f"{link.context.span_id:016x}" for link in span.links] == [OTHER[36:52]]
    assert (span.start_time, span.end_time) == (1_000, 8_000)
    attributes = dict(span.attributes or {})
    assert attributes[tracing.PATTERNS] == ("p1", "p2", "p3")
    assert attributes[tracing.WAIT_S] == pytest.approx(2e-6)
    header = tracing.traceparent_of(trace.NonRecordingSpan(span.context))
    assert [getattr(item, "traceparent", None) for item in told] == [header, None, header, header]


@pytest.mark.parametrize(
    ("where", "found"),
    [(region(""), FOUND), (region(WINDOW[:-1] + "0"), FOUND), (region(), [FOUND[1]])],
    ids=["no-window", "not-sampled", "nothing-recognised"],
)
def test_without_a_sampled_window_or_a_finding_there_is_no_span(
    exported: InMemorySpanExporter, where: Region, found: list[object]
) -> None:
    assert found_in(where, found, began_ns=3_000, took_s=1e-6) == found
    assert exported.get_finished_spans() == ()


def test_a_region_of_an_earlier_process_begins_when_it_is_heard(
    exported: InMemorySpanExporter,
) -> None:
    found_in(region(delivered_ns=0), FOUND, began_ns=3_000, took_s=1e-6)
    (span,) = exported.get_finished_spans()
    assert (span.start_time, (span.attributes or {})[tracing.WAIT_S]) == (3_000, 0.0)


class Late(Detector):
    """Finds everything at the end."""

    def hear(self, region: Region) -> list[object]:
        return []

    def finish(self, end: StreamEnd) -> list[object]:
        return list(FOUND)


def test_what_is_found_at_the_end_leads_to_the_last_region(exported: InMemorySpanExporter) -> None:
    hears, end = discovering(Late("s")), StreamEnd("s", 80_000, 0)
    assert hears.hear(end) == [*FOUND, end]
    assert exported.get_finished_spans() == ()
    hears.hear(region(OTHER))
    hears.hear(region())
    *told, ended = hears.hear(end)
    assert ended is end
    (span,) = exported.get_finished_spans()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == WINDOW[36:52]
    assert (span.attributes or {})[tracing.WAIT_S] == 0.0
    header = tracing.traceparent_of(trace.NonRecordingSpan(span.context))
    assert [getattr(item, "traceparent", None) for item in told] == [header, None, header, header]
