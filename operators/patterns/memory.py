"""Everything a detector remembers of its stream, and the circumstances of one decision.

Invariant: plain, versioned, bounded; a snapshot holds exactly what the detector computes with
(``looked`` only spares it work).
"""

from dataclasses import dataclass, field
from typing import Any

from operators.patterns.archive import Archive
from operators.patterns.bank import Bank
from operators.patterns.config import DetectorConfig
from operators.patterns.hindsight.keep import Kept
from operators.patterns.hindsight.told import Told
from operators.patterns.looked import Looked
from operators.patterns.reservoir import Reservoir
from operators.patterns.rivals import Rivals
from operators.patterns.template import Template


@dataclass(slots=True)
class Memory:
    """Known sounds, sounds heard once, who rivals whom, the last minutes, what was said of them."""

    config: DetectorConfig
    bank: Bank = field(init=False)
    reservoir: Reservoir = field(init=False)
    rivals: Rivals = field(init=False)
    archive: Archive = field(init=False)
    told: Told = field(default_factory=Told)
    kept: Kept = field(default_factory=Kept)
    looked: Looked = field(default_factory=Looked)

    def __post_init__(self) -> None:
        bounds = self.config.bounds
        self.bank = Bank(bounds)
        self.reservoir = Reservoir(bounds, self.config.lead)
        self.rivals = Rivals(bounds.pairs)
        self.archive = Archive(bounds.archive_frames)

    def snapshot(self) -> dict[str, Any]:
        """Plain form (see ``restore``)."""
        return {
            "born": self.bank.born,
            "named": list(self.bank.named),
            "templates": [t.snapshot() for t in self.bank.templates],
            "reservoir": self.reservoir.snapshot(),
            "rivals": self.rivals.snapshot(),
            "archive": self.archive.snapshot(),
            "told": self.told.snapshot(),
            "kept": self.kept.snapshot(),
        }

    @classmethod
    def restore(cls, state: dict[str, Any], config: DetectorConfig) -> "Memory":
        """The memory that ``snapshot`` described."""
        memory = cls(config)
        bounds = config.bounds
        memory.bank.templates = [Template.restore(t) for t in state["templates"]]
        memory.bank.born = int(state["born"])
        memory.bank.named = [int(onset) for onset in state["named"]]
        memory.reservoir = Reservoir.restore(state["reservoir"], bounds, config.lead)
        memory.rivals = Rivals.restore(state["rivals"], bounds.pairs)
        memory.archive = Archive.restore(state["archive"], bounds.archive_frames)
        memory.told = Told.restore(state["told"])
        memory.kept = Kept.restore(state["kept"])
        return memory


@dataclass(frozen=True, slots=True)
class Moment:
    """When and for whom something is decided.

    Attributes:
        emitted_frame: stream position of the decision in spectral frames.
    """

    stream: str
    emitted_frame: int
    traceparent: str = ""
