import os
import signal
from collections.abc import Callable

import pytest

from connectors.microphone import probe as probing
from connectors.microphone.look import look
from connectors.microphone.probe import Probe
from connectors.microphone.target import Target
from tests.plugins.sound import SoundServer

Eventually = Callable[[Callable[[], object]], bool]


def test_a_look_says_what_is_in_the_way_of_each_microphone(sound: SoundServer) -> None:
    del sound
    nothing, unknown, channel, rate = look(
        [("porch", 1, 0), ("attic", None, 0), ("barn", 40, 0), ("barn", None, 10_000_000)]
    )
    assert nothing == ""
    assert unknown.startswith("there is no input device called 'attic'")
    assert channel == "microphone 'barn' has no channel 40; it has 32"
    assert "Invalid sample rate" in rate


def test_a_device_that_is_there_but_silent_is_not_back(sound: SoundServer) -> None:
    del sound
    assert look([("porch", None, 0)], first_s=0.0) == ["it is there, but no audio comes from it"]


def test_a_probe_answers_without_being_waited_for(
    sound: SoundServer, eventually: Eventually
) -> None:
    del sound
    probe = Probe([(Target("porch"), 16_000), (Target("attic"), 0)])
    answers: list[list[str] | None] = []
    assert eventually(lambda: answers.append(probe.answer()) or answers[-1] is not None)
    assert answers[0] is None
    assert answers[-1] is not None
    assert answers[-1][0] == ""
    assert "'attic'" in answers[-1][1]
    probe.close()


def test_a_probe_that_meets_a_frozen_sound_server_is_ended_in_time(
    sound: SoundServer, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "PATIENCE_S", 1.0)
    sound.freeze()
    try:
        probe = Probe([(Target("porch"), 0), (Target("barn"), 0)])
        answers: list[list[str] | None] = []
        assert eventually(lambda: answers.append(probe.answer()) or answers[-1] is not None)
    finally:
        sound.thaw()
    assert answers[-1] == ["the sound system does not answer"] * 2


def test_a_closed_probe_leaves_no_process(sound: SoundServer) -> None:
    del sound
    probe = Probe([(Target("porch"), 0)])
    number = probe._child.pid
    probe.close()
    probe.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, signal.SIG_DFL)
