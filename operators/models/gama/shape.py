"""The sizes of GAMA's audio side: what the published model has, or what a folder says instead.

Invariant: the defaults are the published model's, whose folder says nothing about them. A folder
of other sizes says so in a section ``gama`` of its config.json.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from operators.models.protocol import ModelConfigError


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of encoder, Q-Former and aggregator.

    Attributes:
        width, heads, expansion: of every transformer layer; the feed-forward is ``expansion``
            times as wide.
        own_blocks, shared_blocks: of the encoder; the last ones were shared with a video branch
            in training and have norms of their own for audio.
        frames, bands: the spectrogram; frames are 10 ms apart.
        patch: edge of the squares that it is cut into.
        queries: learnt questions of the Q-Former.
        query_layers, cross_every: layers of the Q-Former, and which of them look at the sound.
        multi_layer: the aggregator attends to the encoder's middle layers, as in the paper. The
            released code computes that and discards it, and the released weights grew without it.

    Raises:
        ModelConfigError: sizes that do not fit one another.
    """

    width: int = 768
    heads: int = 12
    expansion: int = 4
    own_blocks: int = 11
    shared_blocks: int = 1
    frames: int = 1024
    bands: int = 128
    patch: int = 16
    queries: int = 32
    query_layers: int = 12
    cross_every: int = 2
    multi_layer: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            wanted = bool if field.name == "multi_layer" else int
            if type(value) is not wanted or (wanted is int and value < 1):
                raise ModelConfigError(
                    f"gama.{field.name} = {value!r} in config.json: not possible"
                )
        for whole, part in (("width", "heads"), ("frames", "patch"), ("bands", "patch")):
            if getattr(self, whole) % getattr(self, part):
                raise ModelConfigError(
                    f"gama.{whole} = {getattr(self, whole)} in config.json: not a multiple of"
                    f" gama.{part} = {getattr(self, part)}"
                )
        if self.taps[1] >= self.own_blocks:
            raise ModelConfigError(
                f"gama.own_blocks = {self.own_blocks} in config.json: give more than"
                f" {self.taps[1]}, where the aggregator listens"
            )

    @property
    def rows(self) -> int:
        """Rows of patches, low frequencies first."""
        return self.bands // self.patch

    @property
    def columns(self) -> int:
        """Columns of patches: the tokens that the encoder makes of a spectrogram."""
        return self.frames // self.patch

    @property
    def taps(self) -> tuple[int, int]:
        """The blocks after which the aggregator listens: a third and two thirds of the way."""
        blocks = self.own_blocks + self.shared_blocks
        return blocks // 3, 2 * blocks // 3

    @classmethod
    def of(cls, section: Mapping[str, object]) -> "Shape":
        """Reads the section ``gama`` of a config.json; an empty one is the published model's.

        Raises:
            ModelConfigError: an unknown name, or sizes that do not fit.
        """
        known = [field.name for field in fields(cls)]
        for name in section:
            if name not in known:
                raise ModelConfigError(
                    f"gama.{name} in config.json: unknown, choose from {', '.join(known)}"
                )
        return cls(**section)  # type: ignore[arg-type]  # checked by __post_init__
