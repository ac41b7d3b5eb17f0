"""Real sound servers with virtual microphones: what is played to one is captured bit for bit.

A PulseAudio of our own for each microphone, without a sound card, D-Bus or a session, as root or
not. ALSA, and PortAudio above it, see the devices ``porch`` (16 kHz, mono), ``barn`` (16 kHz,
stereo) and ``default`` (which is the porch); each goes with its server and comes back with it.
"""

import ctypes.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

INSTALL = (
    "apt-get install -y --no-install-recommends"
    " libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins"
)
FORMATS = {
    "porch": "rate=16000 channels=1 format=s16le norewinds=1",
    "barn": "rate=16000 channels=2 format=s16le norewinds=1",
}
_SERVER = """
load-module module-null-sink sink_name={name} {form}
load-module module-native-protocol-unix socket={socket} auth-anonymous=1
"""
_DEVICE = """
pcm.{name} {{ type pulse server "unix:{socket}" device {name}.monitor }}
"""
_DEFAULT = """
pcm.!default { type pulse }
ctl.!default { type pulse }
"""
_PLUGIN = "usr/lib*/**/alsa-lib/libasound_module_pcm_pulse.so"
_PATIENCE_S = 20.0


class Server:
    """One PulseAudio with one microphone, in a folder of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._log = folder / f"{name}.log"
        self._script = folder / f"{name}.pa"
        self._homes = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder / name)}
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / f"{name}.socket"
        script = _SERVER.format(name=name, form=FORMATS[name], socket=self.socket)
        self._script.write_text(script)
        (folder / name).mkdir(mode=0o700)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; it can be connected to once its socket is there, its last step."""
        self.socket.unlink(missing_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("pulseaudio", "-n", "-F", str(self._script), "--use-pid-file=no"),
                    *("--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes"),
                    *("--realtime=no", "--high-priority=no"),
                ],
                env={**os.environ, **self._homes},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline_s = time.monotonic() + _PATIENCE_S
        while not self.socket.exists():
            if not self.running or time.monotonic() > deadline_s:
                raise RuntimeError(f"pulseaudio does not start: {self._log.read_text()}")
            os.sched_yield()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            if number == signal.SIGKILL:
                self._process.wait()


class SoundServer:
    """The sound servers of all microphones; without names a call means every one of them.

    Attributes:
        environment: with it PortAudio finds these microphones, and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self._servers = {name: Server(folder, name) for name in FORMATS}
        self._players: list[subprocess.Popen[bytes]] = []
        lines = [_DEVICE.format(name=name, socket=self._servers[name].socket) for name in FORMATS]
        (folder / "devices").write_text("".join([*lines, _DEFAULT]))
        alsa = f"</usr/share/alsa/alsa.conf>\n<{folder / 'devices'}>\n"
        (folder / "alsa.conf").write_text(alsa)
        self.environment = {
            "PULSE_SERVER": f"unix:{self._servers['porch'].socket}",
            "PULSE_COOKIE": str(folder / "cookie"),
            "ALSA_CONFIG_PATH": str(folder / "alsa.conf"),
        }

    def start(self, *names: str) -> None:
        """Start servers that do not run."""
        for name in names or FORMATS:
            if not self._servers[name].running:
                self._servers[name].start()

    def kill(self, *names: str) -> None:
        """End servers as a crash would."""
        self._signal(signal.SIGKILL, names)

    def freeze(self, *names: str) -> None:
        """Let servers stand still; they keep their connections and answer nobody."""
        self._signal(signal.SIGSTOP, names)

    def thaw(self, *names: str) -> None:
        self._signal(signal.SIGCONT, names)

    def play(self, path: Path, to: str = "porch") -> None:
        """Begin to play an audio file to a microphone."""
        server = f"--server=unix:{self._servers[to].socket}"
        player = subprocess.Popen(
            ["paplay", server, "--latency-msec=500", f"--device={to}", str(path)],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
        )
        self._players.append(player)

    def silence(self) -> None:
        """End what is still being played."""
        for player in self._players:
            player.kill()
            player.wait()
        self._players.clear()

    def _signal(self, number: signal.Signals, names: tuple[str, ...]) -> None:
        for name in names or FORMATS:
            self._servers[name].signal(number)


@pytest.fixture(scope="session")
def _sound_server() -> Iterator[SoundServer]:
    missing = [tool for tool in ("pulseaudio", "paplay") if shutil.which(tool) is None]
    if ctypes.util.find_library("portaudio") is None:
        missing.append("libportaudio2")
    if not any(Path("/").glob(_PLUGIN)):
        missing.append("libasound2-plugins")
    if missing:
        raise RuntimeError(f"not installed: {', '.join(missing)}; {INSTALL}")
    with tempfile.TemporaryDirectory(prefix="grym-sound-") as folder:
        server = SoundServer(Path(folder))
        yield server
        server.kill()


@pytest.fixture
def sound(_sound_server: SoundServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    """Running sound servers that PortAudio finds, in this process and in those it starts."""
    for name, value in _sound_server.environment.items():
        monkeypatch.setenv(name, value)
    _sound_server.start()
    yield _sound_server
    _sound_server.silence()
