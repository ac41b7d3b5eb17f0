import pytest
import torch

from operators.models.features import unit
from operators.models.normalisation import Normalisation


def drawn(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    spread = torch.logspace(-2, 1, 20)
    return 5.0 + spread * torch.randn(rows, 20, generator=generator)


def test_standardised_features_spread_alike_in_every_dimension() -> None:
    features = drawn(4_000, seed=1)
    fitted = Normalisation.fit(features)
    standard = (unit(features) - fitted.mean) / fitted.scale
    lively = fitted.scale > fitted.scale.min()
    assert standard.mean(dim=0).abs().max() < 1e-3
    assert standard.std(dim=0)[lively] == pytest.approx(torch.ones(int(lively.sum())), abs=0.01)


def test_a_dimension_that_never_moved_does_not_drown_the_others() -> None:
    features = drawn(500, seed=2)
    features[:, 0] = 0.0
    fitted = Normalisation.fit(features)
    assert fitted.scale[0] == pytest.approx(float(fitted.scale.median()) / 4, rel=0.1)
    surprise = drawn(1, seed=3)
    surprise[0, 0] = 0.01
    assert torch.isfinite(fitted(surprise)).all()


def test_rows_come_out_with_unit_length_whatever_their_scale() -> None:
    fitted = Normalisation.fit(drawn(500, seed=2))
    rows = torch.cat([drawn(8, seed=4), 1e3 * drawn(8, seed=4), torch.zeros(1, 20)])
    found = fitted(rows)
    assert torch.allclose(found.norm(dim=1), torch.ones(17), atol=1e-5)
    assert torch.allclose(found[:8], found[8:16], atol=1e-4)
