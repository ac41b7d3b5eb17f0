"""What it costs to hear a Kafka topic: against a bare loop, in streams a core, and when idle.

1. CPU a message of 100 ms at 16 kHz (PCM16, 3.2 KB): grym's source of a topic, from the broker to
   checked and placed samples, against a bare kafka-python loop that polls the same topic, counts
   what came and looks at none of it. Floor: at most 1.3 times (median of nine alternated pairs).
2. Streams at the speed of sound: so many 16 kHz streams arrive in messages of 100 ms and leave
   as frames, resampled; how many of them would fill a core. Printed, not judged.
3. Idle: 32 partitions in which nothing happens. Floor: below a tenth of a core.

The broker is Tansu (in memory), a process of its own, as is whoever sends in 2; CPU is that of
this process alone, all its threads together. Run ``python -m bench.ingest``; ``--pairs N``,
``--messages N`` and ``--seconds N`` for a quick look.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import kafka
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.broker import MESSAGE_S, STREAMS, broker, create, fill, send_live
from bench.pairs import PAIRS, Ratio
from connectors.chunks import Chunk, ReadOptions
from connectors.framed import Framed
from connectors.kafka.topic import Topic
from operators.records import ANALYSIS_RATE_HZ, Frame

Step: TypeAlias = Callable[[], float]
"""Brings what is ready, and says how much that was."""
Way: TypeAlias = Callable[[str, str], AbstractContextManager[Step]]
"""Address and topic -> how that topic is heard."""
MESSAGES = 20_000
CONNECTIONS = 5
MOST_RATIO = 1.3
MOST_IDLE = 0.1
LIVE_STREAMS = 100
LIVE_S = 20.0
IDLE_PARTITIONS = 32
WARM_S = 3.0
LONGEST_WAIT_S = 0.02
"""As long as a partition of the dataflow sleeps at most."""


@dataclass(frozen=True, slots=True)
class Live:
    """How streams at the speed of sound were heard: share of one core, seconds heard of each."""

    streams: int
    cpu_share: float
    heard_s: float

    @property
    def streams_a_core(self) -> float:
        """How many such streams would fill one core."""
        return self.streams / self.cpu_share


def main() -> int:
    """Measure, print tables, then one JSON line; non-zero where a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--streams", type=int, default=LIVE_STREAMS)
    parser.add_argument("--seconds", type=float, default=LIVE_S)
    asked = parser.parse_args()
    with broker() as address:
        fill(address, "recorded", asked.messages)
        with one_core():
            ratio = ours_against_bare(address, "recorded", asked.messages, asked.pairs)
            frame_s = framed_cost_s(address, "recorded", asked.messages)
        live = at_the_speed_of_sound(address, asked.streams, asked.seconds)
        idle = idle_share(address, asked.seconds / 2)
    held = 1 / ratio.median <= MOST_RATIO and idle < MOST_IDLE
    report(ratio, frame_s, live, idle)
    figures = {
        "bench": "ingest",
        "cpu_over_bare": round(1 / ratio.median, 3),
        "spread": [round(1 / ratio.ratios[-1], 3), round(1 / ratio.ratios[0], 3)],
        "pairs": asked.pairs,
        "message_us": round(1e6 * float(np.median(ratio.ours_s)), 1),
        "bare_us": round(1e6 * float(np.median(ratio.other_s)), 1),
        "frame_us": round(1e6 * frame_s, 1),
        "streams_a_core": round(live.streams_a_core),
        "streams_a_core_full_speed": round(MESSAGE_S / frame_s),
        "idle_share": round(idle, 4),
        "floors": {"cpu_over_bare": MOST_RATIO, "idle_share": MOST_IDLE},
        "held": held,
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if held else 1


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core: what its threads cost varies less, on either side."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def source_of(address: str, topic: str) -> Topic:
    """The source of a whole topic."""
    return Topic(topic, f"kafka://{address}/{topic}?from=earliest", ReadOptions(), None)


def framed(address: str, topic: str) -> Framed:
    """The frames of a whole topic."""
    return Framed(Topic, topic, f"kafka://{address}/{topic}?from=earliest", ReadOptions())


@contextmanager
def heard(address: str, topic: str) -> Iterator[Step]:
    """Grym's source of a topic, from the broker to its chunks."""
    source = source_of(address, topic)
    try:
        yield lambda: chunks_of(source)
    finally:
        source.close()


@contextmanager
def polled(address: str, topic: str) -> Iterator[Step]:
    """The bare loop, as the driver comes: it counts what came and looks at none of it."""
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=address, group_id=None, enable_auto_commit=False
    )
    place = kafka.TopicPartition(topic, 0)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    try:
        yield lambda: sum(map(len, consumer.poll(100).values()))
    finally:
        consumer.close()


def ours_against_bare(address: str, topic: str, count: int, pairs: int) -> Ratio:
    """CPU seconds a message of both, pair by pair; who begins alternates."""
    fill(address, "one", 1)
    sides: dict[bool, Way] = {True: heard, False: polled}
    connecting_s = {}
    for mine, way in sides.items():
        spent_s(way, address, topic, count)
        each = [spent_s(way, address, "one", 1) for _ in range(CONNECTIONS)]
        connecting_s[mine] = float(np.median(each))
    costs: dict[bool, list[float]] = {True: [], False: []}
    for number in range(pairs):
        for mine in (True, False) if number % 2 else (False, True):
            spent = spent_s(sides[mine], address, topic, count) - connecting_s[mine]
            costs[mine].append(spent / count)
    return Ratio(tuple(costs[True]), tuple(costs[False]))


def spent_s(way: Way, address: str, topic: str, count: int) -> float:
    """CPU seconds from before connecting until ``count`` messages were brought: all there are.

    Both sides fetch before they are asked, some thousand messages at a time; only from the very
    beginning to the very end is it the same work. Connecting is measured by a topic of one
    message and taken off.
    """
    began_s = time.process_time()
    with way(address, topic) as step:
        brought = 0.0
        while brought < count:
            brought += step()
        return time.process_time() - began_s


def chunks_of(source: Topic) -> int:
    """Ask once, and sleep as the dataflow would where there was nothing."""
    brought = sum(isinstance(item, Chunk) for item in source.next())
    rest(source.wait_ns)
    return brought


def rest(wait_ns: int) -> None:
    """Sleep as a partition of the dataflow does."""
    if wait_ns:
        time.sleep(min(wait_ns / 1e9, LONGEST_WAIT_S))


def framed_cost_s(address: str, topic: str, count: int) -> float:
    """CPU seconds for 100 ms up to the delivered frames, resampling included, at full speed."""
    reader = framed(address, topic)
    # Nothing ends the streams, so that the last of each stays in its resampler.
    amount_s = (count - STREAMS * 10) * MESSAGE_S
    try:
        first_s = 0.0
        while not first_s:
            first_s = frames_s(reader)
        began_s, heard_s = time.process_time(), first_s
        while heard_s < amount_s:
            heard_s += frames_s(reader)
        return MESSAGE_S * (time.process_time() - began_s) / (heard_s - first_s)
    finally:
        reader.close()


def frames_s(reader: Framed) -> float:
    """Seconds of audio in the frames that are ready; sleeps as the dataflow where none are."""
    frames = [item for item in reader.next() if isinstance(item, Frame)]
    rest(reader.wait_ns)
    return sum(len(frame.samples) for frame in frames) / ANALYSIS_RATE_HZ


def at_the_speed_of_sound(address: str, streams: int, seconds: float) -> Live:
    """Hear streams that another process sends as microphones would."""
    topic = "live"
    create(address, topic, 1)
    context = multiprocessing.get_context("spawn")
    sender = context.Process(
        target=send_live, args=(address, topic, streams, seconds + 2 * WARM_S), daemon=True
    )
    reader = framed(address, topic)
    sender.start()
    try:
        while not frames_s(reader):
            pass
        listen(reader, WARM_S)
        began_s = time.process_time()
        heard_s = listen(reader, seconds)
        share = (time.process_time() - began_s) / seconds
    finally:
        reader.close()
        sender.terminate()
        sender.join()
    return Live(streams, share, heard_s / streams)


def listen(reader: Framed, seconds: float) -> float:
    """Run for so long, as the dataflow would; seconds of audio heard."""
    until_s = time.monotonic() + seconds
    heard_s = 0.0
    while time.monotonic() < until_s:
        heard_s += frames_s(reader)
    return heard_s


def idle_share(address: str, seconds: float) -> float:
    """Share of a core while nothing arrives on 32 partitions."""
    create(address, "idle", IDLE_PARTITIONS)
    reader = framed(address, "idle")
    try:
        listen(reader, WARM_S)
        began_s = time.process_time()
        listen(reader, seconds)
        return (time.process_time() - began_s) / seconds
    finally:
        reader.close()


def report(ratio: Ratio, frame_s: float, live: Live, idle: float) -> None:
    """Tables for a person."""
    console = Console(stderr=True)
    table = Table("pair", "grym us", "bare us", "grym / bare", title="CPU a message of 3.2 KB")
    for number, (ours, other) in enumerate(zip(ratio.ours_s, ratio.other_s, strict=True), 1):
        table.add_row(str(number), f"{1e6 * ours:.1f}", f"{1e6 * other:.1f}", f"{ours / other:.3f}")
    table.add_row("median", "", "", f"{1 / ratio.median:.3f}")
    console.print(table)
    table = Table("figure", "value", title="up to the delivered frame")
    table.add_row("CPU a frame of 100 ms at full speed", f"{1e6 * frame_s:.1f} us")
    table.add_row(f"{live.streams} live streams, share of a core", f"{live.cpu_share:.3f}")
    table.add_row("heard of each", f"{live.heard_s:.1f} s")
    table.add_row("live streams a core", f"{live.streams_a_core:.0f}")
    table.add_row(f"idle, {IDLE_PARTITIONS} partitions, share of a core", f"{idle:.4f}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
