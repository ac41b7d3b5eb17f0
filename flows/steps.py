"""The steps of the flow as Bytewax operators, each naming what goes in and what comes out.

Keys are stream ids. Step ids are a contract: a renamed one loses its state.
"""

from collections.abc import Callable
from typing import TypeAlias

import bytewax.operators as op
from bytewax.dataflow import operator
from bytewax.operators import KeyedStream

from flows.beside import SPEECH, Remarking, Tagging
from flows.discovering import Discovering, detector_of
from flows.logics import Inferring, Item, OneStream, State, rating, relating, restored
from flows.segmenting import Segmenting
from flows.station import Station
from operators.aside import Hears, unpack
from operators.describing import Describing
from operators.kinship import Kinship
from operators.metering import Stage
from operators.rates import RateTracker, Reached
from operators.records import (
    Embedding,
    Failure,
    Frame,
    Occurrence,
    Pattern,
    Region,
    SourceState,
    StreamEnd,
    Verdict,
    Window,
)
from operators.relations import RelationTracker
from operators.remarks import Voice
from operators.revision import Revision
from operators.segment import Segmenter

Items: TypeAlias = KeyedStream[Item]


@operator
def _each_stream(
    step_id: str,
    up: Items,
    station: Station,
    takes: tuple[type, ...],
    make: Callable[[str], Hears],
    restore: Callable[[State], Hears],
) -> Items:
    """Keep what the operator takes and run it, one instance a stream."""
    taken = op.filter_value("takes", up, lambda item: isinstance(item, takes))
    stage = step_id.rsplit(".", maxsplit=1)[-1]

    timed = Stage(stage)

    def build(resume: State | None) -> OneStream:
        return OneStream(timed, make, restored(stage, station, restore, resume))

    return op.stateful_batch("hear", taken, build)


@operator
def segment(step_id: str, frames: Items, station: Station, window_s: float, hop_s: float) -> Items:
    """Cut each stream once. Frame -> Window | Region | StreamEnd | Failure."""
    return _each_stream(
        "segment",
        frames,
        station,
        (Frame,),
        lambda stream: Segmenting(Segmenter(stream, window_s=window_s, hop_s=hop_s), station),
        lambda state: Segmenting(Segmenter.restore(state), station),
    )


@operator
def failures(step_id: str, up: Items) -> Items:
    """Only what is said of sources: audio goes no further than to those who hear it."""
    return op.filter_value("failures", up, lambda item: isinstance(item, Failure | SourceState))


@operator
def discover(step_id: str, heard: Items, station: Station) -> Items:
    """Find recurring sounds, aside. Region -> Occurrence | Revision | Pattern | Reached ...

    Of a Window it takes only how far the stream has come, because silence leaves no regions.
    """
    takes = (Region, Window, StreamEnd)
    taken = op.filter_value("takes", heard, lambda item: isinstance(item, takes))

    def build(resume: State | None) -> Discovering:
        return Discovering(station, restored("patterns", station, detector_of, resume))

    return op.stateful_batch("patterns", taken, build)


@operator
def relate(step_id: str, found: Items, station: Station) -> Items:
    """Find how they relate. Occurrence | Revision | Pattern -> Relation."""
    return _each_stream(
        "relations",
        found,
        station,
        (Occurrence, Revision, Pattern, StreamEnd),
        lambda stream: relating(RelationTracker(stream)),
        lambda state: relating(RelationTracker.restore(state)),
    )


@operator
def rate(step_id: str, found: Items, station: Station) -> Items:
    """Tell what comes at another rate. Occurrence | Revision | Pattern | Reached -> RateChange."""
    return _each_stream(
        "rates",
        found,
        station,
        (Occurrence, Revision, Pattern, Reached, StreamEnd),
        lambda stream: rating(RateTracker(stream)),
        lambda state: rating(RateTracker.restore(state)),
    )


@operator
def join(step_id: str, both: Items, station: Station) -> Items:
    """Join vectors to patterns. Embedding and what was found -> Centroid | Relation."""
    lanes, lane_of = 1 + len(station.ladders), station.lane_of
    return _each_stream(
        "kinship",
        both,
        station,
        (Occurrence, Revision, Pattern, Embedding, Verdict, StreamEnd),
        lambda stream: Kinship(stream, lanes=lanes, lane_of=lane_of),
        lambda state: Kinship.restore(state, lane_of=lane_of),
    )


@operator
def tag(step_id: str, heard: Items, voice: Voice, station: Station) -> Items:
    """Tag what is audible, all streams together. Window -> Tag | Failure."""
    taken = op.filter_value("takes", heard, _audible)
    together = op.map("together", taken, lambda keyed: (SPEECH, keyed[1]))

    def build(resume: State | None) -> Tagging:
        _, waiting = restored("tag", station, unpack, resume) or ({}, [])
        return Tagging(voice, station, waiting)

    return op.map("apart", op.stateful_batch("tag", together, build), _by_stream)


def _audible(item: Item) -> bool:
    return isinstance(item, Window) and item.gate == "open"


@operator
def describe(step_id: str, both: Items, lane: Describing, station: Station) -> Items:
    """Say what patterns sound like. Frame and what was found -> Description | Failure."""
    takes = (Frame, Occurrence, Revision, Pattern, StreamEnd)
    taken = op.filter_value("takes", both, lambda item: isinstance(item, takes))
    together = op.map("together", taken, lambda keyed: ("remarks", keyed[1]))

    def build(resume: State | None) -> Remarking:
        restored("describe", station, lane.restore, resume)
        return Remarking(lane)

    return op.map("apart", op.stateful_batch("describe", together, build), _by_stream)


def _by_stream(keyed: tuple[str, Item]) -> tuple[str, Item]:
    return getattr(keyed[1], "stream", ""), keyed[1]


@operator
def infer(step_id: str, heard: Items, name: str, station: Station) -> Items:
    """Embed what is audible, all streams together. Window -> Embedding | Verdict | Failure."""
    taken = op.filter_value("takes", heard, lambda item: isinstance(item, Window | StreamEnd))
    together = op.map("together", taken, lambda keyed: (name, keyed[1]))

    def build(resume: State | None) -> Inferring:
        lane = restored(name, station, lambda state: station.inference(name, state), resume)
        return Inferring(lane or station.inference(name, None), station)

    results = op.stateful_batch("embed", together, build)
    return op.map("apart", results, _by_stream)
