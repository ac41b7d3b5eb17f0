"""What this process costs."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from connectors import usage


def test_the_cost_so_far_only_grows() -> None:
    meter = usage.Meter()
    before = meter.usage()
    sum(range(1_000_000))
    after = meter.usage()
    assert 0.0 <= before.cpu_s < after.cpu_s
    assert before.elapsed_s < after.elapsed_s
    assert after.cores >= 1
    assert after.rss_mb > 10


def test_memory_now_is_at_most_its_peak_and_more_than_an_interpreter() -> None:
    assert 5 < usage.rss_mb() <= usage.Meter().usage().rss_mb + 1
    assert all(seconds > 0.0 for seconds in usage.cpu_times_s())


def test_where_the_system_does_not_tell_the_peak_stands_for_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(usage, "_STATM", tmp_path / "missing")
    assert usage.rss_bytes() > 10 << 20


def test_the_memory_of_gpus_is_told_once_something_runs_on_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on = [False]
    cuda = SimpleNamespace(
        is_initialized=lambda: on[0],
        device_count=lambda: 3,
        mem_get_info=lambda number: (30 + number, 100),
        memory_reserved=lambda number: (5, 6, 0)[number],
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert list(usage.gpu_memory_bytes()) == []
    on[0] = True
    assert list(usage.gpu_memory_bytes()) == [("cuda:0", 5, 30), ("cuda:1", 6, 31)]
    monkeypatch.delitem(sys.modules, "torch")
    assert list(usage.gpu_memory_bytes()) == []
