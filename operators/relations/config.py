"""What the relation tracker may be told: windows, floors and bounds, with their units.

Invariant: a config is complete by its defaults; nothing here is tuned to one recording.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RelationConfig:
    """Settings of :class:`operators.relations.RelationTracker`.

    Attributes:
        evaluate_every_s: stream time between two evaluations.
        max_lag_s: onsets further apart than this are unrelated.
        bin_s: width of a bin of the lag histogram.
        widths_s: widths of the windows slid over the histogram.
        flank_s: how far around a window its own background is counted, to each side.
        fdr: false discovery rate of what is reported (Benjamini-Hochberg over pairs); .01 costs
            a tenth of what a few occurrences can tell, .05 doubles what shared bursts feign.
        min_support: least number of co-occurrences that is evidence.
        min_beats: least number of occurrences followed by another one a period later.
        min_share: least share of the rarer pattern that must take part ...
        min_share_often: ... and of the more frequent one.
        confirmed_enough: occurrences from which a confirmed pattern takes part.
        enough: occurrences from which an unconfirmed one does.
        veto_lag_s: closer than this, two occurrences are one event seen twice.
        rigid_sd_s: lags that spread less than this are pieces of one sound ...
        rigid_gap_s: ... if no more silence than this lies between them ...
        rigid_share: ... and this share of both comes together.
        same_onset_s: two occurrences of one pattern closer than this are one.
        max_pairs: pairs remembered; the weakest is forgotten first.
        max_bins: filled histogram bins remembered over all pairs.
        max_events: occurrences remembered for pairing late ones.
        max_onsets: occurrences remembered for each pattern.
        max_patterns: patterns remembered; the one not heard for longest is forgotten first.
        max_intervals: latest intervals the period is looked for in.
    """

    evaluate_every_s: float = 60.0
    max_lag_s: float = 8.0
    bin_s: float = 0.1
    widths_s: tuple[float, ...] = (0.2, 0.4, 0.8)
    flank_s: float = 3.0
    fdr: float = 0.02
    min_support: int = 3
    min_beats: int = 4
    min_share: float = 0.25
    min_share_often: float = 0.1
    confirmed_enough: int = 4
    enough: int = 5
    veto_lag_s: float = 0.1
    rigid_sd_s: float = 0.025
    rigid_gap_s: float = 0.75
    rigid_share: float = 0.7
    same_onset_s: float = 0.05
    max_pairs: int = 20_000
    max_bins: int = 160_000
    max_events: int = 4_096
    max_onsets: int = 512
    max_patterns: int = 1_024
    max_intervals: int = 128
