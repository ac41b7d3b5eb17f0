"""What the last look back saw, kept."""

import numpy as np

from operators.patterns.hindsight.keep import Kept
from operators.patterns.template import Template
from operators.records import BANDS


def test_a_restored_one_sees_the_same_changes() -> None:
    """Another onset in the same levels is a change, whether or not they are the same array."""
    level = np.random.default_rng(1).uniform(-30, 0, (20, BANDS)).astype(np.float32)
    template = Template(0, "p", level, np.full(BANDS, -50, np.float32), lead=2, origin_ns=0)
    kept = Kept()
    assert kept.changed([template]) == {0}
    assert kept.changed([template]) == frozenset()
    template.reshape(template.level, template.floor, 3)
    restored = Kept.restore(kept.snapshot())
    again = Template.restore(template.snapshot())
    assert kept.changed([template]) == restored.changed([again]) == {0}
