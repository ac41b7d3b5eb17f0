"""The command line: what scripts rely on, and one line where something is wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from flows.cli import asking
from operators.models import MODELS
from operators.models.describers import DESCRIBERS
from operators.records import ANALYSIS_RATE_HZ
from tests.flows.conftest import OnDisk, Ran

Grym = Callable[..., Ran]
SUMMARY_KEYS = (
    "event audio_s elapsed_s windows stored silent gated shed dead occurrences patterns relations "
    "latency_ms cpu_share rss_mb breaker_opens sources_failed reasons"
)


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Three seconds with a few knocks."""
    return write(tmp_path / "tone.wav", knocks(3.0, ANALYSIS_RATE_HZ), ANALYSIS_RATE_HZ)


def knocks(duration_s: float, rate_hz: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    samples = 1e-3 * rng.standard_normal(round(duration_s * rate_hz))
    t = np.arange(round(0.3 * rate_hz)) / rate_hz
    knock = 0.5 * np.exp(-t * 25) * np.sin(2 * np.pi * 900 * t)
    for start_s in np.arange(0.5, duration_s - 0.4, 0.9):
        at = round(start_s * rate_hz)
        samples[at : at + len(knock)] += knock
    return samples


def write(path: Path, samples: np.ndarray, rate_hz: int, **how: str) -> Path:
    soundfile.write(path, samples, rate_hz, **how)
    return path


def listen(grym: Grym, tmp_path: Path, *arguments: object) -> Ran:
    return grym("listen", *arguments, "--store", tmp_path / "a.db", "--model", "logmel", "--json")


def test_the_summary_has_the_promised_keys_and_adds_up(
    grym: Grym, tmp_path: Path, tone: Path
) -> None:
    ran = listen(grym, tmp_path, tone, "--windows")
    assert ran.status == 0
    assert sorted(ran.summary) == sorted(SUMMARY_KEYS.split())
    assert ran.summary["audio_s"] == 3.0
    outcomes = [ran.summary[name] for name in ("stored", "silent", "gated", "shed", "dead")]
    assert ran.summary["windows"] == sum(outcomes) == len(ran.of("window")) > 0
    assert ran.summary["stored"] > 0
    assert ran.summary["latency_ms"]["p50"] > 0


@pytest.mark.parametrize(
    ("duration_s", "rate_hz", "channels"), [(1.0, 44_100, 1), (3.0, 8_000, 1), (3.0, 96_000, 6)]
)
def test_unusual_audio_is_heard_normally(
    grym: Grym, tmp_path: Path, duration_s: float, rate_hz: int, channels: int
) -> None:
    samples = np.tile(knocks(duration_s, rate_hz)[:, None], (1, channels))
    path = write(tmp_path / "odd.wav", samples, rate_hz)
    ran = listen(grym, tmp_path, path)
    assert ran.status == 0
    assert ran.summary["audio_s"] == pytest.approx(duration_s, abs=0.001)
    assert ran.summary["stored"] > 0


def bad_sources(folder: Path) -> dict[str, Path]:
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("Dear diary, today I was renamed.\n" * 50)
    (folder / "without").mkdir()
    (folder / "without" / "readme.txt").write_text("no audio here")
    whole = write(folder / "whole.flac", knocks(3.0, ANALYSIS_RATE_HZ), ANALYSIS_RATE_HZ)
    content = whole.read_bytes()
    (folder / "half.flac").write_bytes(content[: len(content) * 2 // 3])
    return {
        "missing": folder / "missing.wav",
        "empty": folder / "empty.wav",
        "unknown_format": folder / "text.wav",
        "no_audio": folder / "without",
        "truncated": folder / "half.flac",
    }


def test_a_source_that_cannot_be_read_is_said_and_the_others_go_on(
    grym: Grym, tmp_path: Path, tone: Path
) -> None:
    bad = bad_sources(tmp_path)
    ran = listen(grym, tmp_path, *bad.values(), tone)
    assert ran.status == 3
    assert ran.summary["sources_failed"] == len(bad)
    failures = {event["reason"]: event for event in ran.of("failure")}
    assert set(failures) == set(bad)
    for reason, path in bad.items():
        event = failures[reason]
        assert event["stream"] == path.name
        assert path.name in event["detail"]
        assert event["remedy"]
        assert "Traceback" not in event["detail"]
    # The good part of the truncated file and all of the good one were heard.
    assert 3.5 < ran.summary["audio_s"] < 6.0
    assert "Traceback" not in ran.err
    letters = (tmp_path / "a.db.state" / "dead-letters.jsonl").read_text().splitlines()
    assert {json.loads(line)["reason"] for line in letters} == set(bad)


def test_nan_is_said_once_and_the_source_goes_on(grym: Grym, tmp_path: Path) -> None:
    samples = knocks(4.0, ANALYSIS_RATE_HZ)
    samples[60_000:70_000] = np.nan
    path = write(tmp_path / "nan.wav", samples, ANALYSIS_RATE_HZ, subtype="FLOAT")
    ran = listen(grym, tmp_path, path)
    assert ran.status == 0
    (failure,) = ran.of("failure")
    assert failure["reason"] == "nan"
    assert failure["start_s"] == pytest.approx(60_000 / ANALYSIS_RATE_HZ, abs=0.01)
    assert ran.summary["stored"] > 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["listen", "x.wav", "--model", "clpa"], 2, "unknown model 'clpa': choose one of aisfx"),
        (["listen", "gopher://x/y"], 2, "there is no 'gopher' source in this version"),
        (["listen", "x.wav", "--speed", "fast"], 2, "setting listen.speed = 'fast'"),
        (["listen", "x.wav", "--frame-ms", "0"], 2, "setting listen.frame_ms = 0"),
        (["listen", "x.wav", "--store", "nowhere"], 2, "expected a path ending in .db"),
        (["listen", "x.wav", "--start", "yesterday"], 2, "expected ISO 8601"),
        (["listen", "x.wav", "--config", "none.toml"], 2, "settings file none.toml cannot be read"),
        (["listen", "a/x.wav", "b/x.wav"], 2, "two sources would both be stream 'x.wav'"),
        (["listen", "--nonsense", "x.wav"], 2, "No such option: --nonsense"),
        (["listen"], 2, "Missing argument"),
        (["lisen"], 2, "No such command"),
        (["patterns", "--since", "soon"], 2, "expected a number and s, m, h or d"),
        (["search"], 2, "search needs one of --like CLIP or --text WORDS"),
        (["search", "--text", "rain", "--model", "logmel"], 2, "does not read text"),
        (["models", "pull", "clpa"], 2, "unknown model 'clpa'"),
        (["models", "pull", "gama"], 1, "set path of [models.gama]"),
        (["models", "project", "clap", "clap"], 2, "clap twice"),
        (["models", "project", "clpa", "clap"], 2, "unknown model 'clpa'"),
        (["search", "--text", "rain", "--like", "x.wav"], 2, "and not both"),
        (["search", "--like", "x.wav", "--into", "clpa"], 2, "unknown model 'clpa'"),
        (["listen", "x.wav", "--model", "gama"], 2, "set describe.model to it"),
        (["demo", "--seed", "-1"], 2, "Invalid value for '--seed'"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_one_line(
    grym: Grym, arguments: list[str], status: int, said: str
) -> None:
    ran = grym(*arguments)
    assert ran.status == status
    assert ran.out == ""
    assert said in ran.err
    assert ran.err.startswith("grym: ")
    assert ran.err.count("\n") == 1


def test_settings_that_contradict_one_another_are_refused_before_listening(
    grym: Grym, tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRYM_BREAKER__WAIT_CAP_S", "1")
    ran = listen(grym, tmp_path, tone)
    assert (ran.status, ran.out) == (2, "")
    assert "wait_cap_s = 1.0" in ran.err


def test_a_gap_between_windows_is_refused(
    grym: Grym, tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRYM_LISTEN__HOP_S", "2")
    ran = listen(grym, tmp_path, tone)
    assert (ran.status, ran.out) == (2, "")
    assert "hop_s = 2.0 is longer than window_s = 1.0" in ran.err


def test_debug_logs_show_where_an_unexpected_error_came_from(
    grym: Grym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LookupError("the dog ate it")

    monkeypatch.setattr(asking, "_queries", broken)
    monkeypatch.setenv("GRYM_LOG", "debug")
    ran = grym("patterns", "--store", tmp_path / "a.db")
    assert ran.status == 1
    assert "unexpected LookupError: the dog ate it (GRYM_LOG=debug shows where)" in ran.err
    assert "Traceback" in ran.err


def test_a_store_that_cannot_be_written_is_one_line(grym: Grym, tmp_path: Path, tone: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    ran = grym("listen", tone, "--model", "logmel", "--store", blocked / "a.db", "--json")
    assert (ran.status, ran.out) == (1, "")
    assert str(blocked) in ran.err
    assert ran.err.count("\n") == 1


def test_a_recovery_folder_of_something_else_is_refused(
    grym: Grym, tmp_path: Path, tone: Path
) -> None:
    other = tmp_path / "holiday"
    other.mkdir()
    (other / "beach.jpg").touch()
    ran = listen(grym, tmp_path, tone, "--recovery", other)
    assert (ran.status, ran.out) == (2, "")
    assert "is not a recovery folder of grym" in ran.err


def test_a_recovery_folder_of_another_run_is_refused(
    grym: Grym, tmp_path: Path, tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    assert listen(grym, tmp_path, tone, "--recovery", kept).status == 0
    monkeypatch.setenv("GRYM_LISTEN__HOP_S", "0.25")
    ran = listen(grym, tmp_path, tone, "--recovery", kept)
    assert ran.status == 2
    assert "belongs to a run with hop_s = 0.5, this one has hop_s = 0.25" in ran.err


def test_a_finished_run_that_is_resumed_says_that_nothing_is_left(
    grym: Grym, tmp_path: Path, tone: Path
) -> None:
    kept = tmp_path / "kept"
    listen(grym, tmp_path, tone, "--recovery", kept)
    again = listen(grym, tmp_path, tone, "--recovery", kept)
    assert again.status == 0
    assert "nothing left to read" in again.err
    assert [event["event"] for event in again.events] == ["summary"]


@pytest.mark.parametrize("verb", ["patterns", "occurrences", "relations"])
def test_asking_a_store_that_is_not_there_is_one_line(
    grym: Grym, tmp_path: Path, verb: str
) -> None:
    ran = grym(verb, "--store", tmp_path / "none.db", "--json")
    assert (ran.status, ran.out) == (1, "")
    assert "none.db" in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "none.db").exists()


def test_the_list_verbs_show_tables_and_search_finds_the_sound(
    grym: Grym, tmp_path: Path, on_disk: OnDisk
) -> None:
    store = tmp_path / "a.db"
    ran = grym("listen", f"field={on_disk.wav}", "--store", store, "--model", "logmel", "--quiet")
    assert ran.status == 0
    assert "heard 120.0 s of audio" in ran.out
    for verb in ("patterns", "occurrences", "relations"):
        shown = grym(verb, "--store", store, "--limit", "5")
        assert shown.status == 0
        assert "field" in shown.out
    assert grym("occurrences", "--store", store, "--stream", "other").out.startswith(
        "nothing found"
    )

    event = next(e for e in on_disk.truth.events if e.end_s - e.start_s > 0.4)
    samples, rate_hz = soundfile.read(on_disk.wav)
    clip = samples[round(event.start_s * rate_hz) : round(event.end_s * rate_hz)]
    path = write(tmp_path / "clip.wav", clip, rate_hz)
    found = grym("search", "--like", path, "--model", "logmel", "--store", store, "--json")
    best = found.events[0]
    assert sorted(best) == sorted(
        [
            "stream",
            "start_s",
            "end_s",
            "start_ns",
            "score",
            "space",
            "pattern",
            "match",
            "speech",
        ]
    )
    assert abs(best["start_s"] - event.start_s) < 0.6
    scores = [row["score"] for row in found.events]
    assert scores == sorted(scores, reverse=True)
    table = grym("search", "--like", path, "--model", "logmel", "--store", store)
    assert "heard like clip.wav" in table.out


def test_search_tells_the_sound_itself_from_what_is_merely_like_it(
    grym: Grym, tmp_path: Path, on_disk: OnDisk
) -> None:
    told = ("--store", tmp_path / "a.db")
    assert grym("listen", f"field={on_disk.wav}", *told, "--model", "logmel", "--quiet").status == 0
    heard = grym("occurrences", *told, "--json").events
    known = [row for row in grym("patterns", *told, "--json").events if row["count"] >= 5]
    samples, rate_hz = soundfile.read(on_disk.wav)
    itself, other = 0, 0
    for pattern in [row["pattern"] for row in known if row["status"] == "confirmed"][:5]:
        second = [row for row in heard if row["pattern"] == pattern][1]
        begin, end = (round(second[at] * rate_hz) for at in ("start_s", "end_s"))
        clip = write(tmp_path / "clip.wav", samples[begin - 4_000 : end + 4_000], rate_hz)
        rows = grym("search", "--like", clip, *told, "--model", "logmel", "--json").events
        assert [row["score"] for row in rows] == sorted((r["score"] for r in rows), reverse=True)
        assert all(row["match"] is None for row in rows if row["pattern"] is None)
        matches = [row["match"] for row in rows if row["match"] is not None]
        itself += rows[0]["pattern"] == pattern and (rows[0]["match"] or 0) > 0.5
        other += any(match < 0.1 for match in matches)
    assert itself >= 2
    assert other >= 2
    assert "match" in grym("search", "--like", clip, *told, "--model", "logmel").out


def test_search_refuses_a_clip_that_cannot_be_looked_for(
    grym: Grym, tmp_path: Path, tone: Path
) -> None:
    listen(grym, tmp_path, tone)
    silent = write(tmp_path / "silent.wav", np.zeros(44_100), 44_100)
    for clip, said in ((silent, "silent"), (tmp_path / "none.wav", "none.wav")):
        ran = grym("search", "--like", clip, "--model", "logmel", "--store", tmp_path / "a.db")
        assert ran.status == 1
        assert said in ran.err
        assert ran.err.count("\n") == 1


def test_config_prints_the_effective_settings(grym: Grym, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRYM_STORE__TOKEN", "root:hunter2")
    ran = grym("config", "--json")
    assert json.loads(ran.out)["infer"]["max_batch"] == 16
    assert "hunter2" not in ran.out
    shown = grym("config").out
    assert "infer.max_batch" in shown
    assert "hunter2" not in shown


def test_models_are_listed_with_what_they_need(grym: Grym) -> None:
    rows = {row["model"]: row for row in grym("models", "list", "--json").events}
    assert set(rows) == {*MODELS, *DESCRIBERS}
    assert rows["logmel"]["weights"] == "not needed"
    assert rows["aisfx"]["weights"] == "ready"
    assert rows["clap"]["weights"] == "missing"
    assert "owner/name" in str(rows["clap"]["detail"])
    assert rows["gama"]["does"] == "describes"
    shown = grym("models", "list").out
    assert "logmel" in shown
    assert "set path of [models.NAME]" in shown


def test_a_window_is_measured_on_request_and_the_list_remembers_it(
    grym: Grym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_models: Callable[[str], Path]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = tmp_path / "grym.toml"
    config.write_text(
        f"[models.hubert]\npath = '{tiny_models('hubert')}'\n"
        f"[models.wavlm]\npath = '{tmp_path / 'nowhere'}'\n"
        f"[models.ast]\npath = '{tmp_path}'\n"
    )
    measured = grym("models", "list", "--measure", "--json", "--config", config)
    listed = grym("models", "list", "--json", "--config", config)
    for rows in ({row["model"]: row for row in ran.events} for ran in (measured, listed)):
        for name in ("logmel", "hubert"):
            assert rows[name]["window_cpu_ms"] > 0.0
            assert rows[name]["dimension"] > 0
            assert rows[name]["device"] == "cpu"
        assert rows["hubert"]["weights"] == "found"
        assert rows["wavlm"]["weights"] == "missing"
        assert "no such folder" in rows["wavlm"]["detail"]
        assert rows["clap"]["window_ms"] is None
    assert {row["model"]: row["weights"] for row in measured.events}["ast"] == "damaged"
    assert "ast" in grym("models", "list", "--measure", "--config", config).out


def test_every_verb_has_help_with_an_example(grym: Grym) -> None:
    verbs = ["demo", "listen", "patterns", "occurrences", "relations", "search", "config"]
    for verb in (
        *([verb] for verb in verbs),
        *(["models", verb] for verb in ("list", "pull", "project")),
    ):
        ran = grym(*verb, "--help")
        assert ran.status == 0
        assert "Example: " in ran.out


def test_start_sets_the_event_time_and_nothing_else(
    grym: Grym, tmp_path: Path, on_disk: OnDisk
) -> None:
    started = "2026-05-01T04:30:00.25+02:00"
    ran = listen(grym, tmp_path, f"s={on_disk.wav}", "--start", started)
    first = ran.of("occurrence")[0]
    origin_ns = 1_777_602_600_250_000_000
    assert first["start_ns"] - origin_ns == pytest.approx(first["start_s"] * 1e9, abs=1e5)


def test_demo_prints_events_then_score_then_summary_and_keeps_the_scene(
    grym: Grym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRYM_LISTEN__MODELS", '["logmel"]')
    kept = tmp_path / "scene"
    ran = grym("demo", "--seed", 2, "--store", tmp_path / "a.db", "--out", kept, "--json")
    assert ran.status == 0
    kinds = [event["event"] for event in ran.events]
    assert kinds[-2:] == ["score", "summary"]
    assert "occurrence" in kinds
    (score,) = ran.of("score")
    assert score["patterns_found"] / score["patterns_planted"] >= 0.7
    assert set(score["by_kind"]) >= {"sequential", "periodic", "overlapping", "composite"}
    lines = [json.loads(line) for line in (kept / "truth.jsonl").read_text().splitlines()]
    assert {tuple(sorted(line)) for line in lines} == {
        ("end_s", "sound", "start_s"),
        ("kind", "lag_s", "period_s", "source", "target"),
    }
    again = listen(grym, tmp_path / "again", f"demo-2={kept / 'scene.wav'}")
    assert again.of("occurrence") == ran.of("occurrence")


def test_demo_shows_a_person_what_was_found(
    grym: Grym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRYM_LISTEN__MODELS", '["logmel"]')
    monkeypatch.setenv("COLUMNS", "140")
    ran = grym("demo", "--seed", 2, "--store", tmp_path / "a.db")
    assert ran.status == 0
    assert f"store  {tmp_path / 'a.db'}" in ran.err
    for said in ("patterns", "relations", "found ", "try next", "heard 300.0 s"):
        assert said in ran.out


def test_demo_says_where_the_scene_cannot_be_written(grym: Grym, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    ran = grym("demo", "--out", blocked, "--store", tmp_path / "a.db")
    assert ran.status == 1
    assert "the scene cannot be written" in ran.err
