import subprocess
import sys
from pathlib import Path

import pytest

from operators.models import DEFAULT_MODEL, MODELS, Model, configure, load
from operators.models.protocol import (
    ModelConfig,
    ModelConfigError,
    UnknownModelError,
    WeightsMissingError,
)


def test_naming_the_models_imports_no_framework() -> None:
    code = (
        "import sys; from operators.models import MODELS; from connectors import weights;"
        "print('aisfx' in MODELS, 'torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert run.stdout == "True False\n", run.stderr


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    for ask in (load, configure):
        with pytest.raises(UnknownModelError, match=r"'yamnet'.*aisfx, .*logmel"):
            ask("yamnet")


def test_an_option_that_a_model_does_not_have_is_answered_with_those_it_has() -> None:
    with pytest.raises(
        ModelConfigError, match=r"no option 'tempo': it has weights, threads, dtype"
    ):
        configure("logmel", tempo=120)


def test_a_model_takes_no_configuration_of_another() -> None:
    with pytest.raises(ModelConfigError, match="'logmel' was given a ModelConfig"):
        load("logmel", ModelConfig())


def test_a_model_without_its_weights_says_what_to_run() -> None:
    with pytest.raises(WeightsMissingError, match="grym models pull aisfx"):
        load(DEFAULT_MODEL)


def test_every_model_of_grym_keeps_the_protocol(models: dict[str, Model]) -> None:
    assert set(models) <= set(MODELS)
    for name, model in models.items():
        assert isinstance(model, Model)
        assert model.name == name
        assert model.space.startswith(f"{name}-")
        assert model.space.endswith(f"-{model.dimension}")
        assert model.trained
