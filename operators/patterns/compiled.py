"""Functions that are compiled, but not before one of their module is called.

Loading the compiler takes half a second, and most commands compare nothing. What is compiled holds
no lock, so that a long look back delays no window, and is kept on disk where that is possible.
Constants are compiled in: whoever changes one that another module uses has to touch that file, too.

Invariant: no reordering of sums (no ``fastmath``), so that results are the same bit for bit.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Kernel:
    """A function that is compiled at its first call, with all the others of its module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.py_func = function

    def __call__(self, *arguments: Any) -> Any:
        """What the compiled function gives."""
        module = cast("Any", self.py_func).__globals__
        if isinstance(module[self.py_func.__name__], Kernel):
            _compile(module)
        return module[self.py_func.__name__](*arguments)


def kernel(function: F) -> F:
    """Stands for the function until it is compiled."""
    return cast("F", Kernel(function))


def _compile(module: dict[str, Any]) -> None:
    """Put what is compiled in every kernel's place at once: there they look for one another.

    Kept on disk unless there is no place to keep it.
    """
    import numba  # noqa: PLC0415

    def compiled(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True, nogil=True)(function)
        except RuntimeError:
            return numba.njit(nogil=True)(function)

    waiting = {name: each for name, each in module.items() if isinstance(each, Kernel)}
    module.update({name: compiled(each.py_func) for name, each in waiting.items()})
