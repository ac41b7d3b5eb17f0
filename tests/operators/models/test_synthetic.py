import itertools

import numpy as np
import pytest

from operators.models import synthetic


def test_the_set_is_the_same_every_time_and_a_shorter_one_is_its_beginning() -> None:
    some = list(synthetic.synthetic_windows(7))
    again = list(itertools.islice(synthetic.synthetic_windows(), 7))
    assert all(np.array_equal(a, b) for a, b in zip(some, again, strict=True))


def test_a_changed_recipe_needs_a_new_version() -> None:
    assert synthetic.VERSION == 1
    levels = [float(np.sqrt(np.mean(w**2))) for w in synthetic.synthetic_windows(6)]
    assert levels == pytest.approx(RMS_OF_VERSION_1, rel=1e-4)


def test_sounds_are_finite_audible_and_differ() -> None:
    windows = np.stack(list(synthetic.synthetic_windows(48)))
    assert windows.shape == (48, 44_100)
    assert windows.dtype == np.float32
    assert np.isfinite(windows).all()
    assert np.sqrt(np.mean(windows**2, axis=1)).min() > 1e-3
    normed = windows / np.linalg.norm(windows, axis=1, keepdims=True)
    assert (normed @ normed.T - np.eye(48)).max() < 0.5


def test_another_seed_draws_other_sounds() -> None:
    one, other = next(synthetic.synthetic_windows(1)), next(synthetic.synthetic_windows(1, seed=2))
    assert not np.array_equal(one, other)


RMS_OF_VERSION_1 = [0.1444472, 0.0740886, 0.1245127, 0.0470323, 0.2623316, 0.0855524]
