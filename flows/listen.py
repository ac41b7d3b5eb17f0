"""The sentence: listen, tell which sounds recur and how they relate, keep what was heard.

                             ┌─► regions ─► patterns ─► relations ──┐
                             │               ├──► rates ────────────┤
    sources ─► frames ─► segment             └──► kinship ──────────┼─► events, store
                             └─► windows ─► infer ─────┘ ───────────┘

The lane of discovery never waits for a model: what is recognised does not depend on which model
ran, nor on whether one did. Keys are stream ids throughout.
"""

from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource

from connectors.sinks import EventSink, StoreSink
from flows import steps
from flows.station import Station


def listen(sources: FixedPartitionedSource[Any, Any], station: Station) -> Dataflow:
    """The dataflow of one process: one worker, any number of streams."""
    cut = station.settings.listen

    flow = Dataflow("grym")
    frames = op.key_on("streams", op.input("sources", flow, sources), lambda item: item.stream)
    # (stream, Frame | Failure | SourceState)
    heard = steps.segment("segment", frames, station, cut.window_s, cut.hop_s)
    # (stream, Window | Region | StreamEnd | Failure)
    found = steps.discover("patterns", heard, station)
    # (stream, Occurrence | Revision | Pattern | Novel | Reached | StreamEnd | Failure)
    related = steps.relate("relations", found, station)
    # (stream, Relation | StreamEnd | Failure)
    rated = steps.rate("rates", found, station)
    # (stream, RateChange | Failure)
    embedded = [steps.infer(f"infer-{name}", heard, name, station) for name in station.ladders]
    # (stream, Embedding | Verdict | Failure | BreakerTransition | RungChange | StreamEnd)
    kin = steps.join("kinship", op.merge("lanes", found, *embedded), station)
    # (stream, Centroid | Relation | Failure)

    beside = []
    if station.voice is not None:
        beside += [steps.tag("tag", heard, station.voice, station)]
        # (stream, Tag | Failure)
    if station.describing is not None:
        audible = op.merge("audible", frames, found)
        beside += [steps.describe("describe", audible, station.describing, station)]
        # (stream, Description | Failure | BreakerTransition)

    failed = steps.failures("failed", op.merge("read", frames, heard))
    everything = op.merge("everything", failed, found, related, rated, *embedded, kin, *beside)
    op.output("events", everything, EventSink(station.announce))
    op.output("store", everything, StoreSink(station.store, station.fail))
    return flow
