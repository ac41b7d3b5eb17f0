"""Frames out of pieces, and where a resumed run goes on."""

import numpy as np

from connectors.cut import Cutter, Passing, Piece, ResumePoint
from connectors.resample import Span
from operators.records import Failure

FAILED = Failure("s", "source", "nan", "", "", 0.0)


def span(first: int, end: int) -> Span:
    return Span(first, np.arange(first, end, dtype=np.float32))


def mark(name: str) -> dict[str, str]:
    return {"at": name}


def cutter(pieces: list[Piece], resume: ResumePoint | None = None) -> Cutter:
    made = Cutter(10, resume or ResumePoint(mark("start")))
    for piece in pieces:
        made.push(piece)
    return made


def drain(source: Cutter) -> list[tuple[int, int] | Failure]:
    out: list[tuple[int, int] | Failure] = []
    while source.ready(flush=True) is not None:
        piece = source.take()
        if isinstance(piece, Span):
            assert np.array_equal(piece.samples, np.arange(len(piece.samples)) + piece.index)
            out.append((piece.index, len(piece.samples)))
        else:
            out.append(piece)
    return out


def test_frames_are_full_except_before_a_gap_a_failure_and_the_end() -> None:
    pieces = [span(0, 25), span(25, 33), span(50, 61), FAILED, span(61, 74)]
    assert drain(cutter(pieces)) == [
        (0, 10), (10, 10), (20, 10), (30, 3), (50, 10), (60, 1), FAILED, (61, 10), (71, 3)
    ]  # fmt: skip


def test_a_short_frame_waits_until_it_is_known_to_be_complete() -> None:
    source = cutter([span(0, 7)])
    assert source.ready(flush=False) is None
    source.push(span(7, 9))
    assert source.ready(flush=False) is None
    source.push(span(20, 22))
    assert source.ready(flush=False) == 9


def test_a_mark_counts_once_everything_before_it_was_delivered() -> None:
    source = cutter([span(0, 15), FAILED, Passing(mark("later")), span(15, 40), FAILED])
    assert source.resume == ResumePoint(mark("start"), 0, 0)
    source.take()
    source.take()
    source.take()
    assert source.resume == ResumePoint(mark("start"), 15, 1)
    assert source.ready(flush=False) == 25
    assert source.resume == ResumePoint(mark("later"), 15, 0)


def test_a_mark_within_a_frame_is_passed_with_the_frame() -> None:
    source = cutter([span(0, 5), Passing(mark("within")), span(5, 12)])
    assert source.ready(flush=False) == 10
    source.take()
    assert source.resume == ResumePoint(mark("within"), 10, 0)


def test_what_was_delivered_before_is_dropped_when_it_is_read_again() -> None:
    pieces = [span(0, 12), FAILED, span(30, 44), FAILED]
    assert drain(cutter(pieces, ResumePoint(mark("start"), 33, 1))) == [(33, 10), (43, 1), FAILED]
