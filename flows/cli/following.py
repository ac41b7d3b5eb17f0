"""A progress display that asks for the present figures whenever it draws."""

from collections.abc import Iterator
from typing import Any, Protocol

from rich.progress import Progress


class Refreshes(Protocol):
    """Whoever knows the figures."""

    def refresh(self) -> None:
        """Take over the present ones."""


class Following(Progress):
    """Asks ``shown`` before it draws."""

    shown: Refreshes | None = None

    def get_renderables(self) -> Iterator[Any]:
        """What is drawn: the figures of now."""
        if self.shown is not None:
            shown, self.shown = self.shown, None  # an update draws again
            shown.refresh()
            self.shown = shown
        yield from super().get_renderables()
