import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.models.answering import DescriberConfig, one_line, question_of, reason_of
from operators.models.protocol import ModelConfigError, ModelError


@given(st.text())
def test_an_answer_is_one_printable_line_or_an_error(answer: str) -> None:
    if any(c.isprintable() and not c.isspace() and c != "\ufffd" for c in answer):
        line = one_line("gama", answer)
        assert line.isprintable()
        assert line == one_line("gama", line) == " ".join(line.split())
    else:
        with pytest.raises(ModelError, match="'gama' gave an empty answer"):
            one_line("gama", answer)


def test_what_a_terminal_would_obey_is_taken_out() -> None:
    assert one_line("gama", " A dog\n\n\tbarks.\x1b[2J \ufffd") == "A dog barks. [2J"


def test_a_question_is_stripped_and_not_empty() -> None:
    assert question_of("gama", "  What barks?\n") == "What barks?"
    with pytest.raises(ModelError, match="model 'gama' was asked nothing: give a question"):
        question_of("gama", "\n ")


def test_the_reason_of_an_error_is_its_first_two_lines_or_its_name() -> None:
    assert reason_of(ValueError("no such field\n  x is missing.\nread the docs")) == (
        "no such field x is missing"
    )
    assert reason_of(KeyError()) == "KeyError"


def test_the_length_of_answers_is_bounded_and_not_nought() -> None:
    assert DescriberConfig().max_new_tokens == 128
    with pytest.raises(ModelConfigError, match="max_new_tokens = 0: give 1 or more"):
        DescriberConfig(max_new_tokens=0)
    with pytest.raises(ModelConfigError, match="threads = 0"):
        DescriberConfig(threads=0)
