"""The one rule of the layout: imports run flows -> connectors -> operators, and no further."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "operators": {
        "operators",
        "numba",
        "numpy",
        "onnxruntime",
        "opentelemetry",
        "safetensors",
        "torch",
        "transformers",
    },
    "connectors": {"connectors", "operators"},
    "flows": {"flows", "connectors", "operators"},
}
OURS = frozenset(ALLOWED)
SDK = "opentelemetry.sdk"


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_run_inwards_only(package: str) -> None:
    for path in files(package):
        ours = {name.split(".")[0] for name in imported(path)} & OURS
        assert ours <= ALLOWED[package], f"{path.relative_to(ROOT)} imports {ours}"


def test_operators_reach_nothing_outside_the_arithmetic() -> None:
    for path in files("operators"):
        names = imported(path)
        outside = {
            top
            for name in names
            if (top := name.split(".")[0]) not in sys.stdlib_module_names | ALLOWED["operators"]
        }
        assert not outside, f"{path.relative_to(ROOT)} imports {outside}"
        assert not any(name.startswith(SDK) for name in names), path
        reaching = {"os", "subprocess", "socket", "requests", "urllib"} & {
            name.split(".")[0] for name in names
        }
        assert not reaching, f"{path.relative_to(ROOT)} reaches outside with {reaching}"


def test_only_the_wiring_knows_settings_and_only_settings_read_our_environment() -> None:
    for package in OURS:
        for path in files(package):
            if path.name == "settings.py":
                continue
            assert "GRYM_" not in code_of(path), f"{path.relative_to(ROOT)} names our environment"


def code_of(path: Path) -> str:
    """The string constants used in code, docstrings and messages for people left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    keys = [
        node.slice.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    ]
    return " ".join(keys)


def test_the_sentence_stays_short() -> None:
    lines = (ROOT / "flows" / "listen.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 80


def test_no_file_outgrows_its_idea() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for package in OURS
        for path in files(package)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 330
    }
    assert not long


def test_asking_a_store_waits_for_no_framework() -> None:
    heavy = "{'torch', 'transformers', 'onnxruntime', 'numba'}"
    code = f"import sys, flows.cli.app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
