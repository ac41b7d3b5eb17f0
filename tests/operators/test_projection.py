import numpy as np
import pytest
from numpy.typing import NDArray

from operators.projection import HeldOut, Projection, ProjectionError, fit

A, B = "one-00000001-12", "two-00000002-8"
Rows = NDArray[np.float32]


def unit(rows: NDArray[np.float64]) -> Rows:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def pairs(
    noise: float = 0.0, count: int = 600, blocks: int = 12, seed: int = 0
) -> tuple[Rows, Rows, NDArray[np.int64]]:
    """Two views of the same hidden sounds, related linearly up to noise."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((count, 6))
    x = hidden @ rng.standard_normal((6, 12))
    y = hidden @ rng.standard_normal((6, 8)) + noise * rng.standard_normal((count, 8)) + 0.5
    return unit(x), y.astype(np.float32), np.arange(count) * blocks // count


def fitted(x: Rows, y: Rows, groups: NDArray[np.int64]) -> Projection:
    return fit(x, y, groups, from_space=A, to_space=B)


def test_a_linear_relation_is_found_and_neighbours_with_it() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 12)).astype(np.float32)
    y = (x @ rng.standard_normal((12, 8)) + 3.0).astype(np.float32)
    found = fitted(x, y, np.arange(400) // 40)
    true = y / np.linalg.norm(y, axis=1, keepdims=True)
    assert (found.apply(x) * true).sum(axis=1).min() > 0.9999
    assert found.held_out.cosine > 0.9999
    assert found.held_out.recall > 0.97
    assert (found.held_out.pairs, found.held_out.blocks) == (400, 10)
    assert (found.from_space, found.to_space) == (A, B)
    assert found.matrix.shape == (12, 8)
    assert found.offset.shape == (8,)


def test_projected_vectors_have_unit_length() -> None:
    x, y, groups = pairs(noise=0.3)
    assert np.allclose(np.linalg.norm(fitted(x, y, groups).apply(x), axis=1), 1.0, atol=1e-6)


def test_what_is_unrelated_is_no_better_than_knowing_nothing() -> None:
    x, _, groups = pairs()
    _, y, _ = pairs(seed=5)
    held_out = fitted(x, y, groups).held_out
    assert abs(held_out.cosine - held_out.baseline_cosine) < 0.03
    assert held_out.recall < held_out.chance + 0.05


def test_more_noise_takes_a_heavier_penalty() -> None:
    rng = np.random.default_rng(3)
    x, groups = rng.standard_normal((120, 40)).astype(np.float32), np.arange(120) // 10
    exact, noise = x @ rng.standard_normal((40, 8)), 6.0 * rng.standard_normal((120, 8))
    clean, noisy = (fitted(x, y.astype(np.float32), groups) for y in (exact, exact + noise))
    assert noisy.penalty > 10 * clean.penalty


def test_more_noise_makes_a_larger_error() -> None:
    clean, noisy = (fitted(*pairs(noise=noise)) for noise in (0.05, 3.0))
    assert noisy.held_out.cosine < clean.held_out.cosine - 0.1
    assert clean.held_out.recall > clean.held_out.chance + 0.3


def test_a_window_says_nothing_about_its_own_block() -> None:
    """Blocks with a sound of their own: windows within one are nearly the same, others unrelated.

    Held out window by window, such pairs look perfectly related; held out by blocks, they are not.
    """
    rng = np.random.default_rng(4)
    block = np.arange(480) // 20
    x, y = rng.standard_normal((24, 40))[block], rng.standard_normal((24, 40))[block]
    x, y = x + 0.01 * rng.standard_normal(x.shape), y + 0.01 * rng.standard_normal(y.shape)
    by_block = fitted(unit(x), unit(y), block).held_out
    by_window = fitted(unit(x), unit(y), np.arange(480)).held_out
    assert by_window.cosine > 0.9
    assert by_block.cosine < 0.3


def test_the_same_pairs_give_the_same_map() -> None:
    one, other = fitted(*pairs(noise=0.5)), fitted(*pairs(noise=0.5))
    assert np.array_equal(one.matrix, other.matrix)
    assert np.array_equal(one.offset, other.offset)
    assert one.held_out == other.held_out


def test_more_dimensions_than_windows_still_give_a_map() -> None:
    rng = np.random.default_rng(2)
    hidden = rng.standard_normal((80, 3))
    x, y = hidden @ rng.standard_normal((3, 200)), hidden @ rng.standard_normal((3, 9))
    held_out = fitted(unit(x), unit(y), np.arange(80) // 10).held_out
    assert held_out.cosine > 0.95
    assert held_out.neighbours == 10


def test_few_windows_elsewhere_are_asked_for_fewer_neighbours() -> None:
    x, y, _ = pairs(count=70)
    groups = np.array([0] * 64 + [1] * 3 + [2] * 3)
    assert fitted(x, y, groups).held_out.neighbours == 6


def test_too_little_is_refused_with_the_remedy() -> None:
    x, y, groups = pairs()
    for few in (slice(0, 60), slice(0, 90)):  # too few windows; two blocks
        with pytest.raises(ProjectionError, match="listen to more audio with both models"):
            fitted(x[few], y[few], groups[few])


def test_rows_that_do_not_belong_together_are_refused() -> None:
    x, y, groups = pairs()
    with pytest.raises(ProjectionError, match="one row of each space a window"):
        fitted(x[:-1], y, groups)


def test_vectors_that_are_not_finite_are_refused() -> None:
    x, y, groups = pairs()
    x[3, 2] = np.nan
    with pytest.raises(ProjectionError, match="NaN"):
        fitted(x, y, groups)


@pytest.mark.parametrize("shape", [(3, 11), (12,)])
def test_vectors_of_another_space_are_not_projected(shape: tuple[int, ...]) -> None:
    held_out = HeldOut(100, 5, 0.9, 0.1, 0.5, 10, 0.1)
    matrix, offset = np.ones((12, 8), np.float32), np.zeros(8, np.float32)
    found = Projection(A, B, matrix, offset, 0.1, held_out)
    with pytest.raises(ProjectionError, match=f"the map from {A} takes"):
        found.apply(np.zeros(shape, np.float32))
