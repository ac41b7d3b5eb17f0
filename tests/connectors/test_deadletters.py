import json
import logging
import resource
from pathlib import Path

import pytest

from connectors.deadletters import DeadLetters
from operators.records import Failure, Verdict


def failure(detail: str = "what") -> Failure:
    return Failure("mic", "store", "rejected", detail, "do this", 1.5)


def letters(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_failure_and_a_dead_window_are_kept_with_their_reasons(tmp_path: Path) -> None:
    log = DeadLetters(tmp_path / "new" / "letters.jsonl")
    log.append(failure())
    log.append(Verdict("mic", 0, 123, "logmel-00000000-8", "dead", "breaker_open"))
    log.close()
    first, second = letters(log.path)
    assert first["at"]
    del first["at"], second["at"]
    assert first == {
        "event": "failure",
        "stream": "mic",
        "stage": "store",
        "reason": "rejected",
        "detail": "what",
        "remedy": "do this",
        "start_s": 1.5,
    }
    assert second == {
        "event": "window",
        "stream": "mic",
        "start_ns": 123,
        "space": "logmel-00000000-8",
        "verdict": "dead",
        "reason": "breaker_open",
    }
    assert log.lost == 0


def test_reopening_goes_on_where_it_ended_even_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    DeadLetters(path).append(failure("one"))
    with path.open("ab") as torn:
        torn.write(b'{"half')
    DeadLetters(path).append(failure("two"))
    lines = path.read_text().splitlines()
    assert [json.loads(lines[n])["detail"] for n in (0, 2)] == ["one", "two"]


def test_two_files_stay_within_the_bound_and_hold_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    log = DeadLetters(path, max_bytes=4_000)
    for number in range(100):
        log.append(failure(str(number)))
    older = path.with_name("letters.jsonl.1")
    assert path.stat().st_size + older.stat().st_size <= 4_000
    kept = [letter["detail"] for letter in letters(older) + letters(path)]
    assert kept == [str(number) for number in range(100 - len(kept), 100)]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [path.name, older.name]


def test_closing_twice_is_harmless_and_an_unwritable_place_is_told(tmp_path: Path) -> None:
    log = DeadLetters(tmp_path / "letters.jsonl")
    log.close()
    log.close()
    with pytest.raises(OSError, match="letters"):
        DeadLetters(tmp_path / "letters.jsonl" / "below")


def test_a_letter_after_the_close_is_counted_and_harms_nobody(tmp_path: Path) -> None:
    log = DeadLetters(tmp_path / "letters.jsonl")
    log.append(failure("kept"))
    log.close()
    log.append(failure("late"))
    assert log.lost == 1
    assert [letter["detail"] for letter in letters(log.path)] == ["kept"]


def test_letters_that_the_disk_refuses_are_counted_and_said_once_until_it_takes_them_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = DeadLetters(tmp_path / "letters.jsonl")
    log.append(failure("before"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with caplog.at_level(logging.WARNING):
        for number in (2, 4):
            size = log.path.stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
            try:
                log.append(failure("no room"))
                log.append(failure("no room"))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert log.lost == number
            log.append(failure("after"))
    assert [letter["detail"] for letter in letters(log.path)] == ["before", "after", "after"]
    assert len(caplog.records) == 2
    assert str(log.path) in caplog.text


def test_a_file_that_cannot_be_put_aside_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    log = DeadLetters(path, max_bytes=600)
    older = path.with_name("letters.jsonl.1")
    (older / "in the way").mkdir(parents=True)
    for number in range(4):
        log.append(failure(str(number)))
    assert log.lost > 0
    assert len(letters(path)) + log.lost == 4
    (older / "in the way").rmdir()
    older.rmdir()
    log.append(failure("at last"))
    assert letters(path)[-1]["detail"] == "at last"
