"""PortAudio through ``sounddevice``, loaded when the first microphone is asked for.

PortAudio takes calls from one thread at a time, lists the devices that were there when it was
started, and closes all streams when it is started again: its one user is the supervisor.
Captured as float32, to which PortAudio and the sound servers scale 16-bit audio by 1/32,768 and
24-bit audio by 1/8,388,608: exactly, where int16 would lose the lower bits of the latter.

Invariant: whatever PortAudio has to complain about leaves here as a ``SoundError``.
"""

import atexit
import contextlib
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol, TypeAlias

from connectors.microphone import chatter
from connectors.microphone.devices import Device, Opening
from connectors.microphone.errors import SoundError

BLOCKS_PER_S = 10
"""PortAudio's own choice of a block can be a single sample; a tenth of a second costs little."""
_INSTALL = "apt-get install libportaudio2 (Debian, Ubuntu), brew install portaudio (macOS)"

OnBlock: TypeAlias = Callable[[Any, int, Any, Any], None]
"""Called by PortAudio's thread: buffer, samples, times (s), status flags."""


class Stream(Protocol):
    """An open capture stream of ``sounddevice``."""

    @property
    def active(self) -> bool:
        """Its callback is still being called."""

    @property
    def latency(self) -> float:
        """Seconds between sound and callback, as PortAudio estimates it."""

    def close(self) -> None:
        """Stop and close it; may block as long as the sound server does not answer."""


class PortAudio:
    """The sound system of this process."""

    def __init__(self) -> None:
        self._module: ModuleType | None = None

    def start(self) -> None:
        """Load PortAudio and let it look for devices, unless it has.

        Raises:
            SoundError: it is not installed, or does not start.
        """
        try:
            if self._module is None:
                chatter.to_log()
                self._module = importlib.import_module("sounddevice")
                # On its way out it would wait for a sound server that no longer answers.
                atexit.unregister(self._module._exit_handler)
            if not self._module._initialized:
                self._module._initialize()
        except ImportError as error:
            raise SoundError(
                "no_portaudio", f"sounddevice is not installed ({error})", "pip install sounddevice"
            ) from error
        except OSError as error:
            raise SoundError("no_portaudio", "PortAudio is not installed", _INSTALL) from error
        except Exception as error:  # its own error class cannot be named before it is loaded
            raise SoundError(
                "portaudio",
                f"PortAudio does not start: {_words(error)}",
                "look after the sound system of this machine; `grym devices` says when it is back",
            ) from error

    def stop(self) -> None:
        """Close every stream and forget the devices."""
        if self._module is not None:
            with contextlib.suppress(self._module.PortAudioError):
                while self._module._initialized:
                    self._module._terminate()

    def devices(self) -> tuple[Device, ...]:
        """The input devices that were there when PortAudio was started.

        Raises:
            SoundError: PortAudio cannot say.
        """
        sound = self._started()
        try:
            apis = [api["name"] for api in sound.query_hostapis()]
            preferred = sound.default.device["input"]
            return tuple(
                Device(
                    index=number,
                    name=row["name"],
                    channels=row["max_input_channels"],
                    rate_hz=round(row["default_samplerate"]),
                    host_api=apis[row["hostapi"]],
                    default=number == preferred,
                )
                for number, row in enumerate(sound.query_devices())
                if row["max_input_channels"] > 0
            )
        except sound.PortAudioError as error:
            raise SoundError(
                "portaudio", f"PortAudio lists no devices: {_words(error)}", "try again"
            ) from error

    def open(self, opening: Opening, on_block: OnBlock, on_end: Callable[[], None]) -> Stream:
        """Open a device and start to capture it, in blocks of a tenth of a second.

        Args:
            opening: the device, its channels and the sample rate.
            on_block: called for every block, on a thread of PortAudio's.
            on_end: called once when the stream ends, whoever ended it.

        Raises:
            SoundError: the device cannot be opened so.
        """
        sound = self._started()
        try:
            stream = sound.RawInputStream(
                device=opening.device.index,
                channels=opening.channels,
                samplerate=opening.rate_hz,
                blocksize=opening.rate_hz // BLOCKS_PER_S,
                dtype="float32",
                latency="high",
                callback=on_block,
                finished_callback=on_end,
            )
        except (sound.PortAudioError, ValueError) as error:
            raise _refused(opening, error) from error
        try:
            stream.start()
        except sound.PortAudioError as error:
            stream.close()
            raise _refused(opening, error) from error
        opened: Stream = stream
        return opened

    def active(self, stream: Stream) -> bool:
        """Whether a stream still runs, as far as PortAudio can tell."""
        try:
            return stream.active
        except self._started().PortAudioError:
            return False

    def _started(self) -> Any:  # the driver carries no annotations
        self.start()
        return self._module


def _refused(opening: Opening, error: Exception) -> SoundError:
    name, channels = opening.device.name, opening.channels
    return SoundError(
        "cannot_open",
        f"microphone '{name}' cannot be opened with {channels} channel{'s' * (channels > 1)} at"
        f" {opening.rate_hz} Hz: {_words(error)}",
        "close the program that uses it, or choose a sample rate that it has (`grym devices`)",
    )


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else type(error).__name__
    return " ".join(str(said).split())
