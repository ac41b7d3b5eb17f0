"""What grym's discovery is held against: seven other ways of finding what recurs, by name.

A baseline is one file beside this one and one line in ``BASELINES``; it is imported when it is
first run, because some need packages of the extra ``bench``. Thresholds were chosen on development
scenes (seeds below 100); each stands as a constant where it is used.

Invariant: deterministic; a baseline sees what ``Given`` holds and nothing else, and only ``oracle``
looks at the true segments.
"""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np

from bench.discovery.given import Candidate, Given, Labelled, regions_of
from operators.records import ANALYSIS_RATE_HZ

EXTRA = frozenset({"river", "scipy", "sklearn", "stumpy"})
"""Modules that the extra ``bench`` installs."""


class BaselineError(Exception):
    """A baseline cannot run; the message is one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """One way of finding what recurs.

    Attributes:
        name: for the command line; the module beside this one with its ``run`` has ``_`` for ``-``.
        title: for tables.
        online: it decides as it hears; otherwise it hears the whole scene first.
    """

    name: str
    title: str
    online: bool

    def run(self, given: Given) -> list[Labelled]:
        """The events of what recurs, in order of time; at least three of each label.

        Raises:
            BaselineError: the extra ``bench`` is not installed.
            ModelError: the weights of the default model are not on this machine.
        """
        try:
            module = importlib.import_module(f"{__name__}.{self.name.replace('-', '_')}")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in EXTRA:
                raise
            remedy = "python -m pip install --constraint constraints.txt --editable '.[bench]'"
            raise BaselineError(f"{self.name} needs {error.name}: run {remedy}") from error
        return cast("Candidate", module.run)(given)

    def prepare(self) -> None:
        """Load and compile what takes its time at the first run, so that none is charged for it.

        Raises:
            BaselineError, ModelError: as ``run``.
        """
        self.run(rehearsal())


def _listed(baselines: Iterable[Baseline]) -> dict[str, Baseline]:
    return {baseline.name: baseline for baseline in baselines}


BASELINES: dict[str, Baseline] = _listed(
    (
        Baseline("windows", "windows of 1 s, aisfx, leader", online=True),
        Baseline("regions-leader", "onset segments, log-mel, leader", online=True),
        Baseline("dbstream", "onset segments, aisfx, DBSTREAM (river)", online=True),
        Baseline("matrix-profile", "streaming matrix profile (stumpy)", online=True),
        Baseline("agglomerative", "onset segments, hybrid, agglomerative", online=False),
        Baseline("hdbscan", "onset segments, hybrid, HDBSCAN", online=False),
        Baseline("oracle", "true segments, hybrid, agglomerative", online=False),
    )
)


def rehearsal() -> Given:
    """Ten seconds of noise with a few bursts in it."""
    rng = np.random.default_rng(0)
    samples = rng.normal(0.0, 0.001, 10 * ANALYSIS_RATE_HZ).astype(np.float32)
    segments = tuple((start_s, start_s + 0.3) for start_s in (4.0, 5.5, 7.0, 8.5))
    for start_s, end_s in segments:
        inside = slice(round(start_s * ANALYSIS_RATE_HZ), round(end_s * ANALYSIS_RATE_HZ))
        samples[inside] *= 300.0
    return Given(samples, regions_of(samples), segments)
