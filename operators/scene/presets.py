"""How far a recurring sound differs from itself, and what it is buried in.

The three presets are those of the discovery benchmark; the demo plays ``EASY``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """Difficulty of a scene.

    Attributes:
        name: for tables.
        snr_db: range of a sound's level: its loudest 250 ms against the bed, both pre-emphasised.
        gain_db: range of the change of level from occurrence to occurrence.
        speed_sd: standard deviation of the playing speed (pitch and length), relative to 1.
        tempo_share: share of the occurrences whose length changes without the pitch.
        tempo_range: by how much at most, relative to 1.
        tilt_db: largest change of colour, in dB at the ends of the spectrum, opposite in sign.
        reverb_s: time of the room to lose 60 dB; 0 for no room.
        reverb_db: level of the room's tail relative to the direct sound.
        one_offs: sounds heard once.
        ambiences: shaped noises mixed into the pink bed.
    """

    name: str
    snr_db: tuple[float, float]
    gain_db: tuple[float, float]
    speed_sd: float
    tempo_share: float
    tempo_range: float
    tilt_db: float
    reverb_s: float
    reverb_db: float
    one_offs: int
    ambiences: int


EASY = Preset("easy", (18, 30), (-4, 0), 0.01, 0.0, 0.0, 1.0, 0.0, 0.0, 10, 0)
MEDIUM = Preset("medium", (10, 22), (-8, 0), 0.02, 0.4, 0.06, 3.0, 0.4, -16.0, 20, 2)
HARD = Preset("hard", (3, 15), (-10, 0), 0.03, 0.6, 0.06, 5.0, 0.8, -10.0, 30, 2)
PRESETS = {preset.name: preset for preset in (EASY, MEDIUM, HARD)}
