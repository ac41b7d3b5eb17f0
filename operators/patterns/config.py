"""Settings of the detector: bounds, thresholds and the coefficients of the acceptance.

Invariant: plain numbers only, so that a configuration can be compared, printed and pickled.
Levels are in dB, lengths in spectral frames (23.2 ms) unless the name says otherwise.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the state of one stream may hold; what does not fit is forgotten by salience.

    Attributes:
        looks: archived frames times templates that a look back goes through at most (and the
            short pauses between), so that it costs no more however many sounds are known.
    """

    templates: int = 256
    template_frames: int = 150
    template_frames_total: int = 10_000
    reservoir: int = 160
    reservoir_frames_total: int = 8_000
    archive_frames: int = 40_000
    looks: int = 500_000
    exemplars: int = 6
    exemplar_frames_total: int = 10_000
    ring_frames: int = 420
    pairs: int = 4_096
    onsets_per_call: int = 64
    candidates_per_call: int = 192


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Coefficients of the logistic acceptance of one match.

    Fitted on which of the matches on development scenes of ``bench/discovery`` were right, so that
    an acceptance of .8 is right in four of five cases. Only ``tail`` was set by hand: that a sound
    begins like another, longer one is rare there, and costs the listener more than a miss.

    Attributes:
        raw: of the mean agreement of the cells that count.
        explained: of the share of the sound that is accounted for.
        cells: of the logarithm of the number of cells that count.
        density: of the share of the template's cells that are not empty.
        audible: of the share of the template's weight that can be heard.
        onset: where something was noticed to set in.
        energy: of the logarithm of the dB-cells accounted for.
        tail: of how much the sound goes on where the template expects an end.
        offset: constant.
        threshold: least acceptance.
        second_pass_raw: least agreement of what is found under another sound.
    """

    raw: float = 11.0
    explained: float = 1.65
    cells: float = 0.96
    density: float = -1.0
    audible: float = 1.6
    onset: float = 1.2
    energy: float = 0.58
    tail: float = -1.0
    offset: float = -21.35
    threshold: float = 0.5
    second_pass_raw: float = 0.74


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Everything the detector can be told.

    Attributes:
        lead: frames a template starts before the onset it is anchored on.
        audible_db: a cell counts where the expected level is this far above the floor.
        propose_onset, propose_free: masked cosine needed at an onset, and away from one.
        coarse: similarity below which a candidate is not looked at cell by cell.
        birth: mean cell similarity at which two unexplained events found a pattern.
        hindsight_s: how often (stream time) the last minutes are looked at again; 0 = never.
        horizon_s: how far back that look reaches.
        confirm_count, confirm_score: occurrences and mean acceptance of a confirmed pattern.
        confirm_rare, rare: by how much it has to be higher with fewer occurrences than this.
    """

    bounds: Bounds = field(default_factory=Bounds)
    acceptance: Acceptance = field(default_factory=Acceptance)
    lead: int = 2
    audible_db: float = 3.0
    propose_onset: float = 0.6
    propose_free: float = 0.7
    per_onset: int = 12
    free_peaks: int = 48
    coarse: float = 0.54
    contribution: float = 0.35
    unexplained: float = 0.5
    birth: float = 0.74
    birth_cells: int = 24
    birth_frames: int = 8
    merge_at_birth: float = 0.72
    confirm_count: int = 3
    confirm_score: float = 0.68
    confirm_rare: float = 0.12
    rare: int = 6
    hindsight_s: float = 120.0
    horizon_s: float = 1_800.0

    def confirms(self, count: int, mean_score: float) -> bool:
        """Whether a pattern was heard often, and surely, enough to be relied upon."""
        needed = self.confirm_score + (self.confirm_rare if count < self.rare else 0.0)
        return count >= self.confirm_count and mean_score >= needed
