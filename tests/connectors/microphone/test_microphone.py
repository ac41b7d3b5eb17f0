"""Against a real sound server: played to a virtual microphone, captured by PortAudio."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from connectors.chunks import Chunk, ReadOptions, Resume
from connectors.microphone import MicOptions, Microphone
from connectors.microphone.errors import SoundError
from operators.records import Failure
from tests.plugins.sound import SoundServer

if TYPE_CHECKING:
    from tests.connectors.microphone.conftest import Ears

Recording = Callable[..., tuple[Path, np.ndarray]]
HALF_S = 8_000


def heard_all(samples: np.ndarray, played: np.ndarray) -> bool:
    """As much has been captured from the first sound on as was played from there."""
    sounding = np.flatnonzero(samples.any(axis=1))
    return len(sounding) > 0 and len(samples) - sounding[0] >= len(played) - HALF_S


def as_played(samples: np.ndarray, played: np.ndarray) -> np.ndarray:
    """What was captured from the first sound on, in the scale of 16 bit."""
    first = np.flatnonzero(samples.any(axis=1))[0]
    return samples[first : first + len(played) - HALF_S] * 32_768


@pytest.mark.parametrize("target", ["default", "porch", "Orc"])
def test_what_is_played_is_captured_bit_for_bit(
    target: str, sound: SoundServer, ears: "Ears", recording: Recording
) -> None:
    path, played = recording()
    ears.open(target)
    ears.until(lambda: ears.chunks(target))
    before_ns = time.time_ns()
    sound.play(path)
    ears.until(lambda: heard_all(ears.samples(target), played))

    assert np.array_equal(as_played(ears.samples(target), played), played[HALF_S:])
    assert ears.states(target) == ["connecting", "live"]
    assert not ears.failures(target)
    chunks = ears.chunks(target)
    assert [chunk.joined for chunk in chunks] == [False] + [True] * (len(chunks) - 1)
    assert {(chunk.rate_hz, chunk.samples.shape) for chunk in chunks} == {(16_000, (1_600, 1))}
    assert abs(chunks[0].start_ns - before_ns) < 60e9


def test_each_channel_is_captured_bit_for_bit_and_two_microphones_do_not_mix(
    sound: SoundServer, ears: "Ears", recording: Recording
) -> None:
    porch, porch_played = recording(seed=2)
    barn, barn_played = recording(channels=2, seed=3)
    ears.open("porch", "a")
    ears.open("barn,2", "b")
    ears.until(lambda: ears.chunks("a") and ears.chunks("b"))
    sound.play(porch)
    sound.play(barn, to="barn")
    ears.until(lambda: heard_all(ears.samples("a"), porch_played))
    ears.until(lambda: heard_all(ears.samples("b"), barn_played))

    assert np.array_equal(as_played(ears.samples("a"), porch_played), porch_played[HALF_S:])
    right = barn_played[HALF_S:, 1:]
    assert np.array_equal(as_played(ears.samples("b"), barn_played), right)


def test_a_microphone_is_captured_at_its_own_rate_unless_told_otherwise(ears: "Ears") -> None:
    ears.open("porch", options=None)
    ears.open("barn", options=MicOptions())
    ears.until(lambda: ears.chunks("porch") and ears.chunks("barn"))
    assert ears.chunks("porch")[0].rate_hz == 16_000
    assert ears.chunks("barn")[0].rate_hz == 44_100


@pytest.mark.parametrize(
    ("target", "reason", "said"),
    [
        ("attic", "no_device", "mic:attic: there is no input device called 'attic'; there are: "),
        ("a", "ambiguous_device", "mic:a: 'a' may be any of these input devices: "),
        ("porch,33", "no_channel", "mic:porch,33: microphone 'porch' has no channel 33; it has 32"),
    ],
)
def test_a_microphone_that_is_not_there_has_failed_and_nothing_follows(
    target: str, reason: str, said: str, ears: "Ears"
) -> None:
    microphone = ears.open(target)
    ears.until(lambda: microphone.done)
    (failure,) = ears.failures(target)
    assert failure.fatal_source
    assert failure.reason == reason
    assert failure.detail.startswith(said)
    if reason != "no_channel":
        assert "'default'" in failure.detail
        assert "'barn'" in failure.detail
    assert microphone.next() == []


def test_without_a_sound_server_it_says_that_there_is_no_device(
    sound: SoundServer, ears: "Ears"
) -> None:
    sound.kill()
    microphone = ears.open("default")
    ears.until(lambda: microphone.done)
    (failure,) = ears.failures("default")
    assert failure.detail == "mic:default: this machine has no audio input device"
    assert "start the sound server" in failure.remedy


def test_a_flow_too_busy_to_ask_loses_the_oldest_audio_and_hears_how_much(
    ears: "Ears", eventually: Callable[[Callable[[], object]], bool]
) -> None:
    microphone = ears.open("porch", options=MicOptions(rate_hz=16_000, buffer_s=0.3))
    ears.until(lambda: ears.states("porch") == ["connecting", "live"])
    before = ears.chunks("porch")
    newest = microphone._feed._capture
    assert newest is not None
    asked = newest._position
    assert eventually(lambda: newest._position - asked >= 10 * 1_600)
    assert microphone.lag_s == pytest.approx(0.3)
    assert microphone.wait_ns == 0
    ears.until(lambda: len(ears.chunks("porch")) > len(before) + 4)

    (failure,) = ears.failures("porch")
    assert failure.reason == "gap"
    assert "buffer_full" in failure.detail
    chunks = ears.chunks("porch")
    (where,) = [k for k, chunk in enumerate(chunks) if k and not chunk.joined]
    last, cut = chunks[where - 1], chunks[where]
    lost_s = (cut.start_ns - last.start_ns) / 1e9 - 0.1
    assert f"{lost_s:.1f}" == failure.detail.split("buffer_full, ")[1][:3]
    assert lost_s >= 0.6


def test_what_was_captured_is_returned_when_the_run_is_stopped_a_second_a_call(
    ears: "Ears", eventually: Callable[[Callable[[], object]], bool]
) -> None:
    microphone = ears.open("porch")
    ears.until(lambda: ears.chunks("porch") and "live" in ears.states("porch"))
    assert eventually(lambda: len(microphone._feed.blocks) > 12)
    before = ears.chunks("porch")[-1]
    calls = []
    while items := microphone.next():
        calls.append(len(items))
        ears.heard["porch"] += items
    assert calls[0] == 10
    assert sum(calls) > 12
    assert all(chunk.joined for chunk in ears.chunks("porch")[1:])
    assert ears.chunks("porch")[-1].start_ns - before.start_ns > 1.2e9


def test_what_was_captured_before_the_device_failed_comes_before_that(
    ears: "Ears", eventually: Callable[[Callable[[], object]], bool]
) -> None:
    microphone = ears.open("porch")
    ears.until(lambda: ears.chunks("porch") and "live" in ears.states("porch"))
    assert eventually(lambda: len(microphone._feed.blocks) > 12)
    microphone._feed.fail(SoundError("error", "it broke", "mend it"))
    waiting = len(microphone._feed.blocks)
    items = microphone.next()
    assert len(items) == 10
    assert not microphone.done
    while not microphone.done:
        items += microphone.next()
    assert len(items) >= waiting + 1
    assert isinstance(items[-1], Failure)
    assert all(isinstance(item, Chunk) for item in items[:-1])


def test_closing_twice_is_fine_and_releases_the_device(ears: "Ears") -> None:
    microphone = ears.open("porch")
    ears.until(lambda: ears.chunks("porch"))
    microphone.close()
    assert microphone._feed.closed.wait(10)
    microphone.close()
    assert microphone.done
    assert microphone.next() == []
    assert microphone.snapshot() == {"version": 1}
    assert microphone.total_s is None
    assert microphone.lag_s == 0
    again = ears.open("porch", "again")
    ears.until(lambda: ears.chunks("again"))
    assert not again.done


def test_nothing_is_opened_before_it_is_asked_and_closing_that_is_fine() -> None:
    microphone = Microphone("porch", "mic:porch", ReadOptions(), Resume({"version": 1}))
    microphone.close()
    assert not microphone._feed.closed.is_set()
    assert microphone.snapshot() == {"version": 1}


def test_a_resume_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="a resume state of version 2"):
        Microphone("porch", "mic:porch", ReadOptions(), Resume({"version": 2}))
