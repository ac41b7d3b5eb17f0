"""Filter expressions of Milvus, with text quoted so that any stream id can stand in them."""

from collections.abc import Iterable

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def quoted(text: str) -> str:
    """A text literal."""
    return f'"{text.translate(_ESCAPES)}"'


def any_of(field: str, values: Iterable[str]) -> str:
    """The field is one of these texts."""
    return f"{field} in [{', '.join(map(quoted, values))}]"


def both(*conditions: str) -> str:
    """All conditions that are not empty; "" where there is none."""
    return " and ".join(f"({condition})" for condition in conditions if condition)
