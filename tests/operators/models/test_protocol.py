import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.models.protocol import (
    ModelConfig,
    ModelConfigError,
    UnknownModelError,
    WeightsMissingError,
    space_name,
)


@given(
    st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    st.integers(0, 2**32 - 1),
    st.integers(1, 4096),
)
def test_a_space_is_name_fingerprint_and_dimension_and_can_name_a_collection(
    name: str, number: int, dimension: int
) -> None:
    space = space_name(name, f"{number:08x}", dimension)
    assert space.split("-") == [name, f"{number:08x}", str(dimension)]
    collection = space.replace("-", "_")
    assert collection.isascii()
    assert collection.replace("_", "a").isalnum()


@pytest.mark.parametrize(
    ("name", "fingerprint", "dimension"),
    [("Aisfx", "0" * 8, 1), ("a-b", "0" * 8, 1), ("a", "0" * 7, 1), ("a", "0" * 8, 0)],
)
def test_what_could_not_name_a_collection_is_no_space(
    name: str, fingerprint: str, dimension: int
) -> None:
    with pytest.raises(ValueError, match="not a vector space"):
        space_name(name, fingerprint, dimension)


def test_errors_are_one_line_with_the_remedy() -> None:
    assert str(UnknownModelError("yamnet", ("aisfx", "logmel"))) == (
        "unknown model 'yamnet': choose one of aisfx, logmel"
    )
    assert str(WeightsMissingError("aisfx")) == (
        "the weights of model 'aisfx' were not found: run `grym models pull aisfx`"
    )


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ModelConfigError, match="threads = 0"):
        ModelConfig(threads=0)
    with pytest.raises(ModelConfigError, match=r"dtype = 'int4': choose one of auto, float32"):
        ModelConfig(dtype="int4")  # type: ignore[arg-type]
