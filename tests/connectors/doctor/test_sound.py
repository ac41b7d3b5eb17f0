import ctypes.util
import sys

import pytest

from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding
from connectors.doctor.sound import check
from connectors.microphone.devices import Device
from connectors.microphone.errors import SoundError
from connectors.microphone.portaudio import PortAudio

BARN = Device(0, "barn: USB (hw:1,0)", 2, 48_000, "ALSA", False)
PORCH = Device(1, "porch", 32, 44_100, "ALSA", True)


def found(*microphones: str) -> list[Finding]:
    return list(check(Asked(microphones=microphones), 3.0))


def has(monkeypatch: pytest.MonkeyPatch, *devices: Device) -> None:
    monkeypatch.setattr(PortAudio, "devices", lambda _self: devices)


@pytest.mark.parametrize(("asked", "status"), [((), "note"), (("mic:default",), "broken")])
def test_without_portaudio_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...], status: str
) -> None:
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda _name: None)
    (finding,) = found(*asked)
    assert (finding.check, finding.status) == ("sound", status)
    assert finding.detail == "PortAudio is not installed"
    assert "apt-get install libportaudio2" in str(finding.remedy)


@pytest.mark.parametrize(("asked", "status"), [((), "note"), (("mic:barn",), "broken")])
def test_no_microphone_is_a_defect_only_where_one_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...], status: str
) -> None:
    has(monkeypatch)
    (finding,) = found(*asked)
    assert finding.status == status
    assert "plug a microphone in" in str(finding.remedy)


def test_a_sound_system_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_self: PortAudio) -> None:
        raise SoundError("portaudio", "PortAudio does not start: no", "look after it")

    monkeypatch.setattr(PortAudio, "devices", fails)
    assert found() == [Finding("sound", "note", "PortAudio does not start: no", "look after it")]


def test_microphones_are_counted_and_those_asked_for_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has(monkeypatch, BARN, PORCH)
    listed, barn, channel, attic = found("mic:barn", "mic:barn,3", "mic:attic")
    assert listed == Finding("sound", "ok", "2 input devices, the default is 'porch'")
    assert barn == Finding("sound", "ok", f"mic:barn: '{BARN.name}', 2 channels at 48000 Hz")
    assert (channel.status, attic.status) == ("broken", "broken")
    assert "has no channel 3" in channel.detail
    assert "no input device called 'attic'" in attic.detail


def test_no_default_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, BARN)
    assert [finding.status for finding in found("mic:barn")] == ["ok", "ok"]
