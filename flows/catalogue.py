"""The models there are: whether their weights are here, where they run, what a window costs.

Invariant: nothing is loaded or fetched unless a cost is to be measured.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from connectors import hub, weights
from connectors.costs import Cost, Costs, measure
from flows.loading import load_model
from flows.sections import ModelSettings
from flows.settings import Settings
from operators.models import MODELS
from operators.models.describers import DESCRIBERS
from operators.models.protocol import ModelError

_HERE = frozenset({"ready", "found", "not needed"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One model.

    Attributes:
        does: "embeds" windows or "describes" patterns.
        state: of its weights: "ready" (verified), "found" (a folder that people brought, looked
            into when it is loaded), "missing", "damaged" or "not needed".
        folder: where they are; None where there are none.
        detail: one line: their source, or what is wrong and what mends it.
        device, dtype: where it ran when it was measured; before, what settings ask for.
        configured: the settings say where its weights are.
        dimension: of its vectors, where that is known without loading it.
        cost: what a window cost here, if it was ever measured.
    """

    model: str
    does: str
    state: str
    folder: Path | None
    detail: str
    device: str
    dtype: str
    configured: bool = False
    dimension: int | None = None
    cost: Cost | None = None

    def as_row(self) -> dict[str, object]:
        """What ``--json`` prints."""
        return {
            "model": self.model,
            "does": self.does,
            "weights": self.state,
            "folder": None if self.folder is None else str(self.folder),
            "detail": self.detail,
            "device": self.device,
            "dtype": self.dtype,
            "dimension": self.dimension,
            "window_ms": None if self.cost is None else round(self.cost.wall_ms, 2),
            "window_cpu_ms": None if self.cost is None else round(self.cost.cpu_ms, 2),
        }


def catalogue(
    settings: Settings, *, anew: bool, progress: Callable[[str], None]
) -> Iterator[Entry]:
    """Every model, those that embed first.

    Args:
        settings: say where folders are, and what a window is.
        anew: load each model that is here and measure what a window costs.
        progress: told what is being done.
    """
    costs = Costs()
    for name in sorted(MODELS):
        entry = _entry(name, "embeds", settings)
        if anew and entry.state in _HERE:
            progress(f"measuring {name}")
            entry = _measured(entry, settings, costs)
        cost = costs.of(name) if entry.state in _HERE else None
        yield entry if cost is None else _with(entry, cost)
    for name in sorted(DESCRIBERS):
        yield _entry(name, "describes", settings)


def _entry(name: str, does: str, settings: Settings) -> Entry:
    told = settings.models.get(name) or ModelSettings()
    state, folder, detail = _weights(name, told)
    where = (told.device or "auto", told.dtype or "auto")
    return Entry(name, does, state, folder, detail, *where, configured=told.path is not None)


def _weights(name: str, told: ModelSettings) -> tuple[str, Path | None, str]:
    if told.path is not None:
        try:
            folder = hub.folder_of(told.path, pull=False)
        except ModelError as error:
            return "missing", None, str(error)
        if not (folder / "config.json").is_file():
            return "damaged", folder, f"{folder}: no config.json there: {weights.yours(name)}"
        return "found", folder, f"{folder}, named in the settings"
    found = weights.status(name)
    return found.state, found.folder, found.detail


def _measured(entry: Entry, settings: Settings, costs: Costs) -> Entry:
    try:
        model = load_model(entry.model, settings, lambda _line: None)
    except ModelError as error:
        return replace(entry, state="damaged", detail=str(error))
    costs.remember(measure(model, window_s=settings.listen.window_s))
    return entry


def _with(entry: Entry, cost: Cost) -> Entry:
    dimension = int(cost.space.rpartition("-")[2])
    return replace(entry, device=cost.device, dtype=cost.dtype, dimension=dimension, cost=cost)
