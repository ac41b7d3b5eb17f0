import pytest

from operators.models.gama.shape import Shape
from operators.models.protocol import ModelConfigError


def test_a_folder_that_says_nothing_is_the_published_model() -> None:
    shape = Shape.of({})
    assert (shape.rows, shape.columns, shape.queries) == (8, 64, 32)
    assert (shape.own_blocks, shape.shared_blocks, shape.taps) == (11, 1, (4, 8))
    assert not shape.multi_layer


def test_a_folder_may_name_other_sizes() -> None:
    shape = Shape.of({"width": 32, "heads": 4, "frames": 256, "multi_layer": True})
    assert (shape.width, shape.columns, shape.multi_layer) == (32, 16, True)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"depth": 12}, r"gama\.depth in config\.json: unknown, choose from width, heads"),
        ({"width": 0}, r"gama\.width = 0 in config\.json"),
        ({"width": "768"}, r"gama\.width = '768' in config\.json"),
        ({"queries": True}, r"gama\.queries = True"),
        ({"multi_layer": 1}, r"gama\.multi_layer = 1"),
        ({"width": 770}, r"gama\.width = 770 .* not a multiple of gama\.heads = 12"),
        ({"frames": 1000}, r"gama\.frames = 1000 .* not a multiple of gama\.patch = 16"),
        ({"own_blocks": 2, "shared_blocks": 4}, r"gama\.own_blocks = 2 .* give more than 4"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_by_name(
    section: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelConfigError, match=message) as raised:
        Shape.of(section)
    assert "\n" not in str(raised.value)
