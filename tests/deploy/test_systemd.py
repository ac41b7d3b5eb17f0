"""The systemd unit: its command is one that grym takes, its settings are settings."""

import shlex
from collections import defaultdict

import pytest

from tests.deploy.command import heard, parsed, settings_from
from tests.deploy.reading import DEPLOY


def directives() -> dict[str, list[str]]:
    """Every directive of the unit, with its values in order."""
    found = defaultdict(list)
    for line in (DEPLOY / "grym.service").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", ";", "[")):
            name, _, value = line.partition("=")
            found[name].append(value)
    return dict(found)


def environment() -> dict[str, str]:
    """What ``Environment=`` sets, blanks between assignments as systemd takes them."""
    words = [word for line in directives()["Environment"] for word in shlex.split(line)]
    return dict(word.split("=", 1) for word in words)


def command() -> list[str]:
    """Words of the command; ``$NAME`` alone is split at blanks, as systemd does."""
    (line,) = directives()["ExecStart"]
    words = []
    for word in shlex.split(line):
        words += environment()[word[1:]].split() if word.startswith("$") else [word]
    return words


def the(name: str) -> str:
    (value,) = directives()[name]
    return value


def test_the_command_is_one_that_grym_takes() -> None:
    program, *arguments = command()
    assert program.endswith("/bin/grym")
    assert heard(arguments) == ["watch"]
    assert parsed(arguments)["as_json"]


def test_it_writes_into_the_folders_that_are_made_for_it() -> None:
    state = f"/var/lib/{the('StateDirectory')}"
    assert str(parsed(command()[1:])["recovery"].parent) == state
    assert environment()["XDG_STATE_HOME"] == environment()["XDG_DATA_HOME"] == "/var/lib"
    assert environment()["XDG_CACHE_HOME"] == "/var/cache"
    assert the("CacheDirectory") == "grym"
    assert the("ProtectSystem") == "strict"


def test_every_setting_of_grym_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    named = [name for name in environment() if name.startswith("GRYM_")]
    assert "GRYM_LOG" in named
    settings = settings_from(environment(), monkeypatch)
    assert settings.store.uri == "/var/lib/grym/grym.db"
    assert float(the("TimeoutStopSec")) > settings.store.drain_s


def test_it_is_nobody_special_and_gains_nothing() -> None:
    assert the("User") == "grym"
    assert the("NoNewPrivileges") == "true"
    assert the("CapabilityBoundingSet") == ""
    for name in ("ProtectHome", "PrivateTmp", "ProtectKernelModules", "RestrictSUIDSGID"):
        assert the(name) == "true"


def test_it_is_stopped_in_order_and_started_again_where_that_helps() -> None:
    assert the("KillSignal") in ("SIGTERM", "SIGINT")
    assert the("KillMode") == "mixed"
    assert the("Restart") == "on-failure"
    assert the("RestartPreventExitStatus") == "2"


def test_what_differs_between_machines_may_be_missing() -> None:
    assert the("EnvironmentFile") == "-/etc/grym/grym.env"
