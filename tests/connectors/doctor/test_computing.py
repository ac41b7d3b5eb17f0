import pytest
import torch

from connectors.doctor.asked import Asked, AskedModel
from connectors.doctor.computing import check
from connectors.doctor.finding import Finding


def found(device: str | None = None) -> list[Finding]:
    return list(check(Asked(models=(AskedModel("clap", device=device),)), 3.0))


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("device", [None, "auto", "cpu"])
def test_no_gpu_is_a_note(device: str | None) -> None:
    processor, gpu = found(device)
    assert (processor.check, processor.status) == ("processor", "ok")
    assert "models run in" in processor.detail
    assert (gpu.check, gpu.status) == ("gpu", "note")
    assert gpu.detail.startswith("none; torch ")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_gpu_that_a_model_was_told_to_run_on_has_to_be_there(device: str) -> None:
    *_, asked = found(device)
    assert (asked.check, asked.status) == ("gpu", "broken")
    assert asked.detail.startswith(f"clap: device = '{device}'")
    assert "choose cpu" in str(asked.remedy)


def test_a_device_that_means_nothing_is_said() -> None:
    *_, asked = found("abacus")
    assert asked.status == "broken"
    assert asked.detail == "clap: device = 'abacus' means nothing to torch"


def test_gpus_are_told_with_their_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"GPU-{number}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _number: (20_500_000_000, 24e9))
    gpu = found()[1]
    assert gpu.status == "ok"
    assert gpu.detail.startswith("cuda:0 GPU-0, 20.5 of 24.0 GB free; cuda:1 GPU-1")
