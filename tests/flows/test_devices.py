import ctypes.util
import json
import sys

import pytest
import typer
from typer.testing import CliRunner

from flows.cli import devices
from flows.errors import GrymError
from tests.plugins.sound import SoundServer


def run(*arguments: str) -> str:
    app = typer.Typer()
    devices.add_to(app)
    ran = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert ran.exit_code == 0
    return ran.output


def test_every_device_is_an_object_on_a_line_with_what_to_type(sound: SoundServer) -> None:
    del sound
    rows = {row["name"]: row for row in map(json.loads, run("--json").splitlines())}
    assert rows["barn"] == {
        "event": "device",
        "name": "barn",
        "channels": 32,
        "rate_hz": 44_100,
        "host_api": "ALSA",
        "default": False,
        "source": "mic:barn",
    }
    assert rows["default"]["default"]


def test_a_person_sees_a_table_of_them(sound: SoundServer, monkeypatch: pytest.MonkeyPatch) -> None:
    del sound
    monkeypatch.setenv("COLUMNS", "100")
    shown = run()
    assert "input devices" in shown
    (porch,) = [line for line in shown.splitlines() if "mic:porch" in line]
    assert porch.split() == ["mic:porch", "porch", "32", "44100", "ALSA"]
    (preferred,) = [line for line in shown.splitlines() if "mic:default" in line]
    assert preferred.split()[-1] == "yes"


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_without_a_device_it_says_so(sound: SoundServer, arguments: tuple[str, ...]) -> None:
    sound.kill()
    with pytest.raises(GrymError, match="no audio input device; plug a microphone in"):
        run(*arguments)


def test_without_portaudio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda _name: None)
    with pytest.raises(GrymError, match=r"^PortAudio is not installed; apt-get install libporta"):
        run()
