"""What the driver says, without the secrets in it."""

from itertools import permutations

import pytest

from connectors.kafka.driverlog import hidden


@pytest.mark.parametrize("secrets", list(permutations(("abc", "abcdef", "b"))))
def test_a_secret_that_begins_with_another_leaves_no_rest(secrets: tuple[str, ...]) -> None:
    assert hidden("abcdef, abc and b", secrets) == "***, *** and ***"
