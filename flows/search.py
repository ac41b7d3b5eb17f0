"""What a question is compared by: the vectors of a clip or of words, the spectrogram of a clip.

A clip is cut the way the flow cuts what it hears: one window at its first onset, then one after
another. Invariant: a query only ever meets vectors of its own space.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from connectors import projections
from connectors.chunks import ReadOptions
from connectors.files import Files
from connectors.framed import Framed
from connectors.reader import items_of
from flows.errors import GrymError, UsageError
from flows.loading import check_known, load_model
from flows.settings import Settings
from operators.models import MODELS, reads_text
from operators.models.protocol import TextModel
from operators.patterns.recognise import hear, recognised
from operators.records import ANALYSIS_RATE_HZ, Failure, Floats, Frame

_MOST_WINDOWS = 8
_BLOCK = 441
_ONSET_BELOW_PEAK_DB = 30.0
_SILENT_DB = -70.0


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound to look for: its first ``samples``, and the (n, length) ``windows`` cut from them."""

    samples: Floats
    windows: Floats

    def vectors(self, name: str, settings: Settings) -> tuple[str, Floats]:
        """The space of a model and the unit vectors of the clip in it.

        Returns:
            space, (n, dimension) float32 with 1 <= n <= 8.

        Raises:
            ModelError: the model cannot be loaded.
        """
        model = load_model(name, settings, lambda _line: None)
        return model.space, model.embed(self.windows, ANALYSIS_RATE_HZ)

    def recognised(self, templates: Mapping[str, bytes]) -> dict[str, float]:
        """How surely the clip is the sound of each template, where that can be told."""
        view = hear(self.samples)
        return {} if view is None else recognised(view, templates)


def read_clip(path: Path, settings: Settings) -> Clip:
    """The beginning of a sound file, as long as eight windows.

    Raises:
        GrymError: it cannot be read, or is silent.
    """
    window_s = settings.listen.window_s
    samples = _read(path, window_s * _MOST_WINDOWS)
    windows = cut(samples, window_s)
    if not len(windows):
        raise GrymError(
            f"{path}: silent (below {_SILENT_DB:.0f} dBFS): there is nothing to look for"
        )
    return Clip(samples, windows)


def heard_with(settings: Settings, spaces: Sequence[str]) -> str:
    """The model to search with where none is named: one that listened into this store.

    That is the first of those in the settings which did, else any that is known, else the first.
    """
    asked = [name for ladder in settings.listen.ladders for name in ladder]
    there = {space.partition("-")[0] for space in spaces}
    return next((name for name in (*asked, *sorted(MODELS)) if name in there), asked[0])


def reader_of(settings: Settings, text: str, named: str | None) -> str:
    """The model that is to read words: the one named, else of those listened with or configured.

    Raises:
        UnknownModelError: there is no such model.
        UsageError: it does not read, or there are no words.
    """
    if not text.strip():
        raise UsageError("--text is empty: describe a sound in words, as in 'a dog barks'")
    if named is not None:
        check_known(named)
    asked = [name for ladder in settings.listen.ladders for name in ladder]
    names = [*asked, *settings.models, *sorted(MODELS)] if named is None else [named]
    reader = next((name for name in names if name in MODELS and reads_text(name)), None)
    if reader is None:
        readers = ", ".join(name for name in sorted(MODELS) if reads_text(name))
        raise UsageError(f"model {named!r} does not read text; these do: {readers}")
    return reader


def vectors_of_words(text: str, name: str, settings: Settings) -> tuple[str, Floats]:
    """The space of a model that reads and the unit vector of a sentence in it, (1, dimension).

    Raises:
        ModelError: the model cannot be loaded, or can make nothing of the words.
    """
    model = cast("TextModel", load_model(name, settings, lambda _line: None))
    return model.space, model.embed_text([text])


def mapped(vectors: Floats, space: str, into: str, settings: Settings) -> tuple[str, Floats]:
    """Another space of the store and the vectors to ask in it, by a map that was fitted before.

    Raises:
        UsageError: it is the same space.
        StoreError: there is no such space, or no such map.
        ProjectionError: the map is damaged.
    """
    if into in (space, space.partition("-")[0]):
        raise UsageError(f"--into {into} is where this search looks anyway: leave it out")
    store = settings.store
    projection = projections.find(store.uri, space, into, token=store.secret)
    return projection.to_space, projection.apply(vectors)


def cut(samples: Floats, window_s: float) -> Floats:
    """(n, length) windows of a clip, the first at its first onset, the last padded with zeros."""
    length = round(window_s * ANALYSIS_RATE_HZ)
    blocks = len(samples) // _BLOCK
    power = np.square(samples[: blocks * _BLOCK]).reshape(blocks, _BLOCK).mean(axis=1)
    if not blocks or 10 * np.log10(power.max() + 1e-12) < _SILENT_DB:
        return np.empty((0, length), np.float32)
    first = int(np.argmax(power > power.max() * 10 ** (-_ONSET_BELOW_PEAK_DB / 10))) * _BLOCK
    starts = range(first, len(samples), length)[:_MOST_WINDOWS]
    rows = [samples[start : start + length] for start in starts]
    kept = [row for row in rows if len(row) >= length // 2] or rows[:1]
    return np.stack([np.pad(row, (0, length - len(row))) for row in kept])


def _read(clip: Path, most_s: float) -> Floats:
    pieces: list[Floats] = []
    for item in items_of(Framed(Files, "clip", str(clip), ReadOptions())):
        if isinstance(item, Frame):
            pieces.append(item.samples)
        elif isinstance(item, Failure) and not pieces:
            raise GrymError(f"{item.detail}: {item.remedy}")
        if sum(map(len, pieces)) >= most_s * ANALYSIS_RATE_HZ:
            break
    return np.concatenate(pieces) if pieces else np.empty(0, np.float32)
