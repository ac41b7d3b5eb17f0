"""Against a real sound server that dies, freezes and comes back."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from connectors.chunks import Chunk, Clock
from connectors.microphone import MicOptions
from connectors.microphone import probe as probing
from connectors.microphone.probe import Probe
from connectors.microphone.supervisor import CLOSE_S, SUPERVISOR
from connectors.microphone.target import Target
from operators.records import Failure
from tests.plugins.sound import SoundServer

if TYPE_CHECKING:
    from tests.connectors.microphone.conftest import Ears

LISTEN = """
import sys
from connectors.chunks import Chunk, ReadOptions
from connectors.microphone import Microphone
microphone = Microphone("porch", "mic:porch", ReadOptions(), None)
while not any(isinstance(item, Chunk) for item in microphone.next()):
    pass
print("heard", flush=True)
sys.stdin.readline()
"""
FAST = MicOptions(rate_hz=16_000, retry_s=0.1, retry_most_s=0.2)


def live_again(ears: "Ears", name: str) -> bool:
    states = ears.states(name)
    return "degraded" in states and states[-1] == "live" and ears.chunks(name)[-1].joined


def assert_one_counted_gap(ears: "Ears", name: str, why: str) -> float:
    """One failure, before the one chunk that does not join; the seconds between are counted."""
    (failure,) = ears.failures(name)
    assert failure.reason == "gap"
    assert failure.detail.startswith(f"mic:{name}: device_lost, about ")
    assert why in failure.detail
    items = [item for item in ears.heard[name] if isinstance(item, Failure | Chunk)]
    (where,) = [k for k, item in enumerate(items) if item is failure]
    last, cut = items[where - 1], items[where + 1]
    assert isinstance(last, Chunk)
    assert isinstance(cut, Chunk)
    assert sum(not chunk.joined for chunk in ears.chunks(name)) == 2
    lost_s = (cut.start_ns - last.start_ns) / 1e9 - 0.1
    said_s = float(failure.detail.partition("about ")[2].partition(" s")[0])
    assert said_s == pytest.approx(lost_s, abs=0.005)  # event time is slewed in between
    return lost_s


def test_a_sound_server_killed_and_started_again_costs_only_what_was_not_captured(
    sound: SoundServer, ears: "Ears", capfd: pytest.CaptureFixture[str]
) -> None:
    names = ("porch", "default")
    for name in names:
        ears.open(name, options=FAST)
    ears.until(lambda: all(len(ears.chunks(name)) > 5 for name in names))
    sound.kill()
    ears.until(lambda: all("no audio input device" in str(ears.heard[name]) for name in names))
    sound.start()
    ears.until(lambda: all(live_again(ears, name) for name in names))

    for name in names:
        states = ears.states(name)
        assert states[:3] == ["connecting", "live", "degraded"]
        assert states[-1] == "live"
        assert_one_counted_gap(ears, name, "the device is gone or its sound server ended")
    assert capfd.readouterr().err == ""


def test_a_frozen_sound_server_is_noticed_by_its_silence_and_taken_back_when_it_thaws(
    sound: SoundServer, ears: "Ears"
) -> None:
    ears.open("porch", options=FAST)
    ears.until(lambda: len(ears.chunks("porch")) > 5)
    sound.freeze()
    try:
        ears.until(lambda: "degraded" in ears.states("porch"))
    finally:
        sound.thaw()
    ears.until(lambda: live_again(ears, "porch"))
    assert assert_one_counted_gap(ears, "porch", "no audio for 1 s") >= 1.0


def test_a_frozen_sound_server_does_not_hold_up_whoever_closes(
    sound: SoundServer, ears: "Ears"
) -> None:
    microphone = ears.open("porch", options=FAST)
    ears.until(lambda: ears.chunks("porch"))
    sound.freeze()
    try:
        ears.until(lambda: "degraded" in ears.states("porch"))
        microphone.close()
        assert not microphone._feed.closed.is_set()
    finally:
        sound.thaw()
    assert microphone._feed.closed.wait(10)


def test_closing_waits_for_nobody(sound: SoundServer, ears: "Ears") -> None:
    microphone = ears.open("porch", options=FAST)
    ears.until(lambda: ears.chunks("porch"))
    asked: list[float | None] = []
    microphone._feed.closed.wait = asked.append  # type: ignore[method-assign, assignment]
    sound.freeze()
    try:
        microphone.close()
        assert asked == []
        SUPERVISOR._release_all()
        assert len(asked) == 1
        assert asked[0] is not None
        assert 0 <= asked[0] <= CLOSE_S
    finally:
        sound.thaw()


def test_while_another_is_heard_it_is_cut_off_only_once_the_lost_one_is_back(
    sound: SoundServer, ears: "Ears"
) -> None:
    for name in ("porch", "barn"):
        ears.open(name, options=FAST)
    ears.until(lambda: all(len(ears.chunks(name)) > 5 for name in ("porch", "barn")))
    sound.kill("barn")
    ears.until(lambda: "no input device called 'barn'" in str(ears.heard["barn"]))
    unplugged = len(ears.chunks("porch"))
    ears.until(lambda: len(ears.chunks("porch")) > unplugged + 20)
    assert not ears.failures("porch")
    sound.start("barn")
    ears.until(lambda: live_again(ears, "barn") and ears.failures("porch"))
    ears.until(lambda: ears.chunks("porch")[-1].joined)

    assert_one_counted_gap(ears, "barn", "the device is gone")
    assert_one_counted_gap(ears, "porch", "the sound system was started anew to take back mic:barn")
    assert ears.states("porch") == ["connecting", "live"]


def test_closing_ends_a_look_at_a_lost_microphone(sound: SoundServer, ears: "Ears") -> None:
    for name in ("porch", "barn"):
        ears.open(name, options=FAST)
    ears.until(lambda: all(ears.chunks(name) for name in ("porch", "barn")))
    sound.kill("barn")
    ears.until(lambda: SUPERVISOR._probe is not None)
    thread = SUPERVISOR._thread
    assert thread is not None
    ears.close()
    thread.join(10)
    assert SUPERVISOR._probe is None


def test_a_machine_that_starts_no_process_to_look_for_a_lost_one_puts_it_off(
    sound: SoundServer, ears: "Ears", monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("porch", "barn"):
        ears.open(name, options=FAST)
    ears.until(lambda: all(ears.chunks(name) for name in ("porch", "barn")))
    with monkeypatch.context() as full:
        full.setattr(probing.sys, "executable", "/nowhere/python")
        sound.kill("barn")
        ears.until(lambda: "it cannot be looked for (No such file" in str(ears.heard["barn"]))
        heard = len(ears.chunks("porch"))
        ears.until(lambda: len(ears.chunks("porch")) > heard + 5)
    assert not ears.failures("porch")
    assert not ears.failures("barn")
    sound.start("barn")
    ears.until(lambda: live_again(ears, "barn"))


@pytest.mark.parametrize("answer", ["[]", '["", "", ""]', "7", "no JSON", "null"])
def test_a_look_that_answers_nonsense_says_nothing_of_any_microphone(
    answer: str,
    eventually: Callable[[Callable[[], object]], bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\nprintf '%s' '{answer}'\n")
    script.chmod(0o700)
    monkeypatch.setattr(probing.sys, "executable", str(script))
    probe = Probe([(Target("porch"), 0), (Target("barn"), 0)])
    answers: list[list[str] | None] = []
    assert eventually(lambda: answers.append(probe.answer()) or answers[-1] is not None)
    assert answers[-1] == ["the sound system does not answer"] * 2


def test_an_error_nobody_foresaw_while_looking_ends_the_lost_one_and_no_other(
    sound: SoundServer, ears: "Ears", monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("porch", "barn"):
        ears.open(name, options=FAST)
    ears.until(lambda: all(ears.chunks(name) for name in ("porch", "barn")))
    monkeypatch.setattr(Probe, "answer", lambda _probe: ["too", "many", "answers"])
    sound.kill("barn")
    ears.until(lambda: ears.failures("barn"))
    heard = len(ears.chunks("porch"))
    ears.until(lambda: len(ears.chunks("porch")) > heard + 5)
    (failure,) = ears.failures("barn")
    assert failure.fatal_source
    assert "unexpected ValueError" in failure.detail
    assert not ears.failures("porch")


def test_an_error_nobody_foresaw_ends_the_microphone_it_is_about_and_no_other(
    ears: "Ears",
) -> None:
    moments = iter((1, 2))
    stopped = Clock(steady_ns=lambda: next(moments))
    microphone = ears.open("barn", clock=stopped)
    ears.open("porch")
    ears.until(lambda: microphone.done and len(ears.chunks("porch")) > 3)
    (failure,) = ears.failures("barn")
    assert failure.fatal_source
    assert failure.detail == "mic:barn: unexpected StopIteration: no further word"
    assert not ears.failures("porch")


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_process_ends_whether_it_closed_its_microphones_just_before_or_not(
    frozen: bool, closes: bool, sound: SoundServer, program: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = program(LISTEN + "microphone.close()\n" * closes)
    assert process.stdout is not None
    assert process.stdout.readline() == "heard\n"
    if frozen:
        sound.freeze()
    try:
        process.communicate("go\n", timeout=20)
    finally:
        sound.thaw()
    assert process.returncode == 0


def test_the_supervisor_rests_when_the_last_microphone_is_closed(ears: "Ears") -> None:
    microphone = ears.open("porch")
    ears.until(lambda: ears.chunks("porch"))
    thread = SUPERVISOR._thread
    assert thread is not None
    microphone.close()
    thread.join(10)
    assert not thread.is_alive()
    assert SUPERVISOR._thread is None
