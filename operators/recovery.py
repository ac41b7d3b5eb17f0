"""What kind of error this is, and what to tell the person who runs the system.

Steps turn their exceptions into a ``Diagnosis`` here, so that one kind of trouble has one name,
one severity and one remedy everywhere. Exception classes are recognised by name along their
inheritance, so no foreign library is imported for it.

Invariant: ``diagnose`` never raises and its texts are single lines. It does not know how often
something failed (that is the breaker's) nor what could take its place.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

ErrorClass: TypeAlias = Literal["timeout", "memory", "model", "validation", "connection", "system"]
Severity: TypeAlias = Literal["warning", "error", "critical"]

DETAIL_LIMIT = 240
"""Characters of an error's own message that are passed on."""
_CHAIN_LIMIT = 8


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """An error as a person needs it.

    Attributes:
        error_class: the stable word used as the reason of verdicts and failures.
        severity: "warning" mends itself or costs one item, "error" needs a look, "critical"
            stops the step until someone acts.
        retryable: the same call may succeed later or in a smaller form.
        detail: the error in one line: its type and message.
        remedy: one line: what to do.
    """

    error_class: ErrorClass
    severity: Severity
    retryable: bool
    detail: str
    remedy: str


_CLASSES: dict[ErrorClass, tuple[Severity, bool, str]] = {
    "timeout": (
        "warning",
        True,
        "raise the deadline, lower the batch size or choose a lighter model",
    ),
    "memory": (
        "error",
        True,
        "lower the batch size, choose a lighter model or free memory on this machine",
    ),
    "model": (
        "error",
        False,
        "pull the model's weights again, or choose another model (logmel needs no weights)",
    ),
    "validation": (
        "warning",
        False,
        "what was invalid is set aside; if it recurs, check the source and the model",
    ),
    "connection": (
        "warning",
        True,
        "check that the other side is running and that its address is right",
    ),
    "system": (
        "critical",
        False,
        "check the machine (disk, permissions, drivers), then restart grym",
    ),
}

_BY_NAME: dict[str, ErrorClass] = {
    # built in
    "TimeoutError": "timeout",
    "MemoryError": "memory",
    "ConnectionError": "connection",
    "OSError": "system",
    "ImportError": "model",
    "NotImplementedError": "model",
    "ValueError": "validation",
    "TypeError": "validation",
    "ArithmeticError": "validation",
    "LookupError": "validation",
    # standard library: more telling than the class they derive from
    "TimeoutExpired": "timeout",
    "IncompleteRead": "connection",
    "SSLError": "connection",
    "URLError": "connection",
    "gaierror": "connection",
    # models, their runtimes and their files
    "AcceleratorError": "system",
    "ModelError": "model",
    "OutOfMemoryError": "memory",
    "SafetensorError": "model",
    "UnpicklingError": "model",
    "WindowsError": "validation",
    # clients of stores, brokers and collectors
    "ConnectError": "connection",
    "ConnectTimeout": "timeout",
    "KafkaException": "connection",
    "MilvusUnavailableException": "connection",
    "ParamError": "validation",
    "ReadTimeout": "timeout",
    "RpcError": "connection",
}

_MEMORY_SIGNS = (
    # An allocation that fails on the CPU, or inside a library of the accelerator, has no class of
    # its own: torch raises a bare RuntimeError, or an AcceleratorError that is otherwise the
    # machine's trouble; onnxruntime its RuntimeException.
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate memory",
    "_status_alloc_failed",
)
_WITHOUT_MEMORY_CLASS = frozenset({"RuntimeError", "RuntimeException"})

_BY_ERRNO_CLASS: dict[int | None, ErrorClass] = {
    errno.EHOSTUNREACH: "connection",
    errno.ENETDOWN: "connection",
    errno.ENETUNREACH: "connection",
    errno.ENOMEM: "memory",
}

_BY_ERRNO: dict[int, str] = {
    errno.EACCES: "give the user who runs grym access to it",
    errno.EMFILE: "raise the limit on open files (ulimit -n), then restart grym",
    errno.ENFILE: "raise the system's limit on open files or close other programs",
    errno.ENOENT: "check the path: nothing is there",
    errno.ENOSPC: "free space on the disk, then restart grym",
    errno.EPERM: "give the user who runs grym access to it",
    errno.EROFS: "choose a folder that can be written to",
}
_ACCELERATOR = (
    "restart grym: the accelerator's state is lost; if it recurs, check the driver and its log"
)


def diagnose(error: BaseException, *, default: ErrorClass = "system") -> Diagnosis:
    """Classify an exception and say what to do about it.

    The exception itself is looked at first, then what it was raised from: a wrapper that says
    nothing takes the class of its cause.

    Args:
        error: what was caught.
        default: the class of what nothing recognises; a step that calls a model says "model".
    """
    error_class, found = default, error
    for link in _chain(error):
        recognised = _recognise(link)
        if recognised is not None:
            error_class, found = recognised, link
            break
    severity, retryable, remedy = _CLASSES[error_class]
    if error_class == "system":
        remedy = _system_remedy(found) or remedy
    return Diagnosis(error_class, severity, retryable, one_line(error), remedy)


def remedy_for(error_class: ErrorClass) -> str:
    """The remedy line of a class, where there is no exception to look at."""
    return _CLASSES[error_class][2]


def one_line(error: BaseException, limit: int = DETAIL_LIMIT) -> str:
    """``Type: message`` without line breaks, cut to ``limit`` characters."""
    text = " ".join(_text(error).split())
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _recognise(error: BaseException) -> ErrorClass | None:
    if isinstance(error, OSError) and error.errno in _BY_ERRNO_CLASS:
        return _BY_ERRNO_CLASS[error.errno]
    names = [cls.__name__ for cls in type(error).__mro__]
    text = _text(error).lower()
    if not _WITHOUT_MEMORY_CLASS.isdisjoint(names) and any(sign in text for sign in _MEMORY_SIGNS):
        return "memory"
    found = next((_BY_NAME[name] for name in names if name in _BY_NAME), None)
    return "system" if found is None and "cuda error" in text else found


def _system_remedy(error: BaseException) -> str | None:
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0)
    return _ACCELERATOR if "cuda" in _text(error).lower() else None


def _text(error: BaseException) -> str:
    """The message; an exception whose ``__str__`` fails must not break the report on it."""
    try:
        return str(error)
    except Exception:
        return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it was explicitly raised from (bounded: chains may be circular)."""
    link: BaseException | None = error
    for _ in range(_CHAIN_LIMIT):
        if link is None:
            return
        yield link
        link = link.__cause__
