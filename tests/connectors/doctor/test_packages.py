import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from kafka.record import util

from connectors.doctor import imports, interpreter, packages
from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


def found(check=packages.check) -> list[Finding]:
    return list(check(Asked(), 3.0))


def asks_for(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _name: list(lines))


def test_what_is_installed_here_is_what_grym_asks_for() -> None:
    (finding,) = found()
    assert finding.status == "ok"
    assert PROJECT["name"] == packages.DISTRIBUTION
    names = {packages.name_of(line) for line in PROJECT["dependencies"]}
    assert {packages.name_of(line) for line in packages.required()} == names


def test_python_is_held_against_the_versions_of_the_project(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    least, below = (
        ".".join(map(str, version)) for version in (interpreter.LEAST, interpreter.BELOW)
    )
    assert PROJECT["requires-python"] == f">={least},<{below}"
    (finding,) = found(interpreter.check)
    assert (finding.check, finding.status) == ("python", "ok")
    for version in ((3, 10, 9), (3, 13, 0)):
        monkeypatch.setattr(sys, "version_info", version)
        (finding,) = found(interpreter.check)
        assert finding.status == "broken"
        assert "3.11 or 3.12" in finding.detail
        assert finding.remedy == "make install PYTHON=python3.11"


def test_what_is_missing_or_of_another_version_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asks_for(
        monkeypatch,
        "numpy>=99",
        "no-such-package==1.2",
        "typer>=0.1",
        'pytest>=99; extra == "dev"',
    )
    numpy, missing = sorted(found(), key=lambda finding: "no-such" in finding.detail)
    assert (numpy.status, missing.status) == ("broken", "broken")
    assert numpy.detail == f"numpy is {metadata.version('numpy')}, grym asks for >=99"
    assert numpy.remedy == "pip install 'numpy>=99'"
    assert missing.detail == "no-such-package is not installed, grym asks for ==1.2"
    assert missing.remedy == "pip install 'no-such-package==1.2'"


def test_a_local_build_of_a_pinned_version_is_that_version(monkeypatch: pytest.MonkeyPatch) -> None:
    asks_for(monkeypatch, "torch==2.13.0")
    monkeypatch.setattr(packages, "installed", {"torch": "2.13.0+cu999"}.get)
    (finding,) = found()
    assert finding.status == "ok"


def test_the_checksum_of_kafka_in_python_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "crc32c_c", None)
    (finding,) = found()
    assert finding.status == "broken"
    assert finding.remedy == "pip install 'kafka-python[crc32c]'"


def test_where_grym_is_not_installed_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", unknown)
    (finding,) = found()
    assert (finding.status, finding.remedy) == ("note", "make install")


def test_a_package_without_readable_metadata_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata, "version", {}.__getitem__)
    assert packages.installed("numpy") is None


def test_what_is_there_and_cannot_be_loaded_is_named_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asks_for(monkeypatch, "grpcio>=1.70", "numpy>=2.1", "sounddevice>=0.5", "no-such-package==1")
    monkeypatch.setitem(sys.modules, "grpc", None)
    (finding,) = found(imports.check)
    assert (finding.check, finding.status) == ("imports", "broken")
    assert finding.detail.startswith("grpcio cannot be imported (ModuleNotFoundError: ")
    assert finding.remedy == "pip install --force-reinstall 'grpcio>=1.70'"


def test_all_that_can_be_loaded_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    asks_for(monkeypatch, "numpy>=2.1", "opentelemetry-sdk>=1.45", "kafka-python[crc32c]==3.0.12")
    assert found(imports.check) == [Finding("imports", "ok", "3 packages can be loaded")]


def test_every_package_has_a_module_of_the_name_it_is_imported_by() -> None:
    assert packages.reinstall("google.protobuf") == "pip install --force-reinstall google"
    assert "kafka-python[crc32c]==" in packages.reinstall("kafka.record")
