import hashlib
import venv
import zipfile
from pathlib import Path

import pytest

from connectors.wheel import DownloadError, Wheel, download


def forged(folder: Path, version: str = "1.0") -> Wheel:
    """A real, tiny wheel of a project that no index has, in a folder that pip can look in."""
    folder.mkdir(exist_ok=True)
    path = folder / f"grym_nothing-{version}-py3-none-any.whl"
    info = f"grym_nothing-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: grym-nothing\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return Wheel("grym-nothing", version, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip on this machine looks in this folder and nowhere else."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def test_a_wheel_is_fetched_from_where_pip_is_told_to_look_and_nothing_is_printed(
    links: Path, target: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wheel = forged(links)
    found = download(wheel, target)
    assert found.parent == target
    assert hashlib.sha256(found.read_bytes()).hexdigest() == wheel.sha256
    assert capfd.readouterr() == ("", "")


def test_a_wheel_with_another_checksum_is_refused(links: Path, target: Path) -> None:
    wheel = forged(links)
    expected = Wheel(wheel.project, wheel.version, "0" * 64)
    with pytest.raises(DownloadError, match=f"sha256 {wheel.sha256}, expected 0{{64}}"):
        download(expected, target)


def test_an_index_without_the_wheel_is_reported_in_one_line(links: Path, target: Path) -> None:
    with pytest.raises(DownloadError) as error:
        download(Wheel("grym-nothing", "1.0", "0" * 64), target)
    assert str(error.value) == (
        "grym-nothing 1.0 could not be downloaded "
        "(No matching distribution found for grym-nothing==1.0)"
    )


def test_a_source_distribution_is_never_fetched(links: Path, target: Path) -> None:
    (links / "grym_nothing-1.0.tar.gz").write_bytes(b"would run setup.py")
    with pytest.raises(DownloadError, match="No matching distribution"):
        download(Wheel("grym-nothing", "1.0", "0" * 64), target)


def test_a_folder_with_other_wheels_is_refused(links: Path, target: Path) -> None:
    forged(target, version="2.0")
    with pytest.raises(DownloadError, match="pip delivered 2 wheels of grym-nothing"):
        download(forged(links), target)


def test_a_python_without_pip_is_told_how_to_get_it(tmp_path: Path, target: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    with pytest.raises(DownloadError, match=r"this Python has no pip: add it with `python -m ens"):
        download(Wheel("aisfx", "1", "0"), target, python=str(tmp_path / "bare" / "bin" / "python"))


def test_an_interpreter_that_cannot_run_is_reported(target: Path) -> None:
    with pytest.raises(DownloadError, match=r"aisfx 1 could not be downloaded \(.*No such file"):
        download(Wheel("aisfx", "1", "0"), target, python="/nowhere/python")
