"""Input devices: which one a name means, and how it is opened.

A device is its name; its number changes whenever something is plugged in. Behind ALSA a sound
server (PulseAudio, PipeWire) stands as a device that claims 32 channels or more and mixes to as
many as are asked for: it is asked for one, which is its own mean of what the microphone has.

Invariant: a name means one device or none; it is never guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.microphone.errors import SoundError
from connectors.microphone.options import MicOptions
from connectors.microphone.target import DEFAULT, Target, without_place

_MIXED_CHANNELS = 32
_ALSA = "ALSA"


@dataclass(frozen=True, slots=True)
class Device:
    """An input device as PortAudio lists it.

    Attributes:
        index: PortAudio's number, valid until PortAudio is started again.
        channels: as many as it claims to have.
        rate_hz: its default sample rate.
        host_api: the system it is reached through (ALSA, Core Audio, ...).
        default: the system prefers it.
    """

    index: int
    name: str
    channels: int
    rate_hz: int
    host_api: str
    default: bool

    @property
    def mixes(self) -> bool:
        """It has no channels of its own, but mixes to as many as it is asked for."""
        hardware = without_place(self.name) != self.name
        return self.host_api == _ALSA and self.channels >= _MIXED_CHANNELS and not hardware


@dataclass(frozen=True, slots=True)
class Opening:
    """How a device is opened."""

    device: Device
    channels: int
    rate_hz: int


def choose(devices: Sequence[Device], name: str) -> Device:
    """The device a name means: spelled exactly, else containing it, whatever the case.

    Where the same device is reached through several host APIs, the default's is meant.

    Raises:
        SoundError: there is none, or there are several.
    """
    if not devices:
        raise SoundError(
            "no_device",
            "this machine has no audio input device",
            "plug a microphone in, or start the sound server; `grym devices` lists what there is",
        )
    if name.casefold() == DEFAULT:
        found = [device for device in devices if device.default]
    else:
        found = [device for device in devices if device.name == name]
        wanted = name.casefold()
        found = found or [device for device in devices if wanted in device.name.casefold()]
    if len(found) > 1:
        apis = {device.host_api for device in devices if device.default}
        found = [device for device in found if device.host_api in apis] or found
    if len(found) == 1:
        return found[0]
    if found:
        raise SoundError(
            "ambiguous_device",
            f"'{name}' may be any of these input devices: {_listed(found)}",
            "spell the name further",
        )
    raise SoundError(
        "no_device",
        f"there is no input device called '{name}'; there are: {_listed(devices)}",
        "plug it in, or name one of those",
    )


def opening(devices: Sequence[Device], target: Target, options: MicOptions) -> Opening:
    """Which device to open for a target, and how.

    Raises:
        SoundError: there is no such device or channel.
    """
    device = choose(devices, target.device)
    if target.channel is not None and target.channel > device.channels:
        raise SoundError(
            "no_channel",
            f"microphone '{device.name}' has no channel {target.channel}; it has {device.channels}",
            f"name one of 1 to {device.channels}, or none to hear their mean",
        )
    channels = device.channels
    if device.mixes:
        channels = 1 if target.channel is None else max(2, target.channel)
    return Opening(device, channels, options.rate_hz or device.rate_hz)


def source_of(device: Device, devices: Sequence[Device]) -> str:
    """What to type to hear a device: as short as can be, and still right after the next start."""
    short = without_place(device.name)
    try:
        name = short if choose(devices, short) == device else device.name
    except SoundError:
        name = device.name
    return f"mic:{name}"


def _listed(devices: Sequence[Device]) -> str:
    return ", ".join(f"'{device.name}'" for device in devices)
