import subprocess
import sys
from pathlib import Path

import pytest

from operators.models.describers import DESCRIBERS, configure_describer, load_describer
from operators.models.gama import GamaConfig
from operators.models.protocol import (
    AudioLanguageModel,
    ModelConfig,
    ModelConfigError,
    UnknownModelError,
    WeightsMissingError,
)
from tests.plugins.audio_language import save_tiny_audio_flamingo3, save_tiny_qwen2_audio
from tests.plugins.gama import save_tiny_gama

SAVED = {
    "audio_flamingo3": save_tiny_audio_flamingo3,
    "gama": save_tiny_gama,
    "qwen2_audio": save_tiny_qwen2_audio,
}


def test_naming_the_describers_imports_no_framework() -> None:
    code = (
        "import sys; from operators.models.describers import DESCRIBERS;"
        "print(sorted(DESCRIBERS), 'torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert run.stdout == "['audio_flamingo3', 'gama', 'qwen2_audio'] False\n", run.stderr


@pytest.mark.parametrize("name", sorted(DESCRIBERS))
def test_every_describer_loads_from_a_folder_and_keeps_the_protocol(
    name: str, tmp_path: Path
) -> None:
    folder = SAVED[name](tmp_path / name)
    describer = load_describer(name, configure_describer(name, weights=folder))
    assert isinstance(describer, AudioLanguageModel)
    assert describer.name == name
    assert not describer.trained
    assert describer.device in {"cpu", "cuda:0"}


@pytest.mark.parametrize("name", sorted(DESCRIBERS))
def test_a_describer_without_its_folder_says_what_to_give(name: str) -> None:
    with pytest.raises(WeightsMissingError, match=rf"{name}.*not found: .*folder"):
        load_describer(name)


def test_an_unknown_describer_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match="'yamnet': choose one of audio_flamingo3, gama"):
        configure_describer("yamnet")
    with pytest.raises(UnknownModelError, match="qwen2_audio"):
        load_describer("yamnet")


def test_options_are_the_describers_own() -> None:
    config = configure_describer("gama", checkpoint=Path("stage5.bin"), max_new_tokens=40)
    assert config == GamaConfig(checkpoint=Path("stage5.bin"), max_new_tokens=40)
    with pytest.raises(ModelConfigError, match="'gama' has no option 'tempo': it has weights"):
        configure_describer("gama", tempo=120)


def test_a_describer_takes_no_configuration_of_another() -> None:
    with pytest.raises(ModelConfigError, match="model 'gama' was given a ModelConfig"):
        load_describer("gama", ModelConfig())
