"""The models a run asks for, loaded: each with those that serve in its place.

Invariant: whatever is wrong with a name, a folder or a device is said before audio is read.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np

from connectors import hub, weights
from flows.sections import ModelSettings
from flows.settings import Settings
from operators.models import MODELS, Model, configure, describers, load
from operators.models.describers import DESCRIBERS
from operators.models.protocol import AudioLanguageModel, UnknownModelError
from operators.records import ANALYSIS_RATE_HZ
from operators.remarks import Voice

Ladder: TypeAlias = tuple[Model, ...]
Progress: TypeAlias = Callable[[str], None]
_VOICE = "silero"


def check_known(*names: str) -> None:
    """Refuse a model that is not there before anything is opened or read.

    Raises:
        UnknownModelError: its text lists the known ones.
    """
    for name in names:
        if name not in MODELS:
            raise UnknownModelError(name, tuple(sorted(MODELS)))


def check_sections(settings: Settings) -> None:
    """Refuse settings of a model that nobody knows.

    Raises:
        UnknownModelError: its text lists the known ones.
    """
    for name in settings.models:
        if name not in MODELS and name not in DESCRIBERS:
            raise UnknownModelError(name, tuple(sorted({*MODELS, *DESCRIBERS})))


def load_ladders(settings: Settings, progress: Progress) -> dict[str, Ladder]:
    """Load the models of every ladder, by the name of its first rung.

    Raises:
        ModelError: unknown, misconfigured, or its weights cannot be had; one line each.
    """
    ladders = settings.listen.ladders
    check_sections(settings)
    check_known(*(name for ladder in ladders for name in ladder))
    return {
        ladder[0]: tuple(load_model(name, settings, progress) for name in ladder)
        for ladder in ladders
    }


def load_model(name: str, settings: Settings, progress: Progress) -> Model:
    """Load one model with its settings and let it embed once.

    The first calls set things up (kernels, pools of memory): that is not live audio's to wait for.
    """
    check_known(name)
    model = load(name, configure(name, **options_of(name, settings, progress)))
    length = round(settings.listen.window_s * ANALYSIS_RATE_HZ)
    model.embed(np.zeros((1, length), np.float32), ANALYSIS_RATE_HZ)
    return model


def load_voice(settings: Settings, progress: Progress) -> Voice | None:
    """What tells speech from other sounds, where windows or clips are to be looked at for it."""
    if settings.listen.speech == "off":
        return None
    folder = weights.find(_VOICE) or weights.pull(_VOICE, progress=progress)
    # Imported when it is asked for: it brings torch, and whoever lists patterns waits for that.
    return cast("Voice", import_module("operators.speech").Vad(folder))


def load_describer(settings: Settings, progress: Progress) -> AudioLanguageModel | None:
    """The model that describes patterns, where there is to be one.

    Raises:
        ModelError: unknown, misconfigured, or its weights cannot be had; one line each.
    """
    name = settings.describe.model
    if name is None:
        return None
    if name not in DESCRIBERS:
        raise UnknownModelError(name, tuple(sorted(DESCRIBERS)))
    progress(f"loading {name}")
    options = options_of(name, settings, progress)
    return describers.load_describer(name, describers.configure_describer(name, **options))


def options_of(name: str, settings: Settings, progress: Progress) -> dict[str, object]:
    """What a model's configuration is made of."""
    told = settings.models.get(name) or ModelSettings()
    options = told.model_dump(exclude_none=True, exclude={"path"})
    options["window_s"] = settings.listen.window_s
    folder = folder_of(name, told, progress)
    return options if folder is None else {**options, "weights": folder}


def folder_of(name: str, told: ModelSettings, progress: Progress) -> Path | None:
    """The folder of a model's weights: where settings say, or what was pulled.

    None where none is needed, or none is here: loading says so then.
    """
    if told.path is not None:
        return hub.folder_of(told.path, pull=True)
    if name in weights.SOURCES or name in weights.SHARED:
        return weights.find(name) or weights.pull(name, progress=progress)
    return None
