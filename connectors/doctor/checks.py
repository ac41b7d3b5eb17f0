"""The checks by name, and how one is made.

A check is a function of what is asked and of the seconds that whoever is asked may take to answer
(``Check``); it leaves everything as it found it. Invariant: a check never raises; what goes wrong
within it is what it found.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TypeAlias

from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding, words
from connectors.doctor.packages import reinstall

Check: TypeAlias = Callable[[Asked, float], Iterable[Finding]]

CHECKS: dict[str, str] = {
    "python": "connectors.doctor.interpreter:check",
    "packages": "connectors.doctor.packages:check",
    "sources": "connectors.doctor.sources:check",
    "kafka": "connectors.doctor.topics:check",
    "store": "connectors.doctor.store:check",
    "collector": "connectors.doctor.collector:check",
    "sound": "connectors.doctor.sound:check",
    "models": "connectors.doctor.models:check",
    "torch": "connectors.doctor.computing:check",
    "imports": "connectors.doctor.imports:check",
}
"""Name -> "module:function", in the order in which they are told."""

APART: tuple[tuple[str, ...], ...] = (("sound",), ("models", "torch", "imports"))
"""Checks that load what may hang or crash, or takes seconds: each group in a process of its own,
one after the other, so that a framework is loaded once."""


def make(name: str, target: str, asked: Asked, patience_s: float) -> tuple[Finding, ...]:
    """What a check found.

    Args:
        name: of the check.
        target: its "module:function".
        asked: what it is asked about.
        patience_s: in which a broker, a store or a collector has to answer.
    """
    module, _, function = target.partition(":")
    try:
        check: Check = getattr(import_module(module), function)
        return tuple(check(asked, patience_s))
    except ImportError as error:
        return (unloadable(name, error),)
    except Exception as error:  # whatever a broken package raises
        said = f"cannot be looked at: {type(error).__name__}: {words(error)}"
        return (Finding(name, "broken", said, "install grym anew: make install"),)


def unloadable(name: str, error: Exception) -> Finding:
    """What a package keeps from being looked at.

    Args:
        name: of the check.
        error: what importing it raised; an ``OSError`` where a C library is missing.
    """
    missing = getattr(error, "name", None)
    remedy = reinstall(missing) if missing else "install grym anew: make install"
    detail = f"{missing or 'a package'} cannot be imported ({words(error)})"
    return Finding(name, "broken", detail, remedy)
