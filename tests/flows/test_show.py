"""What a person sees around a run."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from connectors.reader import Progress as SourceProgress
from flows.cli import show
from flows.errors import GrymError, UsageError
from flows.recovery import opened
from flows.settings import load

HEARD = {"a": "a.wav"}


class TwoSources:
    """Two files, one of which nobody knows the length of at first."""

    def __init__(self) -> None:
        self.second_total_s: float | None = None
        self.lag_s: float | None = 4.25

    def progress(self) -> list[SourceProgress]:
        return [
            SourceProgress("a", 10.0, 60.0, done=False),
            SourceProgress("b", 5.0, self.second_total_s, done=False),
        ]


def test_progress_follows_the_sources_and_knows_the_end_once_all_do() -> None:
    settings = load()
    sources = TwoSources()
    with show.progress(settings, Console(file=io.StringIO())) as shown:
        shown.say("pulling [weights]")
        shown.follow(sources)  # type: ignore[arg-type]
        shown.refresh()
        task = shown.bar.tasks[0]
        assert (task.completed, task.total) == (15.0, None)
        assert task.description == "listening, 4.2 s behind"
        sources.second_total_s = 40.0
        list(shown.bar.get_renderables())
        assert (task.completed, task.total) == (15.0, 100.0)


def test_the_summary_names_what_happened_to_windows() -> None:
    out = io.StringIO()
    figures = {
        "audio_s": 12.0,
        "elapsed_s": 1.5,
        "patterns": 2,
        "occurrences": 9,
        "relations": 1,
        "windows": 30,
        "stored": 20,
        "silent": 0,
        "gated": 10,
        "shed": 0,
        "dead": 0,
        "latency_ms": {"p50": 5.0, "p95": 9.4, "p99": 12.0},
        "cpu_share": 0.5,
        "rss_mb": 400.0,
        "sources_failed": 1,
        "reasons": {"dead: timeout": 3},
    }
    show.summary(Console(file=out, width=200), figures)
    assert "30 windows (20 stored, 10 gated), latency p95 9 ms" in out.getvalue()
    assert "3 windows dead: timeout" in out.getvalue()
    assert "1 sources failed" in out.getvalue()


def test_a_recovery_folder_is_made_whole_and_opened_again(tmp_path: Path) -> None:
    settings = load()
    folder = tmp_path / "deep" / "kept"
    with opened(folder, settings, HEARD):
        made = sorted(path.name for path in folder.iterdir())
    assert "grym.json" in made
    with opened(folder, settings, HEARD):
        assert sorted(path.name for path in folder.iterdir()) == made
    assert [path.name for path in folder.parent.iterdir()] == ["kept"]


def test_a_recovery_folder_is_one_runs_at_a_time_and_one_stores(tmp_path: Path) -> None:
    settings = load()
    folder = tmp_path / "kept"
    with (
        opened(folder, settings, HEARD),
        pytest.raises(GrymError, match="in use by another run"),
        opened(folder, settings, HEARD),
    ):
        pass
    other = load(flags={"store": {"uri": str(tmp_path / "other.db")}})
    with (
        pytest.raises(UsageError, match="belongs to a run with store ="),
        opened(folder, other, HEARD),
    ):
        pass


def test_a_recovery_folder_knows_its_streams_and_new_ones_may_join(tmp_path: Path) -> None:
    settings = load()
    folder = tmp_path / "kept"
    with opened(folder, settings, HEARD):
        pass
    with opened(folder, settings, {**HEARD, "b": "b.wav"}):
        pass
    for streams in (HEARD, {"a": "other.wav", "b": "b.wav"}):
        with (
            pytest.raises(UsageError, match="belongs to a run that hears"),
            opened(folder, settings, streams),
        ):
            pass


def test_a_recovery_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(GrymError, match=r"recovery folder .* cannot be used") as caught,
        opened(tmp_path / "file" / "kept", load(), HEARD),
    ):
        pass
    assert "\n" not in str(caught.value)
