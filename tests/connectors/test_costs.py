import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors import costs
from connectors.costs import Cost, Costs, measure
from connectors.locks import FileLock
from operators.models import configure, load
from operators.models.protocol import Model

HERE = "field-station"


@pytest.fixture(autouse=True)
def named_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.costs.platform.node", lambda: HERE)


def cost(**changes: object) -> Cost:
    plain = Cost(
        machine=HERE,
        model="logmel",
        space="logmel-00000000-176",
        device="cpu",
        dtype="float32",
        window_s=1.0,
        batch=8,
        wall_ms=2.5,
        cpu_ms=2.25,
        measured_s=100.0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # tests name fields


def ticking(step_s: float) -> Iterator[float]:
    return (step_s * tick for tick in count())


def test_a_cost_is_the_share_of_a_window_of_calls_as_the_flow_makes_them() -> None:
    seen: list[tuple[tuple[int, ...], int | None]] = []
    model = load("logmel", configure("logmel"))

    class Watched:
        name, space, device, dtype = model.name, model.space, "cuda:0", "bfloat16"

        def embed(self, windows: NDArray[np.float32], rate_hz: int | None) -> NDArray[np.float32]:
            seen.append((windows.shape, rate_hz))
            return model.embed(windows, rate_hz)

    found = measure(
        Watched(),  # type: ignore[arg-type]  # what measuring needs of a model
        window_s=0.5,
        batch=4,
        calls=2,
        wall_s=ticking(0.1).__next__,
        cpu_s=ticking(0.4).__next__,
        now_s=lambda: 7.0,
    )
    assert seen == 3 * [((4, 22_050), 44_100)]
    assert found.wall_ms == pytest.approx(25.0)
    assert found.cpu_ms == pytest.approx(50.0)
    assert (found.model, found.space) == ("logmel", model.space)
    assert (found.device, found.dtype) == ("cuda:0", "bfloat16")
    assert (found.machine, found.measured_s) == (HERE, 7.0)


def test_a_real_model_costs_something() -> None:
    model: Model = load("logmel", configure("logmel"))
    found = measure(model, calls=1)
    assert found.wall_ms > 0.0
    assert found.cpu_ms > 0.0


def test_what_was_remembered_is_known_to_the_next_run(tmp_path: Path) -> None:
    model = load("logmel", configure("logmel"))
    first = cost(space=model.space)
    Costs(tmp_path).remember(first)
    assert Costs(tmp_path).of("logmel") == first
    assert Costs(tmp_path).known(model, 1.0) == first
    assert Costs(tmp_path).known(model, 0.5) is None
    assert Costs(tmp_path).of("aisfx") is None


def test_the_newest_counts_and_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    kept = Costs(tmp_path)
    kept.remember(cost(measured_s=5.0, wall_ms=9.0))
    kept.remember(cost(device="cuda:0", measured_s=6.0, wall_ms=0.1))
    kept.remember(cost(measured_s=4.0, wall_ms=8.0))
    assert kept.of("logmel") == cost(device="cuda:0", measured_s=6.0, wall_ms=0.1)
    assert kept.of("logmel", "cpu") == cost(measured_s=4.0, wall_ms=8.0)
    assert kept.of("logmel", "cuda:1") is None


def test_another_machine_that_shares_the_folder_has_its_own_costs(tmp_path: Path) -> None:
    Costs(tmp_path).remember(cost(machine="workshop"))
    assert Costs(tmp_path).of("logmel") is None
    Costs(tmp_path).remember(cost())
    assert Costs(tmp_path).of("logmel") == cost()


def test_no_more_are_kept_than_a_person_would_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "_MOST", 3)
    for tick in range(5):
        Costs(tmp_path).remember(cost(model=f"m{tick}", space=f"m{tick}", measured_s=float(tick)))
    found = [Costs(tmp_path).of(f"m{tick}") is not None for tick in range(5)]
    assert found == [False, False, True, True, True]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"version": 1}', '{"version": 1, "costs": [{"model": "logmel"}]}', "null"],
)
def test_a_damaged_file_counts_as_empty_and_is_written_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "costs.json").write_text(content)
    assert Costs(tmp_path).of("logmel") is None
    Costs(tmp_path).remember(cost())
    assert Costs(tmp_path).of("logmel") == cost()


def test_a_file_of_a_later_version_is_not_read(tmp_path: Path) -> None:
    Costs(tmp_path).remember(cost())
    file = tmp_path / "costs.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": 2}))
    assert Costs(tmp_path).of("logmel") is None


def test_two_who_remember_at_once_lose_nothing_and_leave_nothing_behind(tmp_path: Path) -> None:
    def remember(tick: int) -> None:
        Costs(tmp_path).remember(cost(model=f"m{tick}", space=f"m{tick}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(remember, range(20)))
    assert all(Costs(tmp_path).of(f"m{tick}") for tick in range(20))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".costs.lock", "costs.json"]


def test_a_folder_that_cannot_be_written_is_said_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    Costs(tmp_path / "cache").remember(cost())
    (line,) = caplog.messages
    assert "costs.json: the cost of a window is not remembered (" in line


def test_a_process_that_holds_the_lock_for_long_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(costs, "_LOCK_TIMEOUT_S", 0.0)
    with FileLock(tmp_path / ".costs.lock") as other:
        assert other.acquire()
        Costs(tmp_path).remember(cost())
    assert "not remembered (another process has held its lock for 0 s)" in caplog.text


def test_a_disk_that_fails_leaves_the_old_costs_and_no_scrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Costs(tmp_path).remember(cost())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("connectors.costs.json.dump", full)
    Costs(tmp_path).remember(cost(wall_ms=1.0))
    assert "not remembered (No space left on device)" in caplog.text
    assert Costs(tmp_path).of("logmel") == cost()
    assert not list(tmp_path.glob(".costs-*"))
