"""Reading the published layout: what is needed is there, nothing strange is, LoRA is merged."""

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from operators.models.gama import language, layout
from operators.models.gama.checkpoint import Reader, Tensors
from operators.models.gama.shape import Shape
from operators.models.protocol import BadWeightsError, ModelError, WeightsMissingError
from tests.plugins.gama import PEFT, SECTION, tiny_llama

Change = Callable[[dict[str, Tensor]], object]
STAGE = "pytorch_model.bin"
QUERY = "layers.1.self_attn.q_proj"
LANGUAGE_NAME = f"model.{QUERY}.weight"


def read(folder: Path, stage: Path | None = None, dtype: torch.dtype = torch.float32) -> Tensors:
    shape, llama = Shape.of(SECTION), tiny_llama()
    reader = Reader(layout.used(shape, llama.hidden_size), language.needed(llama), dtype)
    return reader.read(folder, stage or folder / STAGE)


def change(file: Path, how: Change) -> None:
    tensors = load_file(file) if file.suffix == ".safetensors" else torch.load(file)
    how(tensors)
    if file.suffix == ".safetensors":
        save_file(tensors, file)
    else:
        torch.save(tensors, file)


def refused(folder: Path, stage: Path | None = None) -> str:
    with pytest.raises(ModelError) as raised:
        read(folder, stage)
    message = str(raised.value)
    assert "\n" not in message
    assert isinstance(raised.value, BadWeightsError | WeightsMissingError)
    return message


def test_everything_that_is_used_is_read_and_nothing_else(copy: Path) -> None:
    tensors = read(copy)
    shape, llama = Shape.of(SECTION), tiny_llama()
    assert set(tensors.audio) == set(layout.used(shape, llama.hidden_size))
    assert set(tensors.language) == set(language.needed(llama))
    assert tensors.soft_prompt is None


def test_the_stage_checkpoint_wins_over_the_base_folder(copy: Path) -> None:
    stage = torch.load(copy / STAGE)
    base = load_file(copy / "model-00004-of-00002.safetensors")
    found = read(copy).audio["query_tokens"]
    assert torch.equal(found, stage[f"{PEFT}query_tokens"])
    assert not torch.equal(found, base["model.query_tokens"])


def test_what_the_stage_checkpoint_lacks_the_base_folder_may_have(copy: Path) -> None:
    change(copy / STAGE, lambda tensors: tensors.pop(f"{PEFT}query_tokens"))
    base = load_file(copy / "model-00004-of-00002.safetensors")
    assert torch.equal(read(copy).audio["query_tokens"], base["model.query_tokens"])


def test_lora_is_merged_at_twice_its_product(copy: Path) -> None:
    stage = torch.load(copy / STAGE)
    low, high = (stage[f"{PEFT}{QUERY}.lora_{half}.default.weight"] for half in "AB")
    shards = [load_file(file) for file in sorted(copy.glob("model-0000[12]*"))]
    plain = next(shard[LANGUAGE_NAME] for shard in shards if LANGUAGE_NAME in shard)
    found = read(copy)
    assert torch.allclose(found.language[LANGUAGE_NAME], plain + 2.0 * high @ low, atol=1e-6)
    key = LANGUAGE_NAME.replace("q_proj", "k_proj")
    assert any(torch.equal(found.language[key], shard[key]) for shard in shards if key in shard)


def test_lora_is_merged_before_it_is_rounded(copy: Path) -> None:
    exact, rounded = read(copy), read(copy, dtype=torch.bfloat16)
    assert rounded.language[LANGUAGE_NAME].dtype == torch.bfloat16
    assert torch.equal(
        rounded.language[LANGUAGE_NAME], exact.language[LANGUAGE_NAME].to(torch.bfloat16)
    )


def test_adapters_may_be_saved_without_the_adapters_name(copy: Path) -> None:
    expected = read(copy).language[LANGUAGE_NAME]

    def rename(tensors: dict[str, Tensor]) -> None:
        for name in [name for name in tensors if ".default." in name]:
            tensors[name.replace(".default.", ".")] = tensors.pop(name)

    change(copy / STAGE, rename)
    assert torch.equal(read(copy).language[LANGUAGE_NAME], expected)


def test_the_stage_checkpoint_may_lie_elsewhere_and_be_safetensors(
    copy: Path, tmp_path: Path
) -> None:
    expected = read(copy)
    elsewhere = tmp_path / "stage5.safetensors"
    save_file(torch.load(copy / STAGE), elsewhere)
    (copy / STAGE).unlink()
    found = read(copy, elsewhere)
    assert all(torch.equal(found.audio[name], expected.audio[name]) for name in expected.audio)


def test_a_base_folder_may_hold_bin_files_and_what_the_trainer_left(copy: Path) -> None:
    expected = read(copy)
    for file in sorted(copy.glob("*.safetensors")):
        name = file.name.replace("model-", "pytorch_model-").replace(".safetensors", ".bin")
        torch.save(load_file(file), copy / name)
        file.unlink()
    (copy / "model.safetensors.index.json").unlink()
    (copy / "training_args.bin").write_bytes(b"never looked at")
    found = read(copy)
    for name, tensor in expected.language.items():
        assert torch.equal(found.language[name], tensor)


def test_a_soft_prompt_is_found_where_a_folder_has_one(copy: Path) -> None:
    prompt = torch.ones(3, 32)
    save_file({"soft_prompt": prompt}, copy / "soft_prompt.safetensors")
    found = read(copy).soft_prompt
    assert found is not None
    assert torch.equal(found, prompt)


def test_a_missing_stage_checkpoint_says_what_it_is_and_where_it_goes(copy: Path) -> None:
    (copy / STAGE).unlink()
    message = refused(copy)
    assert f"not found in {copy / STAGE}" in message
    assert "stage 4 or 5" in message
    assert "set checkpoint of [models.gama]" in message


def test_a_shard_that_the_index_names_must_be_there(copy: Path) -> None:
    (copy / "model-00002-of-00002.safetensors").unlink()
    message = refused(copy)
    assert "model-00002-of-00002.safetensors" in message
    assert "every shard of LLaMA-2-7B-chat" in message


def test_a_base_folder_without_weights_is_named(copy: Path) -> None:
    for file in copy.glob("model*"):
        file.unlink()
    assert str(copy) in refused(copy)


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 3}', "{}"])
def test_a_damaged_index_is_named(copy: Path, content: str) -> None:
    (copy / "model.safetensors.index.json").write_text(content)
    assert "model.safetensors.index.json: unreadable index" in refused(copy)


@pytest.mark.parametrize("name", ["audio_proj_qformer.2.weight", "audio_encoder.norm_a.bias"])
def test_a_missing_tensor_of_the_audio_side_is_named(copy: Path, name: str) -> None:
    for file in (STAGE, "model-00003-of-00002.safetensors"):
        change(
            copy / file,
            lambda tensors: [tensors.pop(f"{prefix}{name}", None) for prefix in (PEFT, "model.")],
        )
    message = refused(copy)
    assert f"{copy / STAGE}: 1 tensors are missing, such as {name}" in message


def test_a_missing_tensor_of_the_language_model_is_named(copy: Path) -> None:
    for file in copy.glob("model-0000[12]*.safetensors"):
        change(file, lambda tensors: tensors.pop("model.norm.weight", None))
    assert "1 tensors are missing, such as model.norm.weight" in refused(copy)


@pytest.mark.parametrize(
    "name", ["audio_encoder.blocks_a.9.attn.qkv.weight", "audio_tagger.weight", "layers.9.q.weight"]
)
def test_a_tensor_that_nobody_knows_is_refused(copy: Path, name: str) -> None:
    change(copy / STAGE, lambda tensors: tensors.update({f"{PEFT}{name}": torch.zeros(2)}))
    assert re.search(rf"{STAGE}: unknown tensor (model\.)?{re.escape(name)}", refused(copy))


def test_a_tensor_of_another_size_is_refused(copy: Path) -> None:
    change(
        copy / STAGE,
        lambda tensors: tensors.update({f"{PEFT}query_tokens": torch.ones(1, 9, 16)}),
    )
    assert "query_tokens has shape (1, 9, 16), expected (1, 4, 16)" in refused(copy)


def test_a_tensor_that_is_not_finite_is_refused(copy: Path) -> None:
    change(copy / STAGE, lambda tensors: tensors[f"{PEFT}query_tokens"].fill_(torch.nan))
    assert "tensor query_tokens is not finite" in refused(copy)


def test_a_checkpoint_without_lora_is_refused(copy: Path) -> None:
    def forget(tensors: dict[str, Tensor]) -> None:
        for name in [name for name in tensors if ".lora_" in name]:
            del tensors[name]

    change(copy / STAGE, forget)
    assert "holds no LoRA tensors" in refused(copy)


@pytest.mark.parametrize("half", [None, torch.ones(3, 32), torch.ones(8, 31)])
def test_adapters_that_are_not_whole_or_do_not_fit_are_refused(
    copy: Path, half: Tensor | None
) -> None:
    name = f"{PEFT}{QUERY}.lora_A.default.weight"
    if half is None:
        change(copy / STAGE, lambda tensors: tensors.pop(name))
    else:
        change(copy / STAGE, lambda tensors: tensors.update({name: half}))
    message = f"the LoRA for {LANGUAGE_NAME} is not whole, or of other sizes"
    assert message in refused(copy)


def test_a_layer_without_its_adapter_is_refused(copy: Path) -> None:
    change(
        copy / STAGE,
        lambda tensors: [tensors.pop(f"{PEFT}{QUERY}.lora_{h}.default.weight") for h in "AB"],
    )
    assert f"no LoRA for {LANGUAGE_NAME}" in refused(copy)


def test_an_adapter_of_a_weight_that_is_not_there_is_refused(copy: Path) -> None:
    def move(tensors: dict[str, Tensor]) -> None:
        for half in "AB":
            name = f"{PEFT}{QUERY}.lora_{half}.default.weight"
            tensors[name.replace("layers.1", "layers.7")] = tensors.pop(name)

    change(copy / STAGE, move)
    assert "LoRA for model.layers.7.self_attn.q_proj.weight, which is not there" in refused(copy)


def test_a_program_in_a_checkpoint_is_not_run(copy: Path, tmp_path: Path) -> None:
    mark = tmp_path / "run"
    torch.save({"x": _Program(str(mark))}, copy / STAGE)
    assert f"{STAGE}: unreadable" in refused(copy)
    assert not mark.exists()


class _Program:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path(self.path),)


def test_damaged_files_are_named(copy: Path) -> None:
    (copy / STAGE).write_bytes((copy / STAGE).read_bytes()[:1000])
    assert f"{STAGE}: unreadable" in refused(copy)
    (copy / STAGE).write_bytes(pickle.dumps([1, 2]))
    assert f"{STAGE}: unreadable" in refused(copy)
    torch.save([torch.ones(2)], copy / STAGE)
    assert f"{STAGE}: holds no tensors by name" in refused(copy)
    torch.save({"epoch": 3}, copy / STAGE)
    assert f"{STAGE}: 'epoch' is no tensor" in refused(copy)


def test_a_damaged_shard_is_named(copy: Path) -> None:
    shard = copy / "model-00003-of-00002.safetensors"
    shard.write_bytes(b"\0" * 64)
    assert f"{shard.name}: unreadable" in refused(copy)


def test_the_index_may_be_that_of_bin_files(copy: Path) -> None:
    index = copy / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"model.norm.weight": "elsewhere.bin"}}))
    assert "elsewhere.bin" in refused(copy)
