import ctypes.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.microphone.devices import Device, Opening, opening
from connectors.microphone.errors import SoundError
from connectors.microphone.options import MicOptions
from connectors.microphone.portaudio import PortAudio
from connectors.microphone.target import Target
from tests.plugins.sound import SoundServer

ROOT = Path(__file__).resolve().parents[3]
WITHOUT_LIBRARY = """
import ctypes.util
found = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if "portaudio" in name else found(name)
"""
LISTEN = """
import json
from connectors.chunks import ReadOptions
from connectors.microphone import Microphone
import connectors.files
microphone = Microphone("porch", "mic:default", ReadOptions(), None)
items = []
while not microphone.done:
    items += microphone.next()
microphone.close()
last = items[-1]
print(json.dumps([last.fatal_source, last.reason, last.detail, last.remedy]))
"""


def test_without_the_library_only_the_microphone_fails_and_says_what_to_install(
    tmp_path: Path,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_LIBRARY)
    ran = subprocess.run(
        [sys.executable, "-c", LISTEN],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(ran.stdout) == [
        True,
        "no_portaudio",
        "mic:default: PortAudio is not installed",
        "apt-get install libportaudio2 (Debian, Ubuntu), brew install portaudio (macOS)",
    ]
    assert ran.stderr == ""


def test_without_the_library_there_are_no_devices_and_a_line_that_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda _name: None)
    with pytest.raises(SoundError) as missing:
        PortAudio().devices()
    assert str(missing.value) == (
        "PortAudio is not installed;"
        " apt-get install libportaudio2 (Debian, Ubuntu), brew install portaudio (macOS)"
    )


def test_without_sounddevice_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(
        SoundError, match=r"sounddevice is not installed .*; pip install"
    ) as missing:
        PortAudio().start()
    assert missing.value.reason == "no_portaudio"


def test_a_library_that_does_not_start_is_a_line_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise RuntimeError('Internal\\nPortAudio error')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SoundError, match="does not start: Internal PortAudio error; ") as broken:
        PortAudio().start()
    assert broken.value.reason == "portaudio"


def test_devices_are_listed_with_what_they_are(sound: SoundServer) -> None:
    del sound
    portaudio = PortAudio()
    try:
        devices = {device.name: device for device in portaudio.devices()}
    finally:
        portaudio.stop()
    assert {"porch", "barn", "default"} <= set(devices)
    assert [device.name for device in devices.values() if device.default] == ["default"]
    assert devices["barn"].host_api == "ALSA"
    assert devices["barn"].mixes


def test_a_stopped_portaudio_is_started_when_it_is_asked_again(sound: SoundServer) -> None:
    portaudio = PortAudio()
    portaudio.stop()
    assert "barn" in {device.name for device in portaudio.devices()}
    portaudio.stop()
    sound.kill("barn")
    assert "barn" not in {device.name for device in portaudio.devices()}
    portaudio.stop()


def test_a_device_that_cannot_be_opened_so_is_refused_in_one_line(sound: SoundServer) -> None:
    del sound
    portaudio = PortAudio()
    try:
        plan = opening(portaudio.devices(), Target("porch"), MicOptions(rate_hz=10_000_000))
        with pytest.raises(SoundError) as refused:
            portaudio.open(plan, lambda *_: None, lambda: None)
    finally:
        portaudio.stop()
    assert refused.value.reason == "cannot_open"
    assert refused.value.detail == (
        "microphone 'porch' cannot be opened with 1 channel at 10000000 Hz:"
        " Error opening RawInputStream: Invalid sample rate"
    )


def test_a_device_number_of_an_earlier_start_is_refused_not_mistaken(sound: SoundServer) -> None:
    del sound
    portaudio = PortAudio()
    gone = Device(999, "gone", 2, 48_000, "ALSA", default=False)
    try:
        with pytest.raises(SoundError, match="'gone' cannot be opened with 2 channels"):
            portaudio.open(Opening(gone, 2, 48_000), lambda *_: None, lambda: None)
    finally:
        portaudio.stop()
