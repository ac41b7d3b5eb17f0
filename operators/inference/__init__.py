"""Feeds models: natural batches across streams, a deadline a call, a breaker each, no blocking.

``lane`` is the operator: its threads and its lock around the rules in ``dispatch``. ``ladder`` is
the order of its models and ``rung`` one of them; ``backlog`` keeps the order of things, ``batch``
is one call of a model, ``outcomes`` what becomes of its windows, ``cap`` the size of a batch after
memory ran out, ``reports`` what a person is told and ``journal`` when.
"""

from operators.inference.config import InferenceConfig
from operators.inference.interface import Embedder, Item, Output
from operators.inference.lane import Inference
from operators.inference.rung import RungState

__all__ = ["Embedder", "Inference", "InferenceConfig", "Item", "Output", "RungState"]
