"""The vectors of a clip, for search by sound.

A clip is cut the way the flow cuts what it hears: one window at its first onset, then one after
another. Invariant: a query only ever meets vectors of its own space.
"""

from pathlib import Path

import numpy as np

from connectors.chunks import ReadOptions
from connectors.files import Files
from connectors.framed import Framed
from connectors.reader import items_of
from flows.errors import GrymError
from flows.settings import Settings
from flows.station import check_known, load_model
from operators.records import ANALYSIS_RATE_HZ, Failure, Floats, Frame

_MOST_WINDOWS = 8
_BLOCK = 441
_ONSET_BELOW_PEAK_DB = 30.0
_SILENT_DB = -70.0


def vectors_of(clip: Path, name: str, settings: Settings) -> tuple[str, Floats]:
    """The space of a model and the unit vectors of a clip in it.

    Returns:
        space, (n, dimension) float32 with 1 <= n <= 8.

    Raises:
        ModelError: the model is unknown or cannot be loaded.
        GrymError: the clip cannot be read, or is silent.
    """
    check_known(name)
    windows = cut(_read(clip, settings.listen.window_s * _MOST_WINDOWS), settings.listen.window_s)
    if not len(windows):
        raise GrymError(
            f"{clip}: silent (below {_SILENT_DB:.0f} dBFS): there is nothing to look for"
        )
    model = load_model(name, settings, lambda _line: None)
    return model.space, model.embed(windows)


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
