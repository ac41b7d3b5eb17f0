"""What kinship may be told: how near, how long to wait, how sure to be.

Invariant: a config is complete by its defaults.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KinshipConfig:
    """Settings of :class:`operators.kinship.Kinship`.

    Attributes:
        tolerance_s: an onset window belongs to an occurrence that begins within this of it.
        wait_s: an embedding waits until discovery has decided this much further in the stream;
            Long, because the first occurrence of a pattern is told only when the second one has
            been heard.
        revise_s: one that an occurrence began with stays this long, because hindsight may give it
            to another pattern. What is told or taken back later than this after its onset finds
            no window: then centroids keep what they have. Half an hour, and the time it takes.
        max_waiting: embeddings of each space that wait or stay at most; the earliest one goes.
        max_held: items of all lanes that wait for the slowest lane at most; beyond it the oldest
            interval is processed without that lane. What one look back corrects comes at once.
        max_patterns: patterns with centroids in one space; the one not heard for longest goes.
        max_indices: latest joined windows remembered for each centroid, so that none counts twice.
        evaluate_every_s: stream time that is processed, compared and told together.
        min_vectors: vectors a centroid needs to be compared.
        min_patterns: centroids a background distribution needs.
        min_z: how far a pair stands out of all pairs at least, in robust deviations.
        min_cosine: and how alike it is at least.
        max_templates: templates that are compared; the one not heard for longest goes.
        max_density: share of filled cells beyond which a template is noise, which fits anything.
        min_glance_z: how far two templates stand out of all pairs at a glance, in robust
            deviations, before their cells are compared ...
        max_partners: ... each with so many others at most (both must have had theirs) ...
        max_compared: ... and so many pairs an interval.
        min_fit: how well the cells of a variant agree at least, both ways ...
        min_gain: ... and by how much better than without a slide.
    """

    tolerance_s: float = 0.15
    wait_s: float = 600.0
    revise_s: float = 2_100.0
    max_waiting: int = 1_024
    max_held: int = 8_192
    max_patterns: int = 1_024
    max_indices: int = 512
    evaluate_every_s: float = 30.0
    min_vectors: int = 2
    min_patterns: int = 4
    min_z: float = 3.0
    min_cosine: float = 0.5
    max_templates: int = 256
    max_density: float = 0.7
    min_glance_z: float = 1.25
    max_partners: int = 8
    max_compared: int = 64
    min_fit: float = 0.58
    min_gain: float = 0.12
