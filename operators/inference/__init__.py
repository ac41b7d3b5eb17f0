"""Feeds one model: natural batches across streams, a deadline a call, a breaker, no blocking.

``lane`` is the operator: its thread and its lock around the rules in ``dispatch``. ``backlog``
keeps the order of things, ``batch`` is one call of the model, ``outcomes`` what becomes of its
windows, ``cap`` the size of a batch after memory ran out, ``reports`` what a person is told.
"""

from operators.inference.config import InferenceConfig
from operators.inference.interface import Embedder, Item, Output
from operators.inference.lane import Inference

__all__ = ["Embedder", "Inference", "InferenceConfig", "Item", "Output"]
