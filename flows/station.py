"""What one process shares between its steps: models, store, counts, and the word to stop.

Invariant: steps reach the outside only through this object, so that a test can put any of its
parts in place; nothing here knows the dataflow.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from connectors import weights
from connectors.stderr import Hush
from connectors.store import Store
from flows.errors import GrymError, UsageError
from flows.settings import Settings
from operators.breaker import BreakerConfig
from operators.credit import Credit
from operators.inference import Inference, InferenceConfig
from operators.ledger import Ledger
from operators.models import MODELS, Model, configure, load
from operators.models.protocol import UnknownModelError

_REGIONS = 16
"""Regions out at once (at most 40 kB each); more would only grow latency."""
_CREDIT_BATCHES = 3
"""Windows out at once, in batches: two keep a model busy, the third bridges an epoch's end."""


@dataclass(slots=True)
class Station:
    """The collaborators of one run.

    Attributes:
        credit: for windows on their way through the models.
        announce: takes every record once, in order (terminal, JSON, dead letters).
        trouble: what ended the run early, for the person who started it.
        regions: credit for regions on their way through discovery.
        aside: the thread of discovery, one for all streams.
        is_live: whether a stream's audio cannot wait, so that it may be shed.
        takes: whether those who are told what was found can take more.
    """

    settings: Settings
    models: Mapping[str, Model]
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
    is_live: Callable[[str], bool] = lambda _: False
    takes: Callable[[], bool] = lambda: True

    @property
    def available(self) -> bool:
        """What replayable sources ask: whether all they deliver finds its place downstream.

        That is credit in both lanes, and room in the spool and on the way to whoever listens.
        """
        return self.credit.available and self.regions.available and self.room and self.takes()

    @property
    def room(self) -> bool:
        """What live sources ask, which are shed in both lanes: whether the spool takes more.

        A store that has given up for good ends the run, because waiting for it would never end.
        """
        if self.store.failed:
            self.end(GrymError(self.store.failed))
        return not self.store.full

    def close(self) -> None:
        """Let the thread of discovery end."""
        self.aside.shutdown(wait=False, cancel_futures=True)

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

    def inference(self, model: Model, resume: dict[str, object] | None) -> Inference:
        """The lane of one model; what a snapshot held in flight takes its credit again."""
        lane = Inference(
            model, limits_of(self.settings), on_done=self.credit.give, is_live=self.is_live
        )
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


def check_known(*names: str) -> None:
    """Refuse a model that is not there before anything is opened or read.

    Raises:
        UnknownModelError: its text lists the known ones.
    """
    for name in names:
        if name not in MODELS:
            raise UnknownModelError(name, tuple(sorted(MODELS)))


def load_models(settings: Settings, progress: Callable[[str], None]) -> dict[str, Model]:
    """Load the models a run asks for, pulling weights that are missing.

    Raises:
        ModelError: unknown, misconfigured, or its weights cannot be had; one line each.
    """
    names = settings.listen.models
    check_known(*names, *settings.models)
    return {name: load_model(name, settings, progress) for name in names}


def load_model(name: str, settings: Settings, progress: Callable[[str], None]) -> Model:
    """Load one model with its settings; see ``load_models``."""
    told = settings.models.get(name)
    folder = told.path if told and told.path else None
    if folder is None and name in weights.SOURCES:
        folder = weights.find(name) or weights.pull(name, progress=progress)
    options: dict[str, object] = {} if folder is None else {"weights": folder}
    if told and told.dtype != "auto":
        options["dtype"] = told.dtype
    model = load(name, configure(name, **options))
    length = round(settings.listen.window_s * model.sample_rate_hz)
    model.embed(
        np.zeros((1, length), np.float32)
    )  # the first call sets things up: not live audio's
    return model
