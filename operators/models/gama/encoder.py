"""GAMA's ears: the audio branch of CAV-MAE, a vision transformer over a spectrogram.

Gong et al., "Contrastive Audio-Visual Masked Autoencoder", ICLR 2023, https://arxiv.org/abs/2210.07839.
Modules carry the names of the published checkpoint, so that its keys are theirs. What belongs to
the video branch is not here.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from operators.models.gama.shape import Shape


class Attention(nn.Module):
    """Self-attention with one projection for queries, keys and values."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.proj = nn.Linear(shape.width, shape.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t, width) -> (n, t, width)."""
        n, t, width = tokens.shape
        heads = self.qkv(tokens).reshape(n, t, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        found: Tensor = self.proj(mixed.transpose(1, 2).reshape(n, t, width))
        return found


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.fc1 = nn.Linear(shape.width, shape.expansion * shape.width)
        self.fc2 = nn.Linear(shape.expansion * shape.width, shape.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t, width) -> (n, t, width)."""
        found: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return found


class Block(nn.Module):
    """A transformer block that normalises first.

    Args:
        shape: sizes.
        branch: "" for a block of one modality; "_a" for a shared block's audio norms.
    """

    def __init__(self, shape: Shape, branch: str = "") -> None:
        super().__init__()
        self._norms = (f"norm1{branch}", f"norm2{branch}")
        for name in self._norms:
            self.add_module(name, nn.LayerNorm(shape.width))
        self.attn = Attention(shape)
        self.mlp = Mlp(shape)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t, width) -> (n, t, width)."""
        first, second = (self.get_submodule(name) for name in self._norms)
        tokens = tokens + self.attn(first(tokens))
        found: Tensor = tokens + self.mlp(second(tokens))
        return found


class Patches(nn.Module):
    """Cuts a spectrogram into squares: one token each."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, shape.width, kernel_size=shape.patch, stride=shape.patch)

    def forward(self, levels: Tensor) -> Tensor:
        """(n, frames, bands) -> (n, rows * columns, width), a row of low frequencies first."""
        found: Tensor = self.proj(levels.transpose(1, 2)[:, None])
        return found.flatten(2).transpose(1, 2)


class Encoder(nn.Module):
    """Spectrograms to tokens."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._taps = shape.taps if shape.multi_layer else ()
        self.patch_embed_a = Patches(shape)
        self.modality_a = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.pos_embed_a = nn.Parameter(torch.zeros(1, shape.rows * shape.columns, shape.width))
        self.blocks_a = nn.ModuleList(Block(shape) for _ in range(shape.own_blocks))
        self.blocks_u = nn.ModuleList(Block(shape, "_a") for _ in range(shape.shared_blocks))
        self.norm_a = nn.LayerNorm(shape.width)
        if shape.multi_layer:
            self.norm_k = nn.LayerNorm(shape.width)
            self.norm_j = nn.LayerNorm(shape.width)

    def forward(self, levels: Tensor) -> list[Tensor]:
        """(n, frames, bands) -> patches (n, rows * columns, width), the last layer's first.

        With ``multi_layer`` those of two thirds of the way and of one third follow.
        """
        patches = self.patch_embed_a(levels) + self.pos_embed_a + self.modality_a
        tapped = []
        for index, block in enumerate(self.blocks_a):
            patches = block(patches)
            if index in self._taps:
                tapped.append(patches)
        for block in self.blocks_u:
            patches = block(patches)
        found = [self.norm_a(patches)]
        if tapped:
            found += [self.norm_j(tapped[1]), self.norm_k(tapped[0])]
        return found
