import subprocess
import sys

SPEAK = """
import ctypes, logging, sys
form = "%(levelname)s %(name)s %(message)s"
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format=form)
from connectors.microphone import chatter
chatter.to_log()
chatter.to_log()
library = ctypes.CDLL(None)
library.fprintf.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
library.fprintf(ctypes.c_void_p.in_dll(library, "stderr"), b"ALSA lib: no such card\\n")
sys.stderr.write("ours\\n")
sys.stdout.flush()
import threading
(listener,) = [thread for thread in threading.enumerate() if thread.name == "sound-chatter"]
library.fclose(ctypes.c_void_p.in_dll(library, "stderr"))
listener.join(10)
"""


def test_what_c_libraries_print_is_logged_and_our_own_stderr_untouched() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SPEAK], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == "DEBUG portaudio ALSA lib: no such card\n"
    assert ran.stderr == "ours\n"
