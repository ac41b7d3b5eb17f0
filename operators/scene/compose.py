"""A whole scene from one number: cast, plan, audio, truth.

Invariant: the same seed, duration and preset give the same scene, bit for bit on one machine (on
another processor the last bit of a sine may differ); another seed gives other sounds, other
numbers in the relations and another order of events.
"""

from dataclasses import dataclass

from operators.records import Floats
from operators.scene.plan import Plan, PlannedEvent, plan
from operators.scene.presets import EASY, Preset
from operators.scene.render import levels, render
from operators.scene.sounds.cast import Sound, cast
from operators.scene.truth import PlantedEvent, PlantedRelation, Truth

DURATION_S = 300.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Audio with everything that is known about it.

    Attributes:
        seed: it was made from.
        preset: how hard it is.
        samples: (n,) mono float32 at ``ANALYSIS_RATE_HZ``, read-only.
        truth: what was planted.
        sounds: the single sounds, before any variation.
        plan: the occurrences with their variation.
        snr_db: level of every role at a gain of 0 dB.
    """

    seed: int
    preset: Preset
    samples: Floats
    truth: Truth
    sounds: tuple[Sound, ...]
    plan: Plan
    snr_db: dict[str, float]


def scene(seed: int, duration_s: float = DURATION_S, preset: Preset = EASY) -> Scene:
    """Synthesises a scene in which ten sounds recur and some of them are related.

    Args:
        seed: any non-negative integer; odd ones have the chain A -> B -> X.
        duration_s: at least two minutes.
        preset: how much occurrences differ and what they are buried in.

    Raises:
        ValueError: negative seed or too short a duration.
    """
    if seed < 0:
        message = f"seed {seed} is negative: take 0 or more"
        raise ValueError(message)
    sounds = cast(seed, preset.one_offs)
    drawn = plan(seed, duration_s, preset, {sound.role: sound.extent_s for sound in sounds})
    snr_db = levels(seed, sounds, preset)
    samples = render(seed, drawn, sounds, snr_db, preset)
    return Scene(seed, preset, samples, truth_of(drawn, sounds), sounds, drawn, snr_db)


def truth_of(drawn: Plan, sounds: tuple[Sound, ...]) -> Truth:
    """The truth of a plan: events by their audible extent, relations by the sounds' names."""
    by_role = {sound.role: sound for sound in sounds}
    name = {sound.role: sound.name for sound in sounds}
    spacing = drawn.spacing
    relations = [
        PlantedRelation("sequential", name["A"], name["B"], lag_s=round(spacing.lag_b_s, 6)),
        PlantedRelation("overlapping", name["D"], name["E"]),
        PlantedRelation("composite", name["G"], name["H"], lag_s=round(spacing.offset_h_s, 6)),
        PlantedRelation("periodic", name["C"], "", period_s=round(spacing.period_s, 6)),
    ]
    if spacing.lag_x_s is not None:
        lag_s = round(spacing.lag_x_s, 6)
        relations.insert(1, PlantedRelation("sequential", name["B"], name["X"], lag_s=lag_s))
    events = tuple(_event(event, by_role[event.role]) for event in drawn.events)
    return Truth(events, tuple(relations))


def _event(event: PlannedEvent, sound: Sound) -> PlantedEvent:
    length_s = sound.extent_s / (event.variation.speed * event.variation.tempo)
    return PlantedEvent(sound.name, round(event.start_s, 6), round(event.start_s + length_s, 6))
