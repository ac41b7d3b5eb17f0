"""What was planted in a scene, and the two kinds of lines it is written as.

Invariant: a sound planted to recur has several events; a name with a single event ("once-3") is a
distractor, and finding it is no merit.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

PlantedKind: TypeAlias = Literal["sequential", "overlapping", "composite", "periodic"]


@dataclass(frozen=True, slots=True)
class PlantedEvent:
    """A sound is heard from ``start_s`` to ``end_s``, seconds from the start of the scene."""

    sound: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class PlantedRelation:
    """A relation that is true of the scene.

    Attributes:
        kind: as in reports; for "composite" the source is the whole.
        source, target: sounds; a periodic relation has an empty target.
        lag_s: mean onset-to-onset lag where it is a fixed one.
        period_s: of a periodic sound.
    """

    kind: PlantedKind
    source: str
    target: str
    lag_s: float | None = None
    period_s: float | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """Events in order of their start, and the relations planted among them."""

    events: tuple[PlantedEvent, ...]
    relations: tuple[PlantedRelation, ...]

    def planted(self) -> tuple[str, ...]:
        """Names of the sounds that recur, sorted."""
        counts = Counter(event.sound for event in self.events)
        return tuple(sorted(sound for sound, count in counts.items() if count > 1))

    def lines(self) -> Iterator[str]:
        """JSON Lines: one object an event, then one a relation."""
        for event in self.events:
            yield json.dumps(asdict(event), separators=(",", ":"))
        for relation in self.relations:
            yield json.dumps(asdict(relation), separators=(",", ":"))

    @classmethod
    def read(cls, lines: Iterable[str]) -> "Truth":
        """Inverse of ``lines``.

        Raises:
            ValueError: a line is neither an event nor a relation; names its number.
        """
        events: list[PlantedEvent] = []
        relations: list[PlantedRelation] = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
                if "sound" in fields:
                    events.append(PlantedEvent(**fields))
                else:
                    relations.append(PlantedRelation(**fields))
            except (json.JSONDecodeError, TypeError) as error:
                message = f"truth line {number} is neither an event nor a relation: {line.strip()}"
                raise ValueError(message) from error
        return cls(tuple(events), tuple(relations))
