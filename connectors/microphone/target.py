"""``mic:NAME[,channel]``: which device and which of its channels is meant.

Invariant: the name of a stream tells a person which microphone it is and holds nothing of the
order in which this machine happened to find its devices.
"""

import re
from dataclasses import dataclass

DEFAULT = "default"
"""The device that the system calls its default."""
_SCHEME = re.compile(r"^mic:", re.IGNORECASE)
_CHANNEL = re.compile(r"(?P<device>.*),\s*(?P<channel>\d+)", re.DOTALL)
_PLACE = re.compile(r"\s*\((?:plug)?hw:[^)]*\)\s*$")
"""Where ALSA found a device: another number after the next start."""
_UNFIT = re.compile(r"[^\w .,;:+()\[\]{}@#%&=~'!-]")


@dataclass(frozen=True, slots=True)
class Target:
    """A device by name, and one of its channels, counted from 1 (None: all of them)."""

    device: str
    channel: int | None = None


def parse(target: str) -> Target:
    """The meaning of a target, with or without its ``mic:``.

    Raises:
        ValueError: it names no device, or a channel that cannot be; one line for a person.
    """
    text = _SCHEME.sub("", target.strip()).strip()
    found = _CHANNEL.fullmatch(text)
    device = (found["device"] if found else text).strip()
    channel = int(found["channel"]) if found else None
    if not device:
        raise ValueError(
            f"source 'mic:{text}' names no microphone; `grym devices` lists them, and"
            f" mic:{DEFAULT} is the one the system prefers"
        )
    if channel == 0:
        raise ValueError(f"source 'mic:{text}': channels count from 1, as in mic:{device},1")
    return Target(device, channel)


def derived_name(target: str) -> str:
    """Id of the stream of a microphone that was given no name of its own.

    It is what was typed, ``mic:`` left out: "USB Audio,2", "default". Where ALSA found the device
    ("(hw:1,0)") is left out as well, and what does not belong into an id becomes "_".

    Raises:
        ValueError: the target is malformed; one line for a person.
    """
    meant = parse(target)
    device = _UNFIT.sub("_", without_place(meant.device))
    return device if meant.channel is None else f"{device},{meant.channel}"


def without_place(device: str) -> str:
    """A device's name without the number under which ALSA found it."""
    return _PLACE.sub("", device) or device
