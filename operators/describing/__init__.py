"""The slow lane: an audio-language model hears an example of each sound that recurs, and says so.

``lane`` is the operator: ``keeping`` judges and keeps examples, ``asking`` has them described.
``ring`` keeps the last seconds of each stream, ``agenda`` knows which patterns are due, ``cutting``
brings both together, ``displaced`` is what gave way; ``exemplar`` is one example and what is done
with it, ``desk`` where it waits for that, ``slot`` the thread on which it happens; ``reports`` is
what a person is told, at most once an hour for each kind of loss.
"""

from operators.describing.asking import Output
from operators.describing.config import DescribeConfig
from operators.describing.cutting import Item
from operators.describing.exemplar import Describer
from operators.describing.lane import Describing

__all__ = ["DescribeConfig", "Describer", "Describing", "Item", "Output"]
