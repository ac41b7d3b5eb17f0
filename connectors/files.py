"""The source of files and folders: one stream of every file in order, with a gap between two.

A catalogue says which file comes next; what a file holds is delivered block by block. A file that
cannot be read, or not to its end, is one ``Failure`` behind what could be read of it, and the
stream goes on with the next file.

Invariant: a file is never held whole; read again from a chunk's mark, the same samples come
again bit for bit.
"""

from bisect import bisect_right
from operator import attrgetter
from pathlib import Path
from typing import ClassVar, Protocol

from connectors.chunks import Break, Chunk, RawItem, ReadOptions, Resume, State
from connectors.decode import AudioFile, DecodeError, duration_s
from connectors.folder import audio_files
from connectors.resample import Grid
from operators.records import ANALYSIS_RATE_HZ, Failure, Floats, to_ns, to_s

GAP_S = 10
"""Between two files of a folder."""
VERSION = 1


class Catalogue(Protocol):
    """Which files are heard, in which order."""

    def next(self) -> Path | None:
        """The next file; None when there is none now.

        Raises:
            DecodeError: the folder cannot be read.
        """

    @property
    def complete(self) -> bool:
        """Nothing will follow."""

    @property
    def known(self) -> list[Path] | None:
        """Every file there will be, where that is known."""

    @property
    def wait_ns(self) -> int:
        """Nanoseconds until there may be another file."""

    def snapshot(self) -> State:
        """What it must remember."""

    def close(self) -> None:
        """Release what is open."""


class Listing:
    """The one file, or the audio files of a folder in name order as they are when first asked.

    Args:
        target: the file or folder.
        after: name of the file after which to go on.
        within: go on with ``after`` itself, which an earlier run was in.
    """

    wait_ns = 0

    def __init__(self, target: Path, after: str, *, within: bool) -> None:
        self._target = target
        self._after = after
        self._within = within
        self._at = 0
        self.known: list[Path] | None = None

    @property
    def complete(self) -> bool:
        """Nothing will follow."""
        return self.known is not None and self._at == len(self.known)

    def next(self) -> Path | None:
        """The next file in name order."""
        if self.known is None:
            self._list()
        files = self.known or []
        if self._at == len(files):
            return None
        self._at += 1
        return files[self._at - 1]

    def _list(self) -> None:
        self.known = []
        files = audio_files(self._target)
        self.known = files
        self._at = bisect_right(files, self._after, key=attrgetter("name"))
        if not self._within:
            return
        if not self._at or files[self._at - 1].name != self._after:
            raise DecodeError(
                "missing",
                f"{self._target / self._after}: gone since the run was interrupted in it",
                "put it back and resume again, or go on without its rest",
            )
        self._at -= 1

    def snapshot(self) -> State:
        """Nothing: a mark says it all."""
        return {}

    def close(self) -> None:
        """Nothing is open."""


class Files:
    """Source of ``path`` or ``folder/`` (see ``connectors.chunks.Source``)."""

    live: ClassVar[bool] = False
    resumes: ClassVar[bool] = True
    ends: ClassVar[bool] = True
    divides: ClassVar[bool] = False
    lag_s: float | None = None

    def __init__(
        self, name: str, target: str, options: ReadOptions, resume: Resume | None = None
    ) -> None:
        if resume is not None and resume.source.get("version") != VERSION:
            found = resume.source.get("version")
            raise ValueError(f"a resume state of version {found}, not {VERSION}")
        mark: State = (resume.marks.get(name) if resume else None) or _mark("", 0, None)
        self._stream = name
        self._options = options
        heard_ns = resume.positions.get(name, 0) - options.start_ns if resume else 0
        self._heard = -(-heard_ns * ANALYSIS_RATE_HZ // 1_000_000_000)
        self._name: str = mark["file"]
        self._base: int = mark["base"]
        self._input: int = mark["input"] or 0
        self._file: AudioFile | None = None
        self._joined = False
        self._catalogue = self._open_catalogue(target, mark, resume.source if resume else {})
        self._total_s: float | None = None

    def _open_catalogue(self, target: str, mark: State, state: State) -> Catalogue:
        """The files to hear, from a mark on; ``state`` is what the catalogue's own said."""
        del state
        return Listing(Path(target), mark["file"], within=mark["input"] is not None)

    @property
    def done(self) -> bool:
        """Every file was read."""
        return self._file is None and self._catalogue.complete

    @property
    def wait_ns(self) -> int:
        """Nanoseconds until there may be more."""
        return 0 if self._file is not None else self._catalogue.wait_ns

    @property
    def total_s(self) -> float | None:
        """Length of the stream by the headers of its files, gaps included; None before the start.

        Reads every header when first asked: not for the worker's thread.
        """
        if self._total_s is None and (files := self._catalogue.known) is not None:
            lengths = [duration_s(path) for path in files]
            heard = [length for length in lengths if length > 0]
            self._total_s = sum(heard) + GAP_S * max(len(heard) - 1, 0)
        return self._total_s or None

    def next(self) -> list[RawItem]:
        """One piece of work: the next file is opened, or a block of it is read."""
        try:
            if self._file is None:
                self._open()
                return []
            block = self._file.read()
        except DecodeError as error:
            return self._fail(error)
        if block is None:
            return [self._leave()]
        return [self._chunk(self._file, block)] if len(block) else []

    def snapshot(self) -> State:
        """What the catalogue must remember; the marks say the rest."""
        return {"version": VERSION, **self._catalogue.snapshot()}

    def close(self) -> None:
        """Close the file being read, and the catalogue."""
        self._catalogue.close()
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        begin, self._input = self._input, 0
        path = self._catalogue.next()
        if path is None:
            return
        self._joined = False
        self._name = path.name
        self._input = begin
        self._file = AudioFile(path, begin)

    def _chunk(self, file: AudioFile, block: Floats) -> Chunk:
        block.flags.writeable = False
        chunk = Chunk(
            self._stream,
            file.rate_hz,
            block,
            to_ns(self._options.start_ns, self._base),
            self._joined,
            _mark(self._name, self._base, self._input),
            self._name,
        )
        self._joined = True
        self._input += len(block)
        return chunk

    def _fail(self, error: DecodeError) -> list[RawItem]:
        """Say what failed after what could be read, and leave the file; the stream goes on."""
        at = self._base
        if self._file is not None:
            at += Grid.of(self._file.rate_hz).nearest(self._input)
        failure = Failure(
            self._stream,
            "source",
            error.reason,
            error.detail,
            error.remedy,
            to_s(at),
            fatal_source=True,
        )
        flush = Break(self._stream)
        return [flush, failure, self._leave()]

    def _leave(self) -> Break:
        file, self._file = self._file, None
        length = 0
        if file is not None:
            length = Grid.of(file.rate_hz).nearest(self._input)
            file.close()
        # Resumed in a file that shrank or went away, what was delivered is longer.
        end = max(self._base + length, self._heard)
        if end > self._base:
            self._base = end + GAP_S * ANALYSIS_RATE_HZ
        self._input = 0
        return Break(self._stream, _mark(self._name, self._base, None))


def _mark(file: str, base: int, sample: int | None) -> State:
    """At ``sample`` of ``file``, or behind it (None); ``base``: position of the file's start."""
    return {"file": file, "base": base, "input": sample}
