"""``grym devices``: the microphones of this machine, and what to type to hear one."""

import json
from typing import Any

import typer
from rich.console import Console

from connectors.microphone.devices import source_of
from connectors.microphone.errors import SoundError
from connectors.microphone.portaudio import PortAudio
from flows.cli.options import JsonOption
from flows.cli.tables import table
from flows.errors import GrymError

_COLUMNS = ("source", "name", "channels", "rate_hz", "host_api", "default")


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command(epilog="Example: grym devices --json")(devices)


def devices(as_json: JsonOption = False) -> None:
    """List the microphones of this machine."""
    rows = _rows()
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    shown = table("input devices", _COLUMNS)
    for row in rows:
        cells = {**row, "default": "yes" if row["default"] else ""}
        shown.add_row(*(str(cells[column]) for column in _COLUMNS))
    Console().print(shown)


def _rows() -> list[dict[str, Any]]:
    """The event of each device.

    Raises:
        GrymError: PortAudio is missing, or there is no device.
    """
    sound = PortAudio()
    try:
        found = sound.devices()
    except SoundError as error:
        raise GrymError(str(error)) from error
    finally:
        sound.stop()
    if not found:
        raise GrymError(
            "this machine has no audio input device; plug a microphone in, or start the sound"
            " server"
        )
    return [
        {
            "event": "device",
            "name": device.name,
            "channels": device.channels,
            "rate_hz": device.rate_hz,
            "host_api": device.host_api,
            "default": device.default,
            "source": source_of(device, found),
        }
        for device in found
    ]
