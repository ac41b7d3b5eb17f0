import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.patterns import decode, encode
from operators.patterns.levels import EMPTY


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 150), st.integers(0, 200), st.integers(0, 1000))
def test_a_template_comes_back_within_an_eighth_of_a_decibel(
    rows: int, lead: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    level = rng.uniform(-50, 0, (rows, 48)).astype(np.float32)
    level[rng.uniform(size=level.shape) < 0.5] = EMPTY
    floor = rng.uniform(-60, -10, 48).astype(np.float32)
    level2, floor2, lead2 = decode(encode(level, floor, lead))
    assert lead2 == lead
    assert ((level2 == EMPTY) == (level == EMPTY)).all()
    assert np.abs(level2 - level).max() <= 0.126
    assert np.abs(floor2 - floor).max() <= 0.126


def test_bytes_that_are_no_template_are_refused_with_what_is_wrong() -> None:
    good = encode(np.zeros((4, 48), dtype=np.float32), np.zeros(48, dtype=np.float32), 2)
    with pytest.raises(ValueError, match="cut short"):
        decode(good[:-1])
    with pytest.raises(ValueError, match="version"):
        decode(b"GT\x09" + good[3:])
    with pytest.raises(ValueError, match="expected at least"):
        decode(b"GT")
