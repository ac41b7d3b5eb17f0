"""One model of a ladder with all that is its own: breaker, batch cap, call slot, hanging calls.

Invariant: at most one call is under way that still counts. It knows nothing of the other rungs.
"""

from dataclasses import dataclass
from typing import Any

from operators.breaker import CLOSED, Breaker, Clock, State
from operators.inference.backlog import Waiting
from operators.inference.batch import Call
from operators.inference.cap import BatchCap
from operators.inference.config import InferenceConfig
from operators.inference.interface import Embedder


@dataclass(frozen=True, slots=True)
class RungState:
    """How a rung is doing, for those who watch.

    Attributes:
        model, space: of its model.
        breaker: state of its breaker as last decided.
        batch_cap: windows a call may hold at present.
        waiting: windows that wait for a call of it.
        calling: windows of the call under way; 0 where there is none.
        hanging: calls past their deadline that have not returned.
        stuck: too many of them hang; it is not called again in this process.
    """

    model: str
    space: str
    breaker: State
    batch_cap: int
    waiting: int
    calling: int
    hanging: int
    stuck: bool


class Rung:
    """State of one model in a lane.

    Attributes:
        call: the call under way.
        sample: windows to try it on, which another rung serves all the same.
        hanging: calls that were abandoned and have not returned.
        stuck: as many as are allowed hang: it is not called again.
    """

    def __init__(self, model: Embedder, config: InferenceConfig, *, utc: Clock) -> None:
        self.model = model
        self.breaker = Breaker(model.name, config.breaker, clock=utc)
        self.cap = BatchCap(config.max_batch, growth_calls=config.growth_calls)
        self.call: Call | None = None
        self.sample: list[Waiting] = []
        self.hanging = 0
        self.stuck = False

    @property
    def serves(self) -> bool:
        """Whether windows are its own to embed: nothing is held against it."""
        return self.breaker.state == CLOSED and not self.stuck

    @property
    def free(self) -> bool:
        """Whether it can begin a call."""
        return self.call is None and not self.stuck

    @property
    def due(self) -> bool:
        """Whether its breaker, which is not closed, permits a trial that it could begin now."""
        return self.free and self.breaker.state != CLOSED and self.breaker.permits

    def state(self, waiting: int) -> RungState:
        """How it is doing while this many windows wait for it."""
        return RungState(
            self.model.name,
            self.model.space,
            self.breaker.state,
            self.cap.size,
            waiting,
            len(self.call.taken) if self.call else 0,
            self.hanging,
            self.stuck,
        )

    def save(self) -> dict[str, Any]:
        """Plain state; hanging calls end with the process and are left out."""
        return {
            "model": self.model.name,
            "breaker": self.breaker.snapshot(),
            "batch_cap": self.cap.size,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what an earlier run had learned of this model."""
        self.breaker.restore(state["breaker"])
        self.cap.restore(state["batch_cap"])
