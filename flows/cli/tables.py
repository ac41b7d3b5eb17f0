"""Tables that fit a narrow terminal: few lines, and ids never cut, because they are typed again."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

_WHOLE = frozenset(
    {"pattern", "source", "target", "kind", "status", "planted as", "model", "weights"}
)
"""Columns that are of use only whole."""


def table(title: str, columns: Sequence[str]) -> Table:
    """An empty table."""
    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        made.add_column(column.removesuffix("_s"), no_wrap=column in _WHOLE)
    return made
