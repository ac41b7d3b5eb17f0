"""Opens a folder that transformers' ``save_pretrained`` wrote, and says in one line what is wrong.

A published checkpoint is a folder: ``config.json``, what its feature extractor needs to know, and
weights. Here all but the weights is read; :mod:`operators.models.network` reads those.

Invariant: nothing is fetched and no code of the folder is run; the classes that read it are named
by the model, not by the folder.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers

from operators.models.protocol import BadWeightsError, ModelConfigError, WeightsMissingError

CONFIG = "config.json"
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""Files of weights, the preferred first."""
PROCESSOR = "processor_config.json"
EXTRACTOR = "preprocessor_config.json"
"""The feature extractor is a section of the first, or all of the second."""
UNTRAINED = "grym_untrained"
"""A key of ``config.json`` by which random weights say so."""
_SAVE = "save the model there with transformers' save_pretrained, or give its name on the hub"
_REPLACE = "give an intact copy of the model's folder, or its name on the hub"


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a model of grym is in transformers.

    Attributes:
        name: the model's name in the registry.
        model_type: what ``config.json`` calls it.
        network, extractor: transformers' classes.
        sample_rate_hz: what the front end works at.
        decisive: fields of the configuration that decide numbers and leave no trace in the shapes
            of the tensors; of a part's configuration as ``part.field``.
        idle: tensors that embedding does not use, and that a checkpoint may lack.
    """

    name: str
    model_type: str
    network: Any
    extractor: Any
    sample_rate_hz: int
    decisive: tuple[str, ...]
    idle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that holds what it should, its weights not yet read.

    Attributes:
        path: where it is.
        weights: its file of weights.
        config, extractor: transformers' objects.
    """

    architecture: Architecture
    path: Path
    weights: Path
    config: Any
    extractor: Any

    @property
    def trained(self) -> bool:
        """False for random weights."""
        return not getattr(self.config, UNTRAINED, False)

    def bad(self, file: str, detail: str) -> BadWeightsError:
        """An error about a file in this folder."""
        return _bad(self.architecture, self.path / file, detail)

    def expect(self, file: str, what: str, found: object, wanted: object) -> None:
        """Refuses a folder whose parts do not fit together.

        Raises:
            BadWeightsError: ``found`` is not ``wanted``.
        """
        if found != wanted:
            raise self.bad(file, f"{what} is {found}, expected {wanted}")


def open_folder(architecture: Architecture, path: Path | None) -> Folder:
    """Opens a folder and checks all but the weights; cheap.

    Raises:
        WeightsMissingError: no folder was given, or it or a file in it is not there.
        ModelConfigError: it is another model's folder.
        BadWeightsError: a file cannot be read, or does not fit the others.
    """
    if path is None:
        raise WeightsMissingError(
            architecture.name,
            remedy=f"set path of [models.{architecture.name}] to a folder or a hub id",
        )
    if not path.is_dir():
        raise _missing(architecture, path, "there is no such folder")
    _check_kind(architecture, path)
    weights = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
    if weights is None:
        raise _missing(architecture, path, f"no {WEIGHTS[0]} there and no {WEIGHTS[2]}")
    with quiet():
        config = _parsed(architecture, path / CONFIG, architecture.network.config_class)
        extractor = _extractor(architecture, path)
    folder = Folder(architecture, path, weights, config, extractor)
    rate_hz = getattr(extractor, "sampling_rate", None)
    folder.expect(EXTRACTOR, "sampling_rate", rate_hz, architecture.sample_rate_hz)
    return folder


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers from writing to the terminal meanwhile; then all is as it was."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def _check_kind(architecture: Architecture, path: Path) -> None:
    file = path / CONFIG
    if not file.is_file():
        raise _missing(architecture, path, f"no {CONFIG} there")
    found = _read(architecture, file).get("model_type")
    if found != architecture.model_type:
        raise ModelConfigError(
            f"{file}: model_type is {found!r}, model {architecture.name!r} reads"
            f" {architecture.model_type!r}: give another folder, or choose the model it belongs to"
        )


def _extractor(architecture: Architecture, path: Path) -> Any:
    """The feature extractor: a section of a processor's file, else of a file of its own."""
    file, told = path / PROCESSOR, None
    if file.is_file():
        told = _read(architecture, file).get("feature_extractor")
    if not isinstance(told, dict):
        file = path / EXTRACTOR
        if not file.is_file():
            raise _missing(architecture, path, f"no {EXTRACTOR} there")
        told = _read(architecture, file)
    wanted = architecture.extractor.__name__
    found = told.get("feature_extractor_type", wanted)
    if found != wanted:
        raise _bad(architecture, file, f"feature_extractor_type is {found}, expected {wanted}")
    return _parsed(architecture, file, architecture.extractor, told)


def _parsed(
    architecture: Architecture, file: Path, kind: Any, content: Mapping[str, Any] | None = None
) -> Any:
    content = _read(architecture, file) if content is None else content
    try:
        return kind.from_dict(dict(content))
    except Exception as error:  # whatever a constructor makes of strange values
        raise _bad(architecture, file, f"cannot be used ({first_line(error)})") from error


def _read(architecture: Architecture, file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad(architecture, file, f"cannot be read ({first_line(error)})") from error
    if not isinstance(content, dict):
        raise _bad(architecture, file, "cannot be read (not a JSON object)")
    return content


def first_line(error: Exception) -> str:
    """The first line of what an error says, which is the one for people."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def _missing(architecture: Architecture, path: Path, detail: str) -> WeightsMissingError:
    return WeightsMissingError(architecture.name, path, f"{detail}; {_SAVE}")


def _bad(architecture: Architecture, file: Path, detail: str) -> BadWeightsError:
    return BadWeightsError(architecture.name, file, detail, _REPLACE)
