"""Which files of a folder are heard, and in which order.

Invariant: a file that is audio by its name is never passed over in silence, whether or not it
can be read; everything else is, with a line in the debug log.
"""

import logging
from functools import cache
from pathlib import Path

import soundfile

from connectors.decode import DecodeError

OTHER_SUFFIXES = frozenset({"aif", "aifc", "mp1", "mp2", "oga", "opus", "snd", "sph", "wave"})
"""Suffixes of what libsndfile reads, beyond the names of its formats."""
FOREIGN = frozenset({"3gp", "aac", "ac3", "amr", "ape", "m4a", "m4b", "mka", "mp4", "webm", "wma"})
"""Suffixes of audio it cannot read: opening such a file says so."""

_log = logging.getLogger(__name__)


def audio_files(target: Path) -> list[Path]:
    """The audio files of a folder in name order, or the one file.

    Raises:
        DecodeError: a folder cannot be listed or holds no audio.
    """
    try:
        if not target.is_dir():
            return [target]
        found = sorted(path for path in target.iterdir() if not path.name.startswith("."))
        files = [
            path for path in found if path.suffix[1:].lower() in suffixes() and not path.is_dir()
        ]
    except OSError as error:
        raise DecodeError(
            "unreadable", f"{target}: cannot be opened ({error.strerror})", "check the path"
        ) from error
    for path in set(found).difference(files):
        _log.debug("%s is not audio by its name: passed over", path)
    if not files:
        raise DecodeError(
            "no_audio",
            f"{target}: none of the {len(found)} entries of this folder is an audio file",
            "name a folder that holds audio files itself (deeper folders are not searched)",
        )
    return files


@cache
def suffixes() -> frozenset[str]:
    """Suffixes that say "audio", in lower case; headerless formats are none of them."""
    formats = {name.lower() for name in soundfile.available_formats()} - {"raw"}
    return OTHER_SUFFIXES | FOREIGN | formats
