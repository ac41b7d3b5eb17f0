"""What one process shares between its steps: models, store, counts, and the word to stop.

Invariant: steps reach the outside only through this object, so that a test can put any of its
parts in place; nothing here knows the dataflow.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic
from typing import NoReturn

from connectors.stderr import Hush
from connectors.store import Store
from flows.errors import GrymError, UsageError
from flows.loading import Ladder
from flows.settings import Settings
from operators.breaker import BreakerConfig
from operators.credit import Credit
from operators.describing import Describing
from operators.inference import Inference, InferenceConfig
from operators.ledger import Ledger
from operators.remarks import Description, Voice

_REGIONS = 16
"""Regions out at once (at most 40 kB each); more would only grow latency."""
_TAGS = 16
"""Windows out at once to be tagged (176 kB each)."""
_CREDIT_BATCHES = 3
"""Windows out at once, in batches: two keep a model busy, the third bridges an epoch's end."""


@dataclass(slots=True)
class Station:
    """The collaborators of one run.

    Attributes:
        ladders: the models asked for, each with those that serve in its place.
        credit: for windows on their way through the models.
        announce: takes every record once, in order (terminal, JSON, dead letters).
        trouble: what ended the run early, for the person who started it.
        regions: credit for regions on their way through discovery.
        aside: the thread of discovery, one for all streams.
        voice: what tells speech, where windows are to be tagged; its credit and its thread.
        describing: the slow lane, where patterns are to be described or clips kept.
        lanes: what calls the models, one for each ladder, once the flow was built.
        levels_db: stream -> level of its latest window, for whoever watches.
        is_live: whether a stream's audio cannot wait, so that it may be shed.
        takes: whether those who are told what was found can take more.
    """

    settings: Settings
    ladders: Mapping[str, Ladder]
    store: Store
    credit: Credit
    announce: Callable[[object], None]
    ledger: Ledger = field(default_factory=Ledger)
    stop: threading.Event = field(default_factory=threading.Event)
    trouble: Exception | None = None
    stderr: Hush = field(default_factory=Hush)
    regions: Credit = field(default_factory=lambda: Credit(_REGIONS))
    aside: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="discovery")
    )
    voice: Voice | None = None
    tags: Credit = field(default_factory=lambda: Credit(_TAGS))
    tagger: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="tagger")
    )
    describing: Describing | None = None
    lanes: list[Inference] = field(default_factory=list)
    levels_db: dict[str, float] = field(default_factory=dict)
    is_live: Callable[[str], bool] = lambda _: False
    takes: Callable[[], bool] = lambda: True
    _patient_until_s: float | None = None

    @property
    def available(self) -> bool:
        """What replayable sources ask: whether all they deliver finds its place downstream.

        That is credit in every lane, and room in the spool and on the way to whoever listens.
        """
        lanes = (self.credit, self.regions, self.tags)
        return all(lane.available for lane in lanes) and self.room and self.takes()

    @property
    def room(self) -> bool:
        """What live sources ask, which are shed in both lanes: whether the spool takes more.

        A store that has given up for good ends the run, because waiting for it would never end.
        """
        if self.store.failed:
            self.end(GrymError(self.store.failed))
        return not self.store.full

    def close(self) -> None:
        """Let the threads end."""
        for lane in self.lanes:
            lane.close()  # nobody is left to hear what it still says
        self.aside.shutdown(wait=False, cancel_futures=True)
        self.tagger.shutdown(wait=False, cancel_futures=True)
        if self.describing is not None:
            self.describing.close()

    def remarks(self) -> Iterator[object]:
        """What the slow lane still has to say when all else is done.

        It ends within ``describe.drain_s``, or a few moments later where clips are still written;
        whoever asked to stop does not wait.
        """
        if self.describing is not None:
            yield from self.describing.finish(self.stop.is_set)

    def keep(self, remark: Description) -> None:
        """Have a late remark stored; where the spool is full it waits until the store has gone on.

        All of them together wait ``store.drain_s`` at most. What the spool refuses even then is
        said by the store.
        """
        if self.store.append([remark]):
            return
        if self._patient_until_s is None:
            self._patient_until_s = monotonic() + self.settings.store.drain_s
        left_s = self._patient_until_s - monotonic()
        if left_s > 0.0:
            self.store.drain(left_s)
            self.store.append([remark])

    def end(self, error: GrymError) -> None:
        """Ask the run to stop because it cannot go on."""
        self.trouble = self.trouble or error
        self.stop.set()

    def fail(self, error: Exception) -> NoReturn:
        """End the run from within a callback, before anything more is made durable.

        Raises:
            Exception: ``error``; the engine's own report of it is silenced.
        """
        self.trouble = self.trouble or error
        self.stop.set()
        self.stderr.hush()
        raise error

    @property
    def lane_of(self) -> dict[str, str]:
        """Vector space -> the lane that its vectors come on."""
        return {model.space: name for name, rungs in self.ladders.items() for model in rungs}

    def inference(self, name: str, resume: dict[str, object] | None) -> Inference:
        """The lane of one ladder; what a snapshot held in flight takes its credit again."""
        lane = Inference(
            self.ladders[name],
            limits_of(self.settings),
            on_done=self.credit.give,
            is_live=self.is_live,
        )
        self.lanes.append(lane)
        if resume is not None:
            lane.restore(resume)
            self.credit.take(lane.open_windows)
            self.ledger.cut(lane.windows)
        return lane


def limits_of(settings: Settings) -> InferenceConfig:
    """The bounds of every model's lane.

    Raises:
        UsageError: settings that contradict one another.
    """
    try:
        return InferenceConfig(
            capacity=settings.infer.queue_windows,
            max_batch=settings.infer.max_batch,
            deadline_s=settings.infer.deadline_s,
            breaker=BreakerConfig(
                **settings.breaker.model_dump(),
                trial_timeout_s=2 * settings.infer.deadline_s,
            ),
        )
    except ValueError as error:
        raise UsageError(f"setting {error}") from None


def credit_for(settings: Settings) -> Credit:
    """Credit that keeps every model of a run busy without much latency."""
    return Credit(_CREDIT_BATCHES * settings.infer.max_batch * len(settings.listen.models))
