"""When audio was handed over."""

import numpy as np

from operators.records import Frame
from operators.segment.arrivals import MOST_FRAMES, Arrivals


def frame(index: int, delivered_ns: int, traceparent: str = "") -> Frame:
    return Frame("s", index, np.zeros(10, np.float32), 0, False, delivered_ns, traceparent)


def test_a_sample_came_with_the_frame_that_holds_it() -> None:
    arrivals = Arrivals()
    for index in (0, 10, 20):
        arrivals.note(frame(index, 100 + index, f"t{index}"))
    assert arrivals.at(0) == (100, "t0")
    assert arrivals.at(9) == (100, "t0")
    assert arrivals.at(10) == (110, "t10")
    assert arrivals.at(99) == (120, "t20")


def test_what_another_process_heard_is_not_known() -> None:
    arrivals = Arrivals()
    arrivals.note(frame(50, 7))
    assert arrivals.at(49) == (0, "")


def test_a_duplicate_does_not_count() -> None:
    arrivals = Arrivals()
    arrivals.note(frame(10, 1, "first"))
    arrivals.note(frame(10, 2, "again"))
    arrivals.note(frame(0, 3, "late"))
    assert arrivals.at(15) == (1, "first")


def test_the_end_of_a_stream_holds_no_sample() -> None:
    arrivals = Arrivals()
    arrivals.note(frame(0, 1, "before"))
    arrivals.note(Frame("s", 10, np.zeros(0, np.float32), 0, True, 2, "end"))
    arrivals.note(frame(10, 9, "after"))
    assert arrivals.at(10) == (9, "after")


def test_the_latest_frames_are_remembered() -> None:
    arrivals = Arrivals()
    for index in range(0, 100_000, 10):
        arrivals.note(frame(index, index))
    assert len(arrivals._starts) == len(arrivals._noted) <= MOST_FRAMES
    assert arrivals.at(99_950) == (99_950, "")
