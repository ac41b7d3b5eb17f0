"""GAMA end to end, of random numbers: a folder in the published layout, words and vectors out."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from operators.models import resampling
from operators.models.gama import Gama, GamaConfig, language
from operators.models.gama.adapter import DESCRIBE
from operators.models.protocol import (
    AudioLanguageModel,
    BadWeightsError,
    Model,
    ModelConfigError,
    ModelError,
    WeightsMissingError,
    WindowsError,
)
from tests.plugins.gama import PEFT, SECTION, save_tiny_gama

RATE = 16_000
Clip = NDArray[np.float32]


def tone(frequency_hz: float, rate_hz: int = RATE, seconds: float = 0.6) -> Clip:
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    return (0.4 * np.sin(2 * np.pi * frequency_hz * time) * np.exp(-3 * time)).astype(np.float32)


def hiss(seconds: float = 0.6) -> Clip:
    rng = np.random.default_rng(8)
    return (0.1 * rng.standard_normal(round(RATE * seconds))).astype(np.float32)


def loaded(folder: Path, **options: object) -> Gama:
    return Gama(GamaConfig(weights=folder, dtype="float32", max_new_tokens=24, **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def gama(tiny_gama: Path) -> Gama:
    return loaded(tiny_gama)


def test_it_is_a_describer_and_a_model_and_says_that_it_was_not_trained(gama: Gama) -> None:
    assert isinstance(gama, AudioLanguageModel)
    assert isinstance(gama, Model)
    assert not gama.trained
    assert (gama.name, gama.sample_rate_hz, gama.device, gama.dtype) == (
        "gama",
        16_000,
        "cpu",
        "float32",
    )
    assert gama.longest_s == pytest.approx((400 + 63 * 160) / RATE)


def test_a_description_is_an_answer_to_the_authors_question(gama: Gama) -> None:
    described = gama.describe(hiss())
    assert described
    assert described == described.strip()
    assert described.isprintable()
    assert described == gama.ask(hiss(), DESCRIBE)


def test_the_same_clip_gets_the_same_words_and_so_does_a_second_copy(
    gama: Gama, tiny_gama: Path
) -> None:
    answers = {gama.describe(hiss()) for _ in range(3)} | {loaded(tiny_gama).describe(hiss())}
    assert len(answers) == 1


def test_the_words_depend_on_the_sound_and_on_the_question(gama: Gama) -> None:
    answers = {
        gama.describe(hiss()),
        gama.describe(tone(300.0)),
        gama.ask(hiss(), "How many dogs bark?"),
    }
    assert len(answers) == 3


def greedy(gama: Gama, folder: Path, soft_prompt: torch.Tensor | None = None) -> str:
    """What a plainly built LLaMA says to the hiss, every token computed from the beginning."""
    config = LlamaConfig.from_dict(json.loads((folder / "config.json").read_text()))
    plain = LlamaForCausalLM(config).eval()
    plain.load_state_dict(gama._voice._model.state_dict())
    tokenizer = language.Tokenizer(folder, config)
    text = tokenizer.encode(DESCRIBE)
    assert text[0, 0] == config.bos_token_id
    ids: list[int] = []
    with torch.inference_mode():
        parts = [gama._side(gama._levels(torch.from_numpy(hiss())[None]))]
        parts += [] if soft_prompt is None else [soft_prompt[None]]
        embeddings = torch.cat([*parts, plain.get_input_embeddings()(text)], dim=1)
        while len(ids) < 24 and config.eos_token_id not in ids:
            latest = plain(inputs_embeds=embeddings).logits[0, -1].argmax()
            ids.append(int(latest))
            said = plain.get_input_embeddings()(latest)[None, None]
            embeddings = torch.cat([embeddings, said], dim=1)
    return " ".join(tokenizer.decode(torch.tensor(ids)).split())


def test_an_answer_is_what_greedy_decoding_without_any_cache_gives(
    gama: Gama, tiny_gama: Path
) -> None:
    assert gama.describe(hiss()) == greedy(gama, tiny_gama)


def test_another_rate_is_heard_as_its_own(gama: Gama) -> None:
    near = gama.embed(tone(300.0)[None]) @ gama.embed(tone(300.0, 44_100)[None], 44_100).T
    far = gama.embed(tone(300.0)[None]) @ gama.embed(hiss()[None]).T
    assert near.item() > 0.9999 > far.item()
    assert gama.ask(tone(300.0, 44_100), "What is it?", 44_100)


def test_what_is_longer_than_it_hears_is_cut_off(gama: Gama) -> None:
    clip = np.concatenate([hiss(1.0), tone(300.0)])
    assert gama.describe(clip) == gama.describe(clip[: round(gama.longest_s * RATE)])


def test_adapters_change_what_is_said(tiny_gama: Path, tmp_path: Path, gama: Gama) -> None:
    changed = tmp_path / "without.bin"
    stage = torch.load(tiny_gama / "pytorch_model.bin")
    torch.save({n: t * 0.0 if ".lora_B." in n else t for n, t in stage.items()}, changed)
    without = loaded(tiny_gama, checkpoint=changed)
    assert without.describe(hiss()) != gama.describe(hiss())
    assert without.space == gama.space


def test_a_soft_prompt_stands_between_sound_and_question(copy: Path, gama: Gama) -> None:
    generator = torch.Generator().manual_seed(4)
    prompt = torch.randn(3, 32, generator=generator)
    save_file({"soft_prompt": prompt}, copy / "soft_prompt.safetensors")
    softened = loaded(copy)
    assert softened.describe(hiss()) != gama.describe(hiss())
    assert softened.describe(hiss()) == greedy(softened, copy, prompt)
    save_file({"soft_prompt": prompt[:, :31].clone()}, copy / "soft_prompt.safetensors")
    with pytest.raises(BadWeightsError, match=r"soft_prompt has shape \(3, 31\), expected \(n, 32"):
        loaded(copy)


def test_vectors_are_the_means_of_both_branches(gama: Gama) -> None:
    windows = np.stack([hiss(), tone(300.0), tone(900.0)])
    vectors = gama.embed(windows)
    assert vectors.shape == (3, gama.dimension) == (3, 32)
    assert vectors.dtype == np.float32
    assert gama.space == f"gama-{gama.space.split('-')[1]}-32"
    with torch.inference_mode():
        heard = gama._side.hear(gama._levels(torch.from_numpy(windows)))
    for half, tokens in enumerate(heard):
        mean = tokens.mean(dim=1).numpy()
        expected = mean / np.linalg.norm(mean, axis=1, keepdims=True) / np.sqrt(2)
        assert np.allclose(vectors[:, 16 * half : 16 * (half + 1)], expected, atol=1e-5)


def test_a_vector_does_not_depend_on_its_companions_and_nan_stays_alone(gama: Gama) -> None:
    windows = np.stack([hiss(), tone(300.0), tone(900.0)])
    together = gama.embed(windows)
    alone = np.concatenate([gama.embed(window[None]) for window in windows])
    assert (together * alone).sum(axis=1).min() >= 0.99999
    assert np.array_equal(gama.embed(windows), together)
    windows[1, 7] = np.nan
    spoilt = gama.embed(windows)
    assert np.isnan(spoilt[1]).all()
    assert (spoilt[[0, 2]] * together[[0, 2]]).sum(axis=1).min() >= 0.99999
    with pytest.raises(WindowsError, match="this model needs 400 or more"):
        gama.embed(windows[:, :399])


def test_half_precision_hears_nearly_the_same(gama: Gama, tiny_gama: Path) -> None:
    half = Gama(GamaConfig(weights=tiny_gama, dtype="bfloat16", max_new_tokens=8))
    assert half.dtype == "bfloat16"
    windows = np.stack([hiss(), tone(300.0)])
    assert (half.embed(windows) * gama.embed(windows)).sum(axis=1).min() > 0.999
    assert half.space == gama.space
    assert half.describe(hiss()) == half.describe(hiss())


def test_other_weights_make_another_space(gama: Gama, tmp_path: Path) -> None:
    other = loaded(save_tiny_gama(tmp_path / "gama", seed=1))
    assert other.space != gama.space
    assert other.dimension == gama.dimension


def test_what_leaves_no_trace_in_the_tensors_makes_another_space_too(
    gama: Gama, copy: Path
) -> None:
    change_config(copy, lambda config: config.update(gama={**SECTION, "heads": 4}))
    assert loaded(copy).space != gama.space


def test_the_arithmetic_that_resamples_is_part_of_its_space(
    gama: Gama, tiny_gama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resampling, "VERSION", f"{resampling.VERSION}, improved")
    assert loaded(tiny_gama).space != gama.space


def test_the_papers_aggregator_makes_another_space_and_other_words(
    gama: Gama, tmp_path: Path
) -> None:
    paper = loaded(save_tiny_gama(tmp_path / "gama", section={"multi_layer": True}))
    assert paper.space != gama.space
    assert paper.describe(hiss()) != gama.describe(hiss())


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (np.zeros((2, 800), np.float32), r"a clip of shape \(2, 800\)"),
        (np.zeros(0, np.float32), r"a clip of shape \(0,\)"),
        (np.full(800, np.nan, np.float32), "NaN or infinity"),
        (np.full(800, np.inf, np.float32), "NaN or infinity"),
    ],
)
def test_what_cannot_be_heard_is_refused(gama: Gama, clip: Clip, message: str) -> None:
    with pytest.raises(WindowsError, match=message):
        gama.describe(clip)


def test_silence_and_a_single_sample_are_answered_too(gama: Gama) -> None:
    assert gama.describe(np.zeros(RATE, np.float32))
    assert gama.describe(np.ones(1, np.float32))


def test_no_question_is_no_question(gama: Gama) -> None:
    with pytest.raises(ModelError, match="'gama' was asked nothing"):
        gama.ask(hiss(), " \n")


def test_an_empty_answer_is_an_error_of_one_line(copy: Path) -> None:
    shard = next(f for f in copy.glob("model-*") if "model.norm.weight" in load_file(f))
    silent = {"model.norm.weight": torch.zeros(32)}  # every token as likely as "<unk>"
    save_file({**load_file(shard), **silent}, shard)
    with pytest.raises(ModelError, match="'gama' gave an empty answer"):
        loaded(copy).describe(hiss())


def test_an_answer_is_no_longer_than_allowed(tiny_gama: Path) -> None:
    config = GamaConfig(weights=tiny_gama, dtype="float32", max_new_tokens=1)
    short = Gama(config).describe(hiss())
    assert Gama(replace(config, max_new_tokens=24)).describe(hiss()).startswith(short)
    with pytest.raises(ModelConfigError, match="max_new_tokens = 0: give 1 or more"):
        replace(config, max_new_tokens=0)


def change_config(folder: Path, how: Callable[[dict[str, object]], object]) -> None:
    file = folder / "config.json"
    content = json.loads(file.read_text())
    how(content)
    file.write_text(json.dumps(content))


def refused(folder: Path | None) -> ModelError:
    with pytest.raises(ModelError) as raised:
        Gama(GamaConfig(weights=folder))
    assert "\n" not in str(raised.value)
    return raised.value


def test_no_folder_and_no_files_are_named(copy: Path, tmp_path: Path) -> None:
    assert "'gama' were not found: set path of [models.gama] to the base folder" in str(
        refused(None)
    )
    assert isinstance(refused(tmp_path / "nowhere"), WeightsMissingError)
    (copy / "tokenizer.json").unlink()
    assert f"not found in {copy / 'tokenizer.json'}" in str(refused(copy))
    (copy / "config.json").unlink()
    assert f"not found in {copy / 'config.json'}" in str(refused(copy))


def test_a_strange_config_is_named(copy: Path) -> None:
    change_config(copy, lambda config: config.update(hidden_size="x"))
    assert "config.json: Validation error for field 'hidden_size'" in str(refused(copy))
    change_config(copy, lambda config: config.update(gama=[]))
    assert "gama = [], not a section" in str(refused(copy))
    change_config(copy, lambda config: config.update(gama={"heads": 5}))
    assert isinstance(refused(copy), ModelConfigError)
    change_config(copy, lambda config: config.update(model_type="bert"))
    assert "model_type 'bert', not 'llama'" in str(refused(copy))
    (copy / "config.json").write_text("[]")
    assert "model_type None" in str(refused(copy))
    (copy / "config.json").write_text("{")
    assert "config.json: unreadable" in str(refused(copy))


def test_a_strange_tokenizer_is_named(copy: Path) -> None:
    change_config(copy, lambda config: config.update(vocab_size=12))
    assert "tokens, the language model has 12" in str(refused(copy))
    (copy / "tokenizer.json").write_text("{}")
    assert "tokenizer.json: unreadable" in str(refused(copy))


def test_sizes_other_than_the_weights_are_refused(copy: Path) -> None:
    change_config(copy, lambda config: config.update(gama={}))
    assert isinstance(refused(copy), BadWeightsError)


def test_a_lost_tensor_of_the_audio_side_is_refused(copy: Path) -> None:
    stage = torch.load(copy / "pytorch_model.bin")
    del stage[f"{PEFT}audio_aggregator_layer_1.output.dense.weight"]
    torch.save(stage, copy / "pytorch_model.bin")
    error = refused(copy)
    assert isinstance(error, BadWeightsError)
    assert "such as audio_aggregator_layer_1.output.dense.weight" in str(error)


def test_a_tokenizer_that_adds_no_beginning_gets_one(copy: Path) -> None:
    expected = loaded(copy).describe(hiss())
    file = copy / "tokenizer.json"
    content = json.loads(file.read_text())
    content["post_processor"] = None
    file.write_text(json.dumps(content))
    (copy / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"})
    )
    assert loaded(copy).describe(hiss()) == expected
