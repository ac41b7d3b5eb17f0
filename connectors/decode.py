"""One audio file -> blocks of samples, and everything that may be wrong with it in words.

Whatever libsndfile reads (WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF, AU, CAF, W64, RF64, ...).

Invariant: blocks lie on a fixed grid from the start of the file and are bit-identical wherever
reading began; good audio before a defect is delivered before the defect is raised. It does not
know streams, positions in them, or resampling.
"""

import os
import re
import stat
from pathlib import Path

import soundfile

from connectors.chunks import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from operators.records import Floats

BLOCKS_PER_S = 10
SKIP_BLOCKS = 10
"""Blocks decoded at once while skipping: about two milliseconds of MP3."""
EXACT_SEEK = re.compile(r"^(PCM_|FLOAT$|DOUBLE$|ULAW$|ALAW$)")
"""Encodings in which libsndfile seeks to the very sample; the others are decoded up to it."""
MP3_SLACK = 3_500
"""Samples by which encoders disagree on the length of an MP3: delay, padding and a frame."""

UNKNOWN_FRAMES = 1 << 62
"""libsndfile says this many or more where a header does not say how long the file is."""

_CLAIM = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)"
    r"|^\*\*\* Calculated frame count (\d+) does not match value from 'ds64' chunk of (\d+)",
    re.MULTILINE,
)
_OPEN_ENDED = (range(0x7FFF_0000, 0x8000_0001), range(0xFFFF_0000, 0x1_0000_0000))
"""Lengths that recorders write while they do not know the length yet."""


class DecodeError(Exception):
    """A file cannot be read, or not to its end.

    Attributes:
        reason: a short stable word.
        detail: one line: the file and the value.
        remedy: one line: what to do.
    """

    def __init__(self, reason: str, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = _one_line(detail)
        self.remedy = remedy


class AudioFile:
    """An open audio file, read once from ``begin`` to its end.

    Args:
        path: the file.
        begin: first sample to deliver.

    Raises:
        DecodeError: it cannot be opened, or holds nothing that can be heard.
    """

    def __init__(self, path: Path, begin: int = 0) -> None:
        self.path = path
        self._file = _open(path)
        self.rate_hz = int(self._file.samplerate)
        try:
            self._check()
            self._skip_to = begin
            self._seek(begin)
        except DecodeError:
            self.close()
            raise
        self._block = self.rate_hz // BLOCKS_PER_S
        self._announced = 0 if self._file.frames >= UNKNOWN_FRAMES else int(self._file.frames)

    def read(self) -> Floats | None:
        """The next block, at most 100 ms: (n, channels) float32; empty while skipping.

        Returns:
            None at the end.

        Raises:
            DecodeError: decoding stopped before the end the header claims.
        """
        ahead = self._skip_to - self._position
        wanted = self._block - self._position % self._block
        if ahead > 0:
            wanted = min(ahead, SKIP_BLOCKS * self._block)
        try:
            block: Floats = self._file.read(wanted, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, OSError) as error:
            raise self._truncated(self._announced, _said(error)) from error
        self._position += len(block)
        if not len(block):
            self._check_end()
            return None
        return block[:0] if ahead > 0 else block

    def close(self) -> None:
        """Close the file; may be called more than once."""
        self._file.close()

    def _check(self) -> None:
        if not self._file.frames:
            raise DecodeError(
                "empty",
                f"{self.path}: its header announces 0 s of audio"
                f" in a file of {self.path.stat().st_size} bytes",
                "record it again, or repair the header (a recorder that was cut off leaves it so)",
            )
        if not LOWEST_RATE_HZ <= self.rate_hz <= HIGHEST_RATE_HZ:
            raise DecodeError(
                "sample_rate",
                f"{self.path}: a sample rate of {self.rate_hz} Hz is outside"
                f" {LOWEST_RATE_HZ}-{HIGHEST_RATE_HZ} Hz",
                "correct its header, or resample the file first",
            )

    def _seek(self, begin: int) -> None:
        self._position = 0
        if not begin or not EXACT_SEEK.match(self._file.subtype):
            return
        try:
            self._position = int(self._file.seek(begin))
        except (soundfile.SoundFileError, OSError):
            self._file.close()
            self._file = _open(self.path)

    def _check_end(self) -> None:
        claimed = max(self._announced, _claimed_frames(self._file))
        slack = MP3_SLACK if self._file.format == "MP3" else 0
        if self._position < claimed - slack:
            raise self._truncated(claimed, "the file ends there")
        if "Last page lacks an end-of-stream bit" in self._file.extra_info:
            raise self._truncated(0, "the file ends in the middle of an Ogg stream")

    def _truncated(self, claimed: int, why: str) -> DecodeError:
        of = f" of {claimed / self.rate_hz:.3f} s" if claimed > self._position else ""
        return DecodeError(
            "truncated",
            f"{self.path}: stopped at {self._position / self.rate_hz:.3f} s{of} ({_one_line(why)})",
            "copy or record it again; what could be read was heard",
        )


def duration_s(path: Path) -> float:
    """Length a file's header claims, in seconds; 0 where it cannot be opened."""
    try:
        info = soundfile.info(os.fsencode(path))
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):
        return 0.0
    frames = int(info.frames)
    return 0.0 if frames >= UNKNOWN_FRAMES else frames / int(info.samplerate)


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]  # soundfile: no annotations
    """Reads on without the seek that soundfile makes after each read of a seekable file.

    That seek changes the last bits of what MP3 and Opus decode next, and fails at the end of a
    FLAC of unknown length.
    """

    def seekable(self) -> bool:
        return False


def _open(path: Path) -> soundfile.SoundFile:
    _check_accessible(path)
    try:
        return _Sequential(os.fsencode(path))
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        if "malformed" in (said := _said(error)).lower():
            raise DecodeError(
                "unreadable", f"{path}: damaged ({said})", "copy or record it again"
            ) from error
        raise DecodeError(
            "unknown_format",
            f"{path}: not audio in a format that can be read",
            f'convert it first, as in: ffmpeg -i "{path.name}" "{path.stem}.flac"',
        ) from error


def _check_accessible(path: Path) -> None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DecodeError(
                "unreadable", f"{path}: not a regular file", "name an audio file or a folder"
            )
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise DecodeError(
            "missing", f"{path}: there is no such file or folder", "check the path"
        ) from error
    except (OSError, ValueError) as error:
        raise DecodeError(
            "unreadable",
            f"{path}: cannot be opened ({_said(error)})",
            "check its permissions and the disk",
        ) from error
    if not status.st_size:
        raise DecodeError("empty", f"{path}: a file of 0 bytes", "copy or record it again")


def _claimed_frames(file: soundfile.SoundFile) -> int:
    """Frames its header claims, from libsndfile's log: it silently corrects what is not there."""
    for claimed, found, counted, announced in _CLAIM.findall(file.extra_info):
        if announced:
            return int(announced) if int(announced) > int(counted) else 0
        if int(found) and not any(int(claimed) in marker for marker in _OPEN_ENDED):
            return -(-int(file.frames) * int(claimed) // int(found))
    return 0


def _said(error: Exception) -> str:
    """What a library said, without the path (its callers name the file)."""
    said = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(said).removeprefix("Error : ").rstrip(".")


def _one_line(text: str) -> str:
    """Printable anywhere, whatever the name of a file holds."""
    return re.sub(r"[\r\n]+", " ", text).encode("utf-8", "replace").decode()
