"""Layers of BERT with cross-attention: what the Q-Former and the aggregator are made of.

Devlin et al., 2019, https://arxiv.org/abs/1810.04805, in the variant of BLIP-2 (Li et al., 2023,
https://arxiv.org/abs/2301.12597): every layer may look at another sequence between its
self-attention and its feed-forward. Modules carry the names of the published checkpoint.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from operators.models.gama.shape import Shape

_EPSILON = 1e-12
"""Of BERT's layer norms."""


class Heads(nn.Module):
    """Attention of one sequence to another, or to itself."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._heads = shape.heads
        self.query = nn.Linear(shape.width, shape.width)
        self.key = nn.Linear(shape.width, shape.width)
        self.value = nn.Linear(shape.width, shape.width)

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        """(n, t, width), (n, u, width) -> (n, t, width)."""
        mixed = functional.scaled_dot_product_attention(
            self._split(self.query(tokens)),
            self._split(self.key(others)),
            self._split(self.value(others)),
        )
        return mixed.transpose(1, 2).flatten(2)

    def _split(self, tokens: Tensor) -> Tensor:
        n, t, width = tokens.shape
        return tokens.reshape(n, t, self._heads, width // self._heads).transpose(1, 2)


class Narrow(nn.Module):
    """A linear layer, added to what it came from and normalised."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.LayerNorm = nn.LayerNorm(width, eps=_EPSILON)

    def forward(self, found: Tensor, tokens: Tensor) -> Tensor:
        """(n, t, inputs) beside (n, t, width) -> (n, t, width)."""
        result: Tensor = self.LayerNorm(self.dense(found) + tokens)
        return result


class Widen(nn.Module):
    """A linear layer and a GELU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dense = nn.Linear(shape.width, shape.expansion * shape.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t, width) -> (n, t, expansion * width)."""
        return functional.gelu(self.dense(tokens))


class Attention(nn.Module):
    """Attention with its residual connection."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self = Heads(shape)
        self.output = Narrow(shape.width, shape.width)

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        """(n, t, width), (n, u, width) -> (n, t, width)."""
        found: Tensor = self.output(self.self(tokens, others), tokens)
        return found


class Layer(nn.Module):
    """Self-attention, cross-attention where there is one, feed-forward.

    Args:
        shape: sizes.
        cross: it looks at another sequence.
        branch: "" or "_query"; a layer of BLIP-2 has a feed-forward for text and one for queries.
    """

    def __init__(self, shape: Shape, *, cross: bool, branch: str = "") -> None:
        super().__init__()
        self._feed = (f"intermediate{branch}", f"output{branch}")
        self.attention = Attention(shape)
        self.crossattention = Attention(shape) if cross else None
        self.add_module(self._feed[0], Widen(shape))
        self.add_module(self._feed[1], Narrow(shape.expansion * shape.width, shape.width))

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        """(n, t, width), (n, u, width) -> (n, t, width)."""
        tokens = self.attention(tokens, tokens)
        if self.crossattention is not None:
            tokens = self.crossattention(tokens, others)
        widen, narrow = (self.get_submodule(name) for name in self._feed)
        found: Tensor = narrow(widen(tokens), tokens)
        return found


class QFormer(nn.Module):
    """Learnt queries that gather from a sound what words can be made of."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        norm = nn.LayerNorm(shape.width, eps=_EPSILON)
        layers = nn.ModuleList(
            Layer(shape, cross=index % shape.cross_every == 0, branch="_query")
            for index in range(shape.query_layers)
        )
        # The nesting is the published checkpoint's.
        self.bert = nn.ModuleDict(
            {
                "embeddings": nn.ModuleDict({"LayerNorm": norm}),
                "encoder": nn.ModuleDict({"layer": layers}),
            }
        )

    def forward(self, queries: Tensor, sound: Tensor) -> Tensor:
        """(1, q, width), (n, t, width) -> (n, q, width)."""
        found: Tensor = self.get_submodule("bert.embeddings.LayerNorm")(queries)
        found = found.expand(len(sound), -1, -1)
        for layer in self.get_submodule("bert.encoder.layer").children():
            found = layer(found, sound)
        return found


def query_tokens(shape: Shape) -> nn.Parameter:
    """The queries' own vectors, (1, q, width)."""
    return nn.Parameter(torch.zeros(1, shape.queries, shape.width))
