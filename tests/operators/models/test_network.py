"""Weights that are not what they should be: one clear line each. And what names a space."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch.nn.utils import parametrize

from operators.models import configure, load, resampling
from operators.models.network import fuse
from operators.models.protocol import BadWeightsError, Model
from tests.plugins.folders import edit_json, edit_tensors, randomise

SAFE = "model.safetensors"
BIN = "pytorch_model.bin"
EXTRACTOR = "preprocessor_config.json"


@pytest.fixture
def folder(tiny_models: Callable[[str], Path], tmp_path: Path) -> Path:
    """A wav2vec2 to damage."""
    return Path(shutil.copytree(tiny_models("wav2vec2"), tmp_path / "model"))


def opened(folder: Path, **options: Any) -> Model:
    config = configure("wav2vec2", weights=folder, dtype="float32", device="cpu", **options)
    return load("wav2vec2", config)


def refused(folder: Path) -> str:
    """The one line that loading this folder ends with."""
    with pytest.raises(BadWeightsError) as caught:
        opened(folder)
    said = str(caught.value)
    assert "\n" not in said
    assert str(folder) in said
    return said


def as_bin(folder: Path) -> Path:
    torch.save(load_file(folder / SAFE), folder / BIN)
    (folder / SAFE).unlink()
    return folder


def vector(folder: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    wave = np.sin(np.arange(16_000) * 0.05) + 0.1 * np.random.default_rng(0).standard_normal(16_000)
    return np.asarray(opened(folder).embed(wave.astype(np.float32)[None])[0])


def test_weights_cut_short(folder: Path) -> None:
    content = (folder / SAFE).read_bytes()
    (folder / SAFE).write_bytes(content[: len(content) // 2])
    assert f"{SAFE}: cannot be read" in refused(folder)


def test_a_pointer_of_git_lfs_instead_of_weights(folder: Path) -> None:
    (folder / SAFE).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "pointer of Git LFS, not the file" in refused(folder)


def test_weights_that_lack_a_tensor(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors.pop("feature_projection.projection.weight"))
    said = refused(folder)
    assert "lacks 1 tensors, feature_projection.projection.weight among them" in said


def test_weights_of_another_shape(folder: Path) -> None:
    name = "encoder.layers.0.feed_forward.intermediate_dense.bias"
    edit_tensors(folder, lambda tensors: tensors.update({name: torch.zeros(65)}))
    said = refused(folder)
    assert f"{name} has shape (65,), config.json says (64,)" in said


def test_weights_of_a_deeper_network_than_the_configuration_describes(folder: Path) -> None:
    edit_json(folder / "config.json", num_hidden_layers=1)
    said = refused(folder)
    assert "holds encoder.layers.1.attention.k_proj.bias, which config.json does not" in said


class Program:
    """A pickle that would run something."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return Path.unlink, (SAFE,)


def test_a_pickle_is_read_as_tensors_and_never_run(folder: Path) -> None:
    expected = vector(folder)
    assert np.array_equal(vector(as_bin(folder)), expected)
    torch.save({"weight": Program()}, folder / BIN)
    said = refused(folder)
    assert f"{BIN}: is no file of tensors, or holds more than tensors, which is never run" in said
    assert "intact copy" in said


def test_a_folder_may_be_named_from_where_one_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert opened(Path(folder.name)).space == opened(folder).space
    (folder / SAFE).write_bytes(b"")
    with pytest.raises(BadWeightsError, match=f"^{folder.name}/{SAFE}: cannot be read"):
        opened(Path(folder.name))


def test_safetensors_are_preferred_and_the_pickle_beside_them_is_not_opened(folder: Path) -> None:
    torch.save({"weight": Program()}, folder / BIN)
    opened(folder)


def test_weights_in_several_files(folder: Path) -> None:
    expected = vector(folder)
    network = transformers.Wav2Vec2Model.from_pretrained(folder)
    (folder / SAFE).unlink()
    network.save_pretrained(folder, max_shard_size="50KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert np.array_equal(vector(folder), expected)


@pytest.fixture
def ctc(folder: Path, tmp_path: Path) -> Path:
    """The same network beneath a head for speech recognition, as many checkpoints are published."""
    config = transformers.Wav2Vec2Config.from_pretrained(folder, vocab_size=30)
    network = transformers.Wav2Vec2ForCTC(config)
    randomise(network, seed=7)
    network.wav2vec2.load_state_dict(load_file(folder / SAFE))
    network.save_pretrained(tmp_path / "ctc")
    shutil.copy(folder / EXTRACTOR, tmp_path / "ctc")
    return tmp_path / "ctc"


def test_a_head_for_another_task_does_not_matter(folder: Path, ctc: Path) -> None:
    assert np.array_equal(vector(folder), vector(ctc))
    assert opened(folder).space == opened(ctc).space


def test_what_embedding_does_not_use_may_be_missing_and_names_nothing(folder: Path) -> None:
    space = opened(folder).space
    edit_tensors(folder, lambda tensors: tensors.pop("masked_spec_embed"))
    assert opened(folder).space == space
    assert opened(folder).space == space


def test_the_space_is_named_after_tensors_whatever_file_they_are_in(folder: Path) -> None:
    space = opened(folder).space
    assert opened(as_bin(folder)).space == space


def test_whatever_changes_a_vector_makes_another_space(folder: Path) -> None:
    def nudge(tensors: dict[str, torch.Tensor]) -> None:
        tensors["encoder.layer_norm.bias"][3] += 1e-4

    spaces = [opened(folder).space, opened(folder, layer=1).space]
    edit_json(folder / EXTRACTOR, do_normalize=False)
    spaces.append(opened(folder).space)
    edit_json(folder / "config.json", num_attention_heads=2)
    spaces.append(opened(folder).space)
    edit_json(folder / "config.json", hidden_act="relu")
    spaces.append(opened(folder).space)
    edit_tensors(folder, nudge)
    spaces.append(opened(folder).space)
    assert len(set(spaces)) == len(spaces)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("layers.0.attention.q_proj.weight", "layers.0.attention.v_proj.weight"),
        ("layers.0.attention.q_proj.weight", "layers.1.attention.q_proj.weight"),
        ("layers.1.layer_norm.bias", "layers.1.final_layer_norm.bias"),
    ],
)
def test_tensors_that_change_places_make_another_space(folder: Path, one: str, other: str) -> None:
    space, before = opened(folder).space, vector(folder)

    def swap(tensors: dict[str, torch.Tensor]) -> None:
        a, b = f"encoder.{one}", f"encoder.{other}"
        tensors[a], tensors[b] = tensors[b], tensors[a]

    edit_tensors(folder, swap)
    assert float(vector(folder) @ before) < 0.9999
    assert opened(folder).space != space


@pytest.mark.parametrize(
    ("kind", "part"),
    [("clap", "audio_config"), ("clap", "text_config"), ("wav2vec2", None), ("ast", None)],
)
def test_another_floor_of_the_layer_norms_makes_another_space(
    kind: str, part: str | None, tiny_models: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_models(kind), tmp_path / "model"))

    def space() -> str:
        return load(kind, configure(kind, weights=folder, device="cpu")).space

    before, file = space(), folder / "config.json"
    change: dict[str, Any] = {"layer_norm_eps": 0.1}
    told = json.loads(file.read_text())
    edit_json(file, **({part: told[part] | change} if part else change))
    assert space() != before


@pytest.mark.parametrize("kind", ["wav2vec2", "ast", "clap"])
def test_the_arithmetic_that_resamples_is_part_of_a_space(
    kind: str, tiny_models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def space() -> str:
        return load(kind, configure(kind, weights=tiny_models(kind), device="cpu")).space

    before = space()
    assert space() == before
    monkeypatch.setattr(resampling, "VERSION", f"{resampling.VERSION}, improved")
    assert space() != before


def test_names_that_older_versions_gave_to_weight_norm_are_known(folder: Path) -> None:
    space = opened(folder).space
    old = {"original0": "weight_g", "original1": "weight_v"}

    def rename(tensors: dict[str, torch.Tensor]) -> None:
        for new, name in old.items():
            long = f"encoder.pos_conv_embed.conv.parametrizations.weight.{new}"
            tensors[f"encoder.pos_conv_embed.conv.{name}"] = tensors.pop(long)

    edit_tensors(folder, rename)
    assert opened(folder).space == space


def test_loading_writes_nothing_and_leaves_transformers_as_it_was(
    ctc: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = transformers.utils.logging
    before = log.get_verbosity(), log.is_progress_bar_enabled()
    opened(ctc)
    assert capfd.readouterr() == ("", "")
    assert (log.get_verbosity(), log.is_progress_bar_enabled()) == before


def test_weight_norm_is_computed_once_and_changes_nothing(folder: Path) -> None:
    network = transformers.Wav2Vec2Model.from_pretrained(folder)
    wave = torch.randn(1, 4_000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = network(wave).last_hidden_state
    fuse(network)
    with torch.inference_mode():
        after = network(wave).last_hidden_state
    assert not any(parametrize.is_parametrized(module) for module in network.modules())
    assert torch.allclose(before, after, atol=1e-6)
