"""The audio side against numbers from the released code itself.

``fixtures/released.npz`` was made once: the modules of https://github.com/Sreyan88/GAMA at commit
041c3a6 (``CAVMAEFTAudio``, ``Qformer``, the aggregator's ``BertLayer``, and the forward pass of
``LlamaModel`` up to the prefix) were built at the sizes below, in float32 on a processor, every
parameter set as :func:`drawn` draws it, and fed :func:`spectrograms`. What the released forward
pass computes and discards was drawn as well, and must not matter here either.
"""

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from operators.models.gama import layout
from operators.models.gama.audio_side import AudioSide
from operators.models.gama.shape import Shape

SHAPE = Shape(width=24, heads=3, query_layers=4)
LANGUAGE_WIDTH = 16
FIXTURE = Path(__file__).parent / "fixtures" / "released.npz"


def drawn(name: str, size: tuple[int, ...]) -> Tensor:
    """A parameter's numbers, the same for the same name wherever and whenever they are drawn."""
    # RandomState's stream is frozen for ever, a Generator's is not.
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    gain = len(size) == 1 and name.endswith("weight")
    # Biases are small: they would drown the sound, whose tokens are divided by 50.
    scale = 0.02 if len(size) == 1 else float(np.prod(size[1:])) ** -0.5
    return torch.tensor(scale * rng.standard_normal(size) + gain, dtype=torch.float32)


def spectrograms() -> Tensor:
    """Two of them, standardised."""
    rng = np.random.RandomState(7)
    return torch.tensor(rng.standard_normal((2, 1024, 128)), dtype=torch.float32)


def test_the_prefix_is_that_of_the_released_code() -> None:
    side = AudioSide(SHAPE, LANGUAGE_WIDTH)
    shapes = layout.used(SHAPE, LANGUAGE_WIDTH)
    side.load_state_dict({name: drawn(name, size) for name, size in shapes.items()})
    with torch.inference_mode():
        found = side(spectrograms()).numpy()
    expected = np.load(FIXTURE)["prefix"]
    assert found.shape == expected.shape == (2, 96, LANGUAGE_WIDTH)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_fixture_tells_branches_and_sounds_apart() -> None:
    expected = np.load(FIXTURE)["prefix"]
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    assert np.abs(np.diff(expected, axis=1)).max(axis=2).min() > 1e-3


def test_with_the_papers_aggregator_the_answers_stay_and_the_tokens_differ() -> None:
    paper = Shape(width=24, heads=3, query_layers=4, multi_layer=True)
    side = AudioSide(paper, LANGUAGE_WIDTH)
    shapes = layout.used(paper, LANGUAGE_WIDTH)
    side.load_state_dict({name: drawn(name, size) for name, size in shapes.items()})
    with torch.inference_mode():
        found = side(spectrograms()).numpy()
    expected = np.load(FIXTURE)["prefix"]
    scale = np.abs(expected).max()
    assert np.abs(found[:, :32] - expected[:, :32]).max() < 1e-5 * scale
    assert np.abs(found[:, 32:] - expected[:, 32:]).max() > 1e-2 * scale
