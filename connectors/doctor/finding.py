"""What a check found: one line for a person, one object for a script.

Invariant: what is broken names the thing, the value and the line that mends it; no line holds a
secret.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["ok", "note", "broken"]
"""As it should be; something optional is not there; what was asked for cannot be had."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at.
        status: see ``Status``.
        detail: one line: the thing and the value.
        remedy: one line: what to do; None where there is nothing to do.
    """

    check: str
    status: Status
    detail: str
    remedy: str | None = None

    def as_event(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "event": "check",
            "check": self.check,
            "status": self.status,
            "detail": self.detail,
            "remedy": self.remedy,
        }


def of_sentence(check: str, sentence: str, *, between: str = "; ") -> Finding:
    """What an error of ours says of something broken.

    Args:
        check: what was looked at.
        sentence: the thing, the value and the remedy.
        between: what stands before the remedy.
    """
    detail, _, remedy = sentence.rpartition(between)
    return Finding(check, "broken", detail or sentence, remedy if detail else None)


def words(error: Exception) -> str:
    """What an error says, in one line; its name where it says nothing."""
    said = error.strerror if isinstance(error, OSError) else None
    return " ".join(str(said or error).split()) or type(error).__name__
