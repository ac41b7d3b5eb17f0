"""The slow lane: an audio-language model hears an example of each sound that recurs, and says so.

``lane`` is the operator. ``ring`` keeps the last seconds of each stream, ``agenda`` knows which
patterns are due, ``cutting`` brings both together; ``exemplar`` is one example and what is done
with it, ``slot`` the thread on which that happens; ``reports`` is what a person is told, at most
once an hour for each kind of loss.
"""

from operators.describing.config import DescribeConfig
from operators.describing.cutting import Item
from operators.describing.exemplar import Describer
from operators.describing.lane import Describing, Output

__all__ = ["DescribeConfig", "Describer", "Describing", "Item", "Output"]
