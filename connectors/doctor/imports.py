"""Whether what is installed can be loaded: a package may be there whole and its C library not.

Invariant: what is not installed is not told again (``packages`` does), nor what has a check of its
own.
"""

from collections.abc import Iterator
from importlib import import_module

from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding, words
from connectors.doctor.packages import installed, module_of, name_of, reinstall, required

_ELSEWHERE = frozenset({"sounddevice", "torch"})


def check(asked: Asked, patience_s: float) -> Iterator[Finding]:
    """Import every package that grym asks for; takes seconds, so made apart."""
    del asked, patience_s
    names = [name for name in map(name_of, required()) if name not in _ELSEWHERE]
    loaded = 0
    for name in names:
        if installed(name) is None:
            continue
        module = module_of(name)
        try:
            import_module(module)
        except Exception as error:  # a library that is missing is an OSError to some
            detail = f"{name} cannot be imported ({type(error).__name__}: {words(error)})"
            yield Finding("imports", "broken", detail, reinstall(module))
        else:
            loaded += 1
    if loaded == len(names):
        yield Finding("imports", "ok", f"{loaded} packages can be loaded")
