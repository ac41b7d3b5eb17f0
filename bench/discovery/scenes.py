"""A scene of the benchmark from one number: audio and truth, deterministic to the last event.

Presets are those of ``operators/scene/presets.py``; the bed is shaped noise. Truth names a sound by
role and origin; the recordings of a class have names of their own (``L.1-...``), because whether
two of them are one sound is not for a strict score to say.
"""

from dataclasses import dataclass

from bench.discovery.casting import cast, sound_of
from bench.discovery.library import Clip, real, synthesised
from bench.discovery.planning import plan
from operators.records import Floats
from operators.scene.plan import Plan, PlannedEvent, Spacing
from operators.scene.presets import PRESETS
from operators.scene.render import levels, render
from operators.scene.sounds.cast import Sound
from operators.scene.truth import PlantedEvent, PlantedRelation, Truth

DURATION_S = 900.0
VERSION = 1
"""Of the generator: what was cached of another one is not used."""


@dataclass(frozen=True, slots=True)
class BenchScene:
    """What is to be found.

    Attributes:
        samples: (n,) mono float32 at 44.1 kHz.
        truth: events of all sounds, classes and one-offs included; relations.
        similar: pairs of sounds that are of one kind (transposed, or one voice).
        classes: sound -> class, for the recordings of classes.
    """

    seed: int
    preset: str
    samples: Floats
    truth: Truth
    similar: tuple[tuple[str, str], ...]
    classes: dict[str, str]


def scene(seed: int, preset: str, duration_s: float = DURATION_S) -> BenchScene:
    """Synthesises a scene from real sounds where they are there, else from the project's own.

    Raises:
        ValueError: negative seed, or no plan can be drawn.
    """
    library: tuple[Clip, ...] = real() or synthesised()
    how = PRESETS[preset]
    sounds = cast(seed, library, how.one_offs)
    extents = {sound.role: sound.extent_s for sound in sounds}
    spacing, events = plan(seed, duration_s, how, extents)
    drawn = Plan(duration_s, spacing, events)
    samples = render(seed, drawn, sounds, levels(seed, sounds, how), how)
    name = {sound.role: sound.name for sound in sounds}
    classes = {s.name: sound_of(s.role) for s in sounds if "." in s.role}
    similar = ((name["F"], name["F2"]), (name["V"], name["V2"]))
    truth = Truth(_events(events, sounds), tuple(_relations(spacing, name)))
    return BenchScene(seed, preset, samples, truth, similar, classes)


def _events(
    events: tuple[PlannedEvent, ...], sounds: tuple[Sound, ...]
) -> tuple[PlantedEvent, ...]:
    by_role = {sound.role: sound for sound in sounds}
    planted = []
    for event in events:
        sound = by_role[event.role]
        length_s = sound.extent_s / (event.variation.speed * event.variation.tempo)
        planted.append(PlantedEvent(sound.name, event.start_s, event.start_s + length_s))
    return tuple(planted)


def _relations(spacing: Spacing, name: dict[str, str]) -> list[PlantedRelation]:
    relations = [
        PlantedRelation("sequential", name["A"], name["B"], lag_s=spacing.lag_b_s),
        PlantedRelation("overlapping", name["D"], name["E"]),
        PlantedRelation("composite", name["G"], name["H"], lag_s=spacing.offset_h_s),
        PlantedRelation("periodic", name["C"], "", period_s=spacing.period_s),
    ]
    if spacing.lag_x_s is not None:
        relations.append(PlantedRelation("sequential", name["B"], name["X"], lag_s=spacing.lag_x_s))
    return relations
