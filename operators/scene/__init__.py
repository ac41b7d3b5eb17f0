"""Synthetic scenes with a known truth, and the score of what was found in them.

Pure numpy, deterministic from a seed: a person without any recordings can see in minutes what is
recognised on their machine and what is not. It does not know how recognition works. What was found
is held against the truth in ``operators.scene.score``.
"""

from operators.scene.compose import DURATION_S, Scene, scene
from operators.scene.presets import EASY, HARD, MEDIUM, PRESETS, Preset
from operators.scene.truth import PlantedEvent, PlantedRelation, Truth

__all__ = [
    "DURATION_S",
    "EASY",
    "HARD",
    "MEDIUM",
    "PRESETS",
    "PlantedEvent",
    "PlantedRelation",
    "Preset",
    "Scene",
    "Truth",
    "scene",
]
