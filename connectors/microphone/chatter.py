"""What the C libraries of the sound system print, as log lines instead of on the terminal.

ALSA, JACK and PortAudio describe every trouble on C's ``stderr``, from threads of their own and
at moments nobody can foresee, in words that mean nothing to whoever only wants to listen. What
matters of it reaches us as errors. So C's ``stderr`` (the variable of the C library, not file
descriptor 2, which Python, Rust and the kernel write to) becomes a pipe that is logged.

Invariant: nothing is lost (level DEBUG), and descriptor 2 is not touched. Where the C library is
not glibc nothing is changed.
"""

import ctypes
import logging
import os
import platform
import threading

_log = logging.getLogger("portaudio")
_LINE_BUFFERED = 1
_turn = threading.Lock()
_listening = False


def to_log() -> None:
    """From now on C's ``stderr`` is logged; may be called again."""
    global _listening  # noqa: PLW0603  # there is one stderr in a process
    with _turn:
        if _listening or platform.libc_ver()[0] != "glibc":
            return
        _listening = True
    library = ctypes.CDLL(None)
    library.fdopen.restype = ctypes.c_void_p
    library.setvbuf.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t]
    reading, writing = os.pipe()
    file = library.fdopen(writing, b"w")
    library.setvbuf(file, None, _LINE_BUFFERED, 0)
    threading.Thread(target=_listen, args=(reading,), name="sound-chatter", daemon=True).start()
    ctypes.c_void_p.in_dll(library, "stderr").value = file


def _listen(descriptor: int) -> None:
    with open(descriptor, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            _log.debug("%s", line.rstrip())
