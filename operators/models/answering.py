"""What the models that answer in words share: their options, and what may be asked and said."""

from dataclasses import dataclass

from operators.models.protocol import ModelConfig, ModelConfigError, ModelError


@dataclass(frozen=True, slots=True)
class DescriberConfig(ModelConfig):
    """Configuration of a model that answers in words.

    It is never compiled: a call takes seconds and is rare.

    Attributes:
        max_new_tokens: after which an answer is cut off.

    Raises:
        ModelConfigError: a value out of its range.
    """

    max_new_tokens: int = 128

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        if self.max_new_tokens < 1:
            raise ModelConfigError(f"max_new_tokens = {self.max_new_tokens}: give 1 or more")


def question_of(name: str, question: str) -> str:
    """A question without spaces at its ends.

    Raises:
        ModelError: nothing is left of it.
    """
    if not question.strip():
        raise ModelError(f"model {name!r} was asked nothing: give a question")
    return question.strip()


def one_line(name: str, answer: str) -> str:
    """An answer without line breaks, control characters, and halves of a character.

    Raises:
        ModelError: nothing is left of it.
    """
    kept = "".join(c if c.isprintable() and c != "\ufffd" else " " for c in answer)
    words = kept.split()
    if not words:
        raise ModelError(f"model {name!r} gave an empty answer: ask it something else")
    return " ".join(words)


def reason_of(error: Exception) -> str:
    """What an error of a library says, on one line: its first two, which hold the message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]).rstrip(".") or type(error).__name__
