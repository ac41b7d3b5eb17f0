import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from connectors import projections
from connectors.milvus.errors import StoreMissing, StoreUnwritable
from connectors.milvus.queries import Queries
from connectors.projections import ProjectionMissing, find, folder_of, project, read, save
from connectors.store import Store
from operators.projection import HeldOut, Projection, ProjectionError

FROM, INTO = "logmel-0a1b2c3d-16", "clap-0f0f0f0f-8"
MAP = np.random.default_rng(0).standard_normal((16, 8))


def made(from_space: str = FROM, to_space: str = INTO) -> Projection:
    held_out = HeldOut(100, 5, 0.9, 0.1, 0.5, 10, 0.1)
    matrix = np.arange(128, dtype=np.float32).reshape(16, 8)
    return Projection(from_space, to_space, matrix, np.ones(8, np.float32), 0.01, held_out)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory, make) -> Iterator[str]:
    """Three minutes that two models heard, of which one says what the other does, turned."""
    uri = str(tmp_path_factory.mktemp("projections") / "x.db")
    one = [make.embedding(n / 2) for n in range(360)]
    turned = [(each.vector @ MAP).astype(np.float32) for each in one]
    other = [
        replace(each, space=INTO, vector=vector / np.linalg.norm(vector))
        for each, vector in zip(one, turned, strict=True)
    ]
    with Store.open(uri) as store:
        store.append([*one, *other])
        assert store.drain(20)
        yield uri


def test_a_map_is_fitted_kept_beside_the_store_and_finds_what_it_should(uri: str, make) -> None:
    fitted, path = project(uri, "logmel", "clap")
    assert path.parent == Path(f"{uri}.state") / "projections"
    assert (fitted.from_space, fitted.to_space) == (FROM, INTO)
    assert fitted.held_out.pairs == 6 * 59
    assert fitted.held_out.blocks == 6
    assert fitted.held_out.cosine > 0.9
    found = find(uri, FROM, "clap")
    assert np.array_equal(found.matrix, fitted.matrix)
    assert found.held_out == fitted.held_out
    with Queries(uri) as queries:
        asked = found.apply(make.embedding(101.5).vector[None])
        (row,) = queries.search(asked, found.to_space, limit=1)
    assert row["start_s"] == 101.5
    assert row["space"] == INTO


def test_the_same_store_gives_the_same_map(uri: str) -> None:
    one, other = project(uri, FROM, INTO)[0], project(uri, "logmel", "clap")[0]
    assert np.array_equal(one.matrix, other.matrix)


def test_a_space_is_not_mapped_to_itself(uri: str) -> None:
    with pytest.raises(ProjectionError, match="name two spaces"):
        project(uri, "logmel", FROM)


def test_a_map_that_was_never_fitted_is_named_with_the_command_that_fits_it(uri: str) -> None:
    project(uri, "logmel", "clap")
    remedy = rf"there: {FROM} -> {INTO}.*grym models project {INTO} {FROM}"
    with pytest.raises(ProjectionMissing, match=remedy):
        find(uri, INTO, "logmel")


def test_a_space_that_is_not_in_the_store_has_no_map(uri: str) -> None:
    with pytest.raises(StoreMissing, match="'aisfx'"):
        find(uri, FROM, "aisfx")


def test_what_is_saved_is_read_back_and_replaced_whole(tmp_path: Path) -> None:
    save(tmp_path, replace(made(), penalty=1.0))
    path = save(tmp_path, made())
    assert list(tmp_path.iterdir()) == [path]
    found = read(tmp_path, FROM, INTO)
    assert np.array_equal(found.matrix, made().matrix)
    assert np.array_equal(found.offset, made().offset)
    assert (found.penalty, found.held_out) == (0.01, made().held_out)
    assert projections.stored(tmp_path) == [(FROM, INTO)]


def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = save(tmp_path, made())
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"no safetensors file"):
        path.write_bytes(content)
        with pytest.raises(ProjectionError, match=r"damaged.*grym models project"):
            read(tmp_path, FROM, INTO)


def rewritten(path: Path, **changes: object) -> None:
    """The file with other words in its header, or without any."""
    with safetensors.safe_open(path, framework="numpy") as opened:
        about = json.loads(opened.metadata()["grym"]) | changes
    tensors = safetensors.numpy.load_file(path)
    path.write_bytes(safetensors.numpy.save(tensors, {"grym": json.dumps(about)}))


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"to_space": "clap-0f0f0f0f-9"}], ids=["version", "space"]
)
def test_a_file_of_another_version_or_space_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    rewritten(save(tmp_path, made()), **change)
    with pytest.raises(ProjectionError, match="this grym reads version 1"):
        read(tmp_path, FROM, INTO)


def test_a_header_that_says_something_else_is_damage(tmp_path: Path) -> None:
    rewritten(save(tmp_path, made()), held_out={"cosine": 1.0})
    with pytest.raises(ProjectionError, match="damaged"):
        read(tmp_path, FROM, INTO)


@pytest.mark.parametrize("flaw", ["matrix", "offset", "finite"])
def test_numbers_that_are_no_map_between_the_spaces_are_refused(tmp_path: Path, flaw: str) -> None:
    broken = {
        "matrix": replace(made(), matrix=np.ones((15, 8), np.float32)),
        "offset": replace(made(), offset=np.ones(7, np.float32)),
        "finite": replace(made(), offset=np.full(8, np.nan, np.float32)),
    }[flaw]
    save(tmp_path, broken)
    with pytest.raises(ProjectionError, match="numbers"):
        read(tmp_path, FROM, INTO)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnwritable, match="projections"):
        save(tmp_path / "file" / "folder", made())


def test_a_file_that_cannot_be_replaced_is_named_and_nothing_is_left_behind(
    tmp_path: Path,
) -> None:
    (tmp_path / f"{FROM}--{INTO}.safetensors").mkdir()
    with pytest.raises(StoreUnwritable, match="make room or permit writing"):
        save(tmp_path, made())
    assert len(list(tmp_path.iterdir())) == 1


def test_maps_of_a_server_lie_in_the_users_data_by_its_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    one, other = folder_of("http://one:19530"), folder_of("http://other:19530")
    assert one != other
    assert one.parent == other.parent == tmp_path / "grym" / "projections"
