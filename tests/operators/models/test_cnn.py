import torch
from torch import Tensor, nn

from operators.models.aisfx import FrontEnd
from operators.models.cnn import CHANNELS, LEAST_FRAMES, Cnn, misfit, tensor_shapes


def random_tensors(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(shape, generator=generator) * (0.2 if len(shape) == 4 else 1.0) + 0.1
        if not name.endswith("conv1.weight") and not name.endswith("conv2.weight")
        else torch.randn(shape, generator=generator) * (2.0 / (shape[1] * 9)) ** 0.5
        for name, shape in tensor_shapes().items()
    }


def unfolded(tensors: dict[str, Tensor], levels: Tensor) -> Tensor:
    """The same network of torch's own modules, batch normalisation by itself."""
    maps, inputs = levels[:, None], 1
    for block, outputs in enumerate(CHANNELS, start=1):
        for layer in (1, 2):
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            convolution.weight.data = tensors[f"conv_block{block}.conv{layer}.weight"]
            norm = nn.BatchNorm2d(outputs)
            prefix = f"conv_block{block}.bn{layer}."
            norm.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)},
                strict=False,
            )
            maps = norm.eval()(convolution(maps)).relu()
            inputs = outputs
        if block < 4:
            maps = nn.functional.max_pool2d(maps, 2)
    return maps.mean(dim=3).amax(dim=2)


@torch.inference_mode()
def test_the_folded_network_computes_what_the_published_layout_computes() -> None:
    tensors = random_tensors()
    levels = torch.rand(2, 12, 96, generator=torch.Generator().manual_seed(3))
    expected = unfolded(tensors, levels)
    found = Cnn(tensors, torch.float32)(levels)
    assert found.shape == (2, 512)
    assert expected.abs().max() > 0.1
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    coarse = Cnn(tensors, torch.bfloat16)(levels)
    assert torch.cosine_similarity(coarse, expected).min() > 0.999


@torch.inference_mode()
def test_the_fewest_frames_still_give_a_vector() -> None:
    assert Cnn(random_tensors(), torch.float32)(torch.rand(1, LEAST_FRAMES, 96)).shape == (1, 512)


def test_a_set_of_tensors_that_does_not_fit_is_named() -> None:
    tensors = random_tensors()
    assert misfit(tensors) == ""
    assert misfit(tensors | {"conv_block1.bn1.bias": torch.zeros(3)}) == (
        "tensor conv_block1.bn1.bias has shape (3,), expected (64,)"
    )
    assert misfit(tensors | {"conv_block4.bn2.bias": torch.full((512,), torch.nan)}) == (
        "tensor conv_block4.bn2.bias is not finite"
    )
    del tensors["conv_block3.conv2.weight"]
    assert misfit(tensors) == "no tensor conv_block3.conv2.weight"


def test_network_and_front_end_compute_where_the_windows_are() -> None:
    """On torch's device without numbers: whatever lay on another one would be refused."""
    meta = torch.device("meta")
    tensors = {name: tensor.to(meta) for name, tensor in random_tensors().items()}
    halves = FrontEnd(Cnn(tensors, torch.float32), meta)(torch.zeros(2, 44_100, device=meta))
    assert {half: tuple(rows.shape) for half, rows in halves.items()} == {
        "network": (2, 512),
        "cepstra": (2, 60),
    }
    assert all(rows.device == meta for rows in halves.values())
