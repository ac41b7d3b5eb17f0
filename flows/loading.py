"""The models a run asks for, loaded: each with those that serve in its place.

Invariant: whatever is wrong with a name, a folder or a device is said before audio is read.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TypeAlias, cast

from connectors import hub, weights
from flows.errors import UsageError
from flows.sections import ModelSettings
from flows.settings import Settings
from operators.inference.batch import check_rows
from operators.models import MODELS, Model, ModelError, configure, describers, load
from operators.models.describers import DESCRIBERS
from operators.models.protocol import AudioLanguageModel, ModelConfigError, UnknownModelError
from operators.records import ANALYSIS_RATE_HZ
from operators.recovery import diagnose
from operators.remarks import Voice

Ladder: TypeAlias = tuple[Model, ...]
Progress: TypeAlias = Callable[[str], None]
_VOICE = "silero"
_FAULTS = {
    "not_finite": "NaN or infinity",
    "zero_vector": "zeros",
    "wrong_shape": "another shape than it announces",
}
_WIDER = {"float16": "bfloat16 or float32", "bfloat16": "float32"}
"""What to compute in where numbers leave the range of half precision, or vanish in it."""


def check_known(*names: str) -> None:
    """Refuse a model that is not there before anything is opened or read.

    Raises:
        UnknownModelError: its text lists the known ones.
        UsageError: it describes instead.
    """
    for name in names:
        if name in DESCRIBERS:
            raise UsageError(f"{name} describes patterns and embeds none: set describe.model to it")
        if name not in MODELS:
            raise UnknownModelError(name, tuple(sorted(MODELS)))


def load_ladders(settings: Settings, progress: Progress) -> dict[str, Ladder]:
    """Load the models of every ladder, by the name of its first rung.

    Raises:
        ModelError: unknown, misconfigured, or its weights cannot be had; one line each.
    """
    ladders = settings.listen.ladders
    check_known(*(name for ladder in ladders for name in ladder))
    return {
        ladder[0]: tuple(load_model(name, settings, progress) for name in ladder)
        for ladder in ladders
    }


def load_model(name: str, settings: Settings, progress: Progress) -> Model:
    """Load one model with its settings and let it embed a sound.

    The first calls set things up (kernels, pools of memory): that is not live audio's to wait for.
    And a model without a vector for that sound would have none for any that comes later.

    Raises:
        ModelError: unknown, misconfigured, its weights cannot be had, or its vector is of no use.
    """
    check_known(name)
    with _named(name):
        model = load(name, configure(name, **options_of(name, settings, progress)))
    _try_out(model, round(settings.listen.window_s * ANALYSIS_RATE_HZ))
    return model


def _try_out(model: Model, samples: int) -> None:
    # Imported here: it brings torch, which the model has brought by now.
    sound = import_module("operators.models.compiling").probe(1, samples)
    try:
        answer = model.embed(sound, ANALYSIS_RATE_HZ)
    except ModelError:
        raise
    except Exception as error:  # whatever a network and its device can raise
        found = diagnose(error, default="model")
        raise ModelError(
            f"model {model.name!r} cannot embed a sound ({found.detail}): {found.remedy}"
        ) from error
    try:
        fault = check_rows(answer, 1, model.dimension).faults[0]
    except ValueError:
        fault = "wrong_shape"
    if fault:
        wider = _WIDER.get(model.dtype)
        raise ModelError(
            f"model {model.name!r} answers a sound with a vector of {_FAULTS[fault]}"
            f" ({model.dtype} on {model.device}):"
            f" {f'set its dtype to {wider}, or ' if wider else ''}give it intact weights"
        )


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
    progress(f"loading {name}")
    options = options_of(name, settings, progress)
    with _named(name):
        return describers.load_describer(name, describers.configure_describer(name, **options))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """What is wrong with an option says whose option it is."""
    try:
        yield
    except ModelConfigError as error:
        told = str(error)
        raise ModelConfigError(told if name in told else f"model {name!r}: {told}") from None


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
