"""The order of a lane's models: who serves, who is asked next, who may be tried again.

The first rung whose breaker is closed serves. Where none is, windows go to rungs that are due for a
trial; where none is due they wait for a trial under way, and without one they are lost.

Invariant: windows only ever go down. ``target`` never names a rung above the level at which they
wait. Windows and queues are not its business.
"""

from collections.abc import Sequence
from typing import Any

from operators.breaker import Clock
from operators.inference.config import InferenceConfig
from operators.inference.interface import Embedder
from operators.inference.rung import Rung
from operators.records import RungChange


class Ladder:
    """The rungs of one lane, first choice first.

    Raises:
        ValueError: there is no model, or one of them stands on two rungs.
    """

    def __init__(self, models: Sequence[Embedder], config: InferenceConfig, *, utc: Clock) -> None:
        self.names = tuple(model.name for model in models)
        if not models:
            raise ValueError("a ladder of no models: name at least one")
        for name in self.names:
            if self.names.count(name) > 1:
                raise ValueError(
                    f"ladder {' > '.join(self.names)}: {name} stands on two rungs, name it once"
                )
        self.rungs = tuple(Rung(model, config, utc=utc) for model in models)
        self._serving = self.serving

    @property
    def serving(self) -> str:
        """Name of the model that serves; "" where none does."""
        return next((rung.model.name for rung in self.rungs if rung.serves), "")

    @property
    def hanging(self) -> str:
        """Name of the first model with too many hanging calls; "" where there is none."""
        return next((rung.model.name for rung in self.rungs if rung.stuck), "")

    def target(self, level: int) -> int | None:
        """The rung that windows go to which wait at this level; None where they are lost."""
        below = list(enumerate(self.rungs))[level:]
        serving = [number for number, rung in below if rung.serves]
        due = [number for number, rung in below if rung.due]
        under_way = [number for number, rung in below if rung.call is not None]
        return next(iter([*serving, *due, *under_way]), None)

    def probed_beside(self, number: int) -> list[tuple[int, Rung]]:
        """The rungs to be tried while this one serves: those above it that are due."""
        return [(k, rung) for k, rung in enumerate(self.rungs[:number]) if rung.due]

    def wait_s(self, level: int) -> float:
        """How long until one of the rungs from this level down is tried again."""
        waits = (rung.breaker.remaining_s() for rung in self.rungs[level:] if not rung.stuck)
        return min(waits, default=0.0)

    def stuck(self, level: int) -> bool:
        """Whether none of the rungs from this level down is ever called again."""
        return all(rung.stuck for rung in self.rungs[level:])

    def change(self, at_s: float) -> RungChange | None:
        """Who serves instead of whom since this was last asked; a single model is no ladder."""
        before, now = self._serving, self.serving
        self._serving = now
        if now == before or len(self.rungs) == 1:
            return None
        recovered = bool(now) and (not before or self.names.index(now) < self.names.index(before))
        reason = "recovered" if recovered else "breaker_open"
        return RungChange(self.names[0], before, now, at_s, reason)

    def save(self) -> list[dict[str, Any]]:
        """Plain state of each rung."""
        return [rung.save() for rung in self.rungs]

    def load(self, states: Sequence[dict[str, Any]]) -> bool:
        """Take over the states of the models that are still here.

        Returns:
            Whether it is the same ladder; else the levels of what waits mean nothing any more.
        """
        known = {state["model"]: state for state in states}
        for rung in self.rungs:
            if rung.model.name in known:
                rung.load(known[rung.model.name])
        self._serving = self.serving
        return tuple(state["model"] for state in states) == self.names
