"""Figures of a run as its parts would give them."""

from dataclasses import dataclass
from typing import Any

import pytest

from operators.inference.rung import RungState
from operators.records import SourceCondition
from operators.vitals import LaneVitals, SourceVitals, Vitals


@dataclass(frozen=True)
class Given:
    """Hand-made vitals; what is not said is that of a run which is well."""

    @staticmethod
    def source(
        name: str = "mic:0",
        state: SourceCondition | None = "live",
        level_db: float | None = -31.0,
        **rest: Any,
    ) -> SourceVitals:
        figures = {"streams": 1, "position_s": 62.0, "total_s": None, "lag_s": 0.04, "done": False}
        return SourceVitals(name, state, level_db=level_db, **{**figures, **rest})

    @staticmethod
    def rung(model: str = "aisfx", **rest: Any) -> RungState:
        figures = {
            "space": f"{model}-1",
            "breaker": "closed",
            "batch_cap": 8,
            "waiting": 0,
            "calling": 0,
            "hanging": 0,
            "stuck": False,
        }
        return RungState(model, **{**figures, **rest})

    @classmethod
    def vitals(cls, *sources: SourceVitals, lanes: tuple[LaneVitals, ...] | None = None) -> Vitals:
        return Vitals(
            sources=sources or (cls.source(),),
            lanes=lanes if lanes is not None else (LaneVitals("aisfx", "aisfx", (cls.rung(),)),),
            elapsed_s=182.0,
            audio_s=170.0,
            windows=1204,
            outcomes={"stored": 900, "silent": 90, "gated": 200, "shed": 10, "dead": 4},
            occurrences=33,
            patterns=9,
            relations=1,
            waiting_regions=0,
            pending=0,
            latency_p50_ms=20.0,
            latency_p95_ms=62.0,
            cpu_share=0.24,
            rss_mb=530.0,
        )


@pytest.fixture
def given() -> Given:
    return Given()
