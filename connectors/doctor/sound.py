"""PortAudio and the microphones it lists; none is opened, so that nobody else loses one."""

from collections.abc import Iterator, Sequence
from typing import Literal

from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding
from connectors.microphone.devices import Device, choose, opening
from connectors.microphone.errors import SoundError
from connectors.microphone.options import MicOptions
from connectors.microphone.portaudio import PortAudio
from connectors.microphone.target import DEFAULT, parse


def check(asked: Asked, patience_s: float) -> Iterator[Finding]:
    """What there is, and whether it holds the microphones that were asked for."""
    del patience_s
    lacking: Literal["broken", "note"] = "broken" if asked.microphones else "note"
    sound = PortAudio()
    try:
        devices = sound.devices()
        yield Finding("sound", "ok", _listed(devices))
    except SoundError as error:
        yield Finding("sound", lacking, error.detail, error.remedy)
        return
    finally:
        sound.stop()
    for target in asked.microphones:
        yield _asked_for(target, devices)


def _listed(devices: Sequence[Device]) -> str:
    if not devices:
        choose(devices, DEFAULT)  # it has the words for that
    default = next((f"the default is '{each.name}'" for each in devices if each.default), "")
    count = f"{len(devices)} input device{'s' * (len(devices) > 1)}"
    return f"{count}, {default or 'none is the default'}"


def _asked_for(target: str, devices: Sequence[Device]) -> Finding:
    try:
        found = opening(devices, parse(target), MicOptions())
    except SoundError as error:
        return Finding("sound", "broken", error.detail, error.remedy)
    rate = f"{found.channels} channel{'s' * (found.channels > 1)} at {found.rate_hz} Hz"
    return Finding("sound", "ok", f"{target}: '{found.device.name}', {rate}")
