"""Reads what lies in ``deploy/`` the way the programs it is meant for do."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROBE = "find /state -mindepth 2 -maxdepth 2 -name 'part-*' -mmin -2 | grep -q ."
"""Whether a run with ``--recovery`` has written there within two minutes."""
UID = 10_001
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::-(?P<default>[^}]*))?\}")


def read_yaml(name: str) -> Any:
    """The one document of a file."""
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def services() -> dict[str, dict[str, Any]]:
    """Those of the compose file, by name."""
    found: dict[str, dict[str, Any]] = read_yaml("compose.yaml")["services"]
    return found


def interpolated(text: str) -> str:
    """As compose would have it where nobody has set a variable."""
    return _VARIABLE.sub(lambda found: found["default"] or "", text)


def variables(text: str) -> set[str]:
    """Names of the variables that compose takes from its environment."""
    return {found["name"] for found in _VARIABLE.finditer(text)}


def tag_of(image: str) -> str:
    """What stands behind the colon; "" where nothing does."""
    return image.rpartition("/")[2].partition(":")[2]


def is_pinned(image: str) -> bool:
    """Whether the tag names a version down to its last number."""
    return re.match(r"v?\d+\.\d+\.\d+", tag_of(image)) is not None
