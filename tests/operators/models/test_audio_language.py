"""Native audio-language models end to end: transformers' own classes, tiny and random."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from operators.models.audio_language import (
    DESCRIBE,
    AudioFlamingo3,
    AudioLanguageConfig,
    Qwen2Audio,
)
from operators.models.protocol import (
    AudioLanguageModel,
    BadWeightsError,
    ModelConfigError,
    ModelError,
    WeightsMissingError,
    WindowsError,
)
from tests.plugins.audio_language import (
    SECONDS,
    save_tiny_audio_flamingo3,
    save_tiny_qwen2_audio,
)

RATE = 16_000
NATIVE = {
    "qwen2_audio": (Qwen2Audio, save_tiny_qwen2_audio),
    "audio_flamingo3": (AudioFlamingo3, save_tiny_audio_flamingo3),
}
Clip = NDArray[np.float32]
Native = Qwen2Audio | AudioFlamingo3


def tone(frequency_hz: float, rate_hz: int = RATE, seconds: float = 1.0) -> Clip:
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    return (0.4 * np.sin(2 * np.pi * frequency_hz * time) * np.exp(-3 * time)).astype(np.float32)


def hiss(seconds: float = 1.0) -> Clip:
    rng = np.random.default_rng(8)
    return (0.1 * rng.standard_normal(round(RATE * seconds))).astype(np.float32)


def loaded(name: str, folder: Path, **options: object) -> Native:
    settings = {"dtype": "float32", "max_new_tokens": 12, **options}
    return NATIVE[name][0](AudioLanguageConfig(weights=folder, **settings))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("native")
    return {name: save(root / name) for name, (_, save) in NATIVE.items()}


@pytest.fixture(scope="module")
def natives(folders: dict[str, Path]) -> dict[str, Native]:
    return {name: loaded(name, folder) for name, folder in folders.items()}


everyone = pytest.mark.parametrize("name", sorted(NATIVE))


@everyone
def test_it_is_a_describer_and_says_that_it_was_not_trained(
    natives: dict[str, Native], name: str
) -> None:
    native = natives[name]
    assert isinstance(native, AudioLanguageModel)
    assert (native.name, native.sample_rate_hz, native.longest_s) == (name, RATE, SECONDS)
    assert (native.trained, native.device, native.dtype) == (False, "cpu", "float32")


@everyone
def test_a_description_is_an_answer_and_the_same_one_every_time(
    natives: dict[str, Native], folders: dict[str, Path], name: str
) -> None:
    described = natives[name].describe(hiss())
    assert described
    assert described.isprintable()
    assert described == natives[name].ask(hiss(), f" {DESCRIBE} ")
    again = {natives[name].describe(hiss()), loaded(name, folders[name]).describe(hiss())}
    assert again == {described}


@everyone
def test_the_words_depend_on_the_sound_and_on_the_question(
    natives: dict[str, Native], name: str
) -> None:
    questions = (DESCRIBE, "Is it a dog?", "How many?", "Who is there?")
    of_hiss = [natives[name].ask(hiss(), question) for question in questions]
    of_tone = [natives[name].ask(tone(300.0), question) for question in questions]
    assert of_hiss != of_tone
    assert len(set(of_hiss)) > 1


@everyone
def test_an_answer_is_what_greedy_decoding_without_any_cache_gives(
    natives: dict[str, Native], name: str
) -> None:
    native = natives[name]
    inputs = native._inputs(torch.from_numpy(hiss()), DESCRIBE)
    network, tokenizer = native._network, native._processor.tokenizer
    said: list[int] = []
    with torch.inference_mode():
        while len(said) < 12:
            latest = int(network(**inputs).logits[0, -1].argmax())
            if latest in network.generation_config.eos_token_id:
                break
            said.append(latest)
            for key, value in (("input_ids", latest), ("attention_mask", 1)):
                inputs[key] = torch.cat([inputs[key], torch.tensor([[value]])], dim=1)
    expected = " ".join(tokenizer.decode(said, skip_special_tokens=True).split())
    assert native.describe(hiss()) == expected


@everyone
def test_a_clip_of_another_rate_is_converted_and_a_long_one_cut(
    natives: dict[str, Native], name: str
) -> None:
    native = natives[name]
    assert native.describe(tone(300.0, 44_100), 44_100)
    longer = np.concatenate([hiss(SECONDS), tone(300.0)])
    assert native.describe(longer) == native.describe(longer[: SECONDS * RATE])


@everyone
def test_the_shortest_clips_and_silence_are_answered_too(
    natives: dict[str, Native], name: str
) -> None:
    assert natives[name].describe(np.ones(1, np.float32))
    assert natives[name].describe(np.zeros(RATE, np.float32))


@everyone
def test_half_precision_runs_and_repeats_itself(folders: dict[str, Path], name: str) -> None:
    half = loaded(name, folders[name], dtype="bfloat16")
    assert half.dtype == "bfloat16"
    assert {parameter.dtype for parameter in half._network.parameters()} == {torch.bfloat16}
    assert half.describe(hiss()) == half.describe(hiss())


@everyone
def test_an_answer_is_no_longer_than_allowed(folders: dict[str, Path], name: str) -> None:
    one = loaded(name, folders[name], max_new_tokens=1).describe(tone(300.0))
    assert len(one) == 1
    with pytest.raises(ModelConfigError, match="max_new_tokens = 0"):
        replace(AudioLanguageConfig(), max_new_tokens=0)


@everyone
def test_what_cannot_be_heard_or_asked_is_refused(natives: dict[str, Native], name: str) -> None:
    native = natives[name]
    with pytest.raises(WindowsError, match=r"a clip of shape \(2, 800\)"):
        native.describe(np.zeros((2, 800), np.float32))
    with pytest.raises(WindowsError, match="NaN or infinity"):
        native.describe(np.full(800, np.nan, np.float32))
    with pytest.raises(ModelError, match="was asked nothing"):
        native.ask(hiss(), "")
    mark = native._processor.audio_token
    with pytest.raises(ModelError, match="stands for the sound"):
        native.ask(hiss(), f"What is {mark}?")


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders["audio_flamingo3"], tmp_path / "copy"))


def refused(folder: Path | None) -> ModelError:
    with pytest.raises(ModelError) as raised:
        AudioFlamingo3(AudioLanguageConfig(weights=folder))
    assert "\n" not in str(raised.value)
    return raised.value


def test_no_folder_and_missing_files_are_named(copy: Path, tmp_path: Path) -> None:
    assert isinstance(refused(None), WeightsMissingError)
    assert "no such folder" in str(refused(tmp_path / "nowhere"))
    (copy / "model.safetensors").unlink()
    assert "no model.safetensors" in str(refused(copy))
    (copy / "config.json").unlink()
    assert "no config.json" in str(refused(copy))


def test_a_folder_of_another_model_is_refused(folders: dict[str, Path]) -> None:
    error = refused(folders["qwen2_audio"])
    assert isinstance(error, ModelConfigError)
    assert "model_type is 'qwen2_audio'" in str(error)


def test_a_folder_without_tokenizer_or_template_is_refused(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    assert "no chat template beside it" in str(refused(copy))
    (copy / "tokenizer.json").write_text("{")
    assert "no processor can be made of it" in str(refused(copy))


def test_weights_that_are_not_whole_are_refused(copy: Path) -> None:
    file = copy / "model.safetensors"
    whole = load_file(file)

    def save(tensors: dict[str, torch.Tensor]) -> None:
        save_file(tensors, file, metadata={"format": "pt"})

    name = next(name for name in whole if name.endswith("linear_1.weight"))
    save({other: whole[other] for other in whole if other != name})
    error = refused(copy)
    assert isinstance(error, BadWeightsError)
    assert "lacks 1 tensors" in str(error)
    save({**whole, name: whole[name][:3].clone()})
    assert "holds other shapes of 1 tensors" in str(refused(copy))
    save({**whole, "surplus.weight": torch.ones(2)})
    assert "holds unknown 1 tensors, surplus.weight among them" in str(refused(copy))
    file.write_bytes(file.read_bytes()[:500])
    assert "model.safetensors: cannot be read" in str(refused(copy))


def test_an_empty_answer_is_an_error_of_one_line(copy: Path) -> None:
    (copy / "generation_config.json").write_text(
        json.dumps({"eos_token_id": list(range(90)), "pad_token_id": 0})
    )
    file = copy / "model.safetensors"
    tensors = load_file(file)
    for name in tensors:
        if (
            name.endswith("language_model.model.norm.weight")
            or name == "language_model.norm.weight"
        ):
            tensors[name].zero_()  # every token as likely as the first, which is padding
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="'audio_flamingo3' gave an empty answer"):
        loaded("audio_flamingo3", copy).describe(hiss())


def test_a_folder_that_names_no_special_tokens_is_stopped_by_its_tokenizer(copy: Path) -> None:
    (copy / "generation_config.json").unlink()
    native = loaded("audio_flamingo3", copy)
    told = native._network.generation_config
    assert (told.eos_token_id, told.pad_token_id) == (1, 0)
    assert not told.do_sample
    assert native.describe(hiss())
