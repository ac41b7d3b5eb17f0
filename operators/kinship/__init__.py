"""Vectors of patterns: centroids in each model's space, and which patterns sound alike."""

from operators.kinship.config import KinshipConfig
from operators.kinship.kinship import Kinship

__all__ = ["Kinship", "KinshipConfig"]
