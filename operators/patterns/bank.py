"""All templates of one stream with the matrices that propose them.

Invariant: at most ``templates`` of them and ``template_frames_total`` rows; the least salient is
forgotten first.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from operators.patterns.config import Bounds
from operators.patterns.template import Template
from operators.records import FRAME_S, Floats

HALF_LIFE_S = 6 * 3600.0
NAMED = 4_096


def salience(template: Template, frame: int) -> float:
    """Seconds explained, halved every six hours since the latest occurrence."""
    age_s = max(0, frame - template.touched) * FRAME_S
    return template.salience * float(0.5 ** (age_s / HALF_LIFE_S))


@dataclass(slots=True)
class Bank:
    """Templates in order of birth; ``matrices`` are derived and kept until something changes.

    ``named`` = the onsets from which the latest ids were derived.
    """

    bounds: Bounds
    templates: list[Template] = field(default_factory=list)
    born: int = 0
    named: list[int] = field(default_factory=list)
    _matrices: tuple[Floats, Floats, NDArray[np.intp]] | None = None

    def __len__(self) -> int:
        return len(self.templates)

    def changed(self) -> None:
        """A template was added, removed or reshaped."""
        self._matrices = None

    def matrices(self) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """Fingerprints and masks (cells, K), rows before the onset (K,)."""
        if self._matrices is None:
            shapes = [t.shape for t in self.templates]
            self._matrices = (
                np.stack([s.print_ for s in shapes], axis=1),
                np.stack([s.print_mask for s in shapes], axis=1),
                np.array([t.lead for t in self.templates], dtype=np.intp),
            )
        return self._matrices

    def add(self, template: Template, frame: int) -> list[Template]:
        """Take in a new one; returns those forgotten to make room for it."""
        self.templates.append(template)
        self.born += 1
        self.changed()
        return self.forget(frame)

    def room_for(self, frames: int) -> bool:
        """Whether one more template of so many rows fits in without one being forgotten."""
        return not self._too_much(1, frames)

    def name_onset(self, onset_ns: int) -> int:
        """An onset to derive an id from that no earlier pattern took: two may begin together.

        Args:
            onset_ns: event time of the first occurrence.

        Returns:
            The same, or the first nanosecond after it that is free.
        """
        taken = set(self.named)
        while onset_ns in taken:
            onset_ns += 1
        self.named = [*self.named, onset_ns][-NAMED:]
        return onset_ns

    def remove(self, template: Template) -> None:
        """Take one out (by identity)."""
        self.templates = [t for t in self.templates if t is not template]
        self.changed()

    def forget(self, frame: int) -> list[Template]:
        """Drop the least salient while a bound is exceeded."""
        gone = []
        while len(self.templates) > 1 and self._too_much():
            older = self.templates[:-1]
            weakest = min(older, key=lambda t: (salience(t, frame), t.number))
            self.remove(weakest)
            gone.append(weakest)
        self._trim_exemplars(frame)
        return gone

    def _too_much(self, more: int = 0, frames: int = 0) -> bool:
        """Whether a bound is exceeded, or would be by so many more of so many rows together."""
        many = len(self.templates) + more
        rows = sum(t.frames for t in self.templates) + frames
        return many > self.bounds.templates or rows > self.bounds.template_frames_total

    def _trim_exemplars(self, frame: int) -> None:
        rows = sum(len(c.codes) for t in self.templates for c in t.exemplars)
        if rows <= self.bounds.exemplar_frames_total:
            return
        for template in sorted(self.templates, key=lambda t: (salience(t, frame), t.number)):
            while template.exemplars and rows > self.bounds.exemplar_frames_total:
                rows -= len(template.exemplars.pop(0).codes)
