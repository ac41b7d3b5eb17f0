"""The rates of the patterns of one stream: occurrences in, changed rates out, judged every minute.

Each pattern is judged alone, as in ``change``; after a change is told, what came since is what
later changes are measured by. Nothing is told of a pattern that is no more: it was taken for a part
of another one, or forgotten.

Of patterns that come at a steady rate, about one in 100,000 occurrences brings a false alarm, over
all patterns and evaluations (tests simulate it); changes of bursty ones grow ever harder to tell.

Invariant: what is told depends on what was heard and on the stream position, never on the order of
arrival, on repetitions or on the wall clock; memory is bounded.
"""

import math
from typing import Any, cast

import numpy as np

from operators.aliases import Aliases
from operators.rates.change import Change, Seconds, find_change, log_ratio
from operators.rates.config import RateConfig
from operators.rates.course import Course
from operators.rates.record import Direction, RateChange, Reached
from operators.records import Occurrence, Pattern, StreamEnd, to_s
from operators.revision import Revision

VERSION = 1
_LATE_S = 5.0
"""How much later than a position it is certain that all that was decided there has been told."""


class RateTracker:
    """Tells when a pattern of one stream comes clearly more often or more rarely than before.

    Args:
        stream: id of the stream.
        config: bars, floors and bounds.
    """

    def __init__(self, stream: str, config: RateConfig | None = None) -> None:
        self.config = config if config is not None else RateConfig()
        self._stream = stream
        self._courses: dict[str, Course] = {}
        self._alias = Aliases()
        self._next_s = self.config.evaluate_every_s
        self._same_us = round(self.config.same_onset_s * 1e6)

    def observe(self, item: Occurrence | Revision | Pattern | Reached) -> list[RateChange]:
        """Take what discovery said, or how far it has come.

        Something decided after the next evaluation is due counts after it, so that an evaluation
        depends on the stream position alone.

        Returns:
            The changes that the evaluations that were due have found.
        """
        if isinstance(item, Pattern):
            self._learn(item)
            return []
        if isinstance(item, Reached):
            return self._evaluate_until(item.at_s - _LATE_S)
        changes = self._evaluate_until(item.emitted_s)
        if isinstance(item, Occurrence):
            course = self._course(self._alias.of(item.pattern))
            course.add(round(item.start_s * 1e6), 2 * self.config.max_onsets)
        elif item.pattern_from:
            name = self._alias.of(item.pattern_from)
            if name in self._courses:
                self._courses[name].remove(round(item.start_s * 1e6), self._same_us)
        return changes

    def finish(self, end: StreamEnd) -> list[RateChange]:
        """Nothing follows: the evaluations up to the end."""
        return self._evaluate_until(to_s(end.index))

    def _course(self, name: str) -> Course:
        if name not in self._courses and len(self._courses) >= self.config.max_patterns:
            del self._courses[min(self._courses, key=lambda n: (self._courses[n].last_us, n))]
        return self._courses.setdefault(name, Course())

    def _learn(self, pattern: Pattern) -> None:
        """A pattern was merged into another one, or is no more."""
        name, into = pattern.pattern, self._alias.of(pattern.into)
        if pattern.status == "retired":
            self._courses.pop(name, None)
        elif pattern.status == "merged" and into and into != name:
            self._alias.merge(name, into)
            gone = self._courses.pop(name, None)
            if gone is not None:
                self._course(into).fold(gone, 2 * self.config.max_onsets)

    def _evaluate_until(self, position_s: float) -> list[RateChange]:
        changes: list[RateChange] = []
        while position_s >= self._next_s:
            changes += self._evaluate(self._next_s)
            self._next_s += self.config.evaluate_every_s
        return changes

    def _evaluate(self, now_s: float) -> list[RateChange]:
        """What changed, by what began until shortly before ``now_s``."""
        config = self.config
        changes = []
        for name in sorted(self._courses):
            course = self._courses[name]
            course.settle(self._same_us)
            onsets_s = course.known_s(round((now_s - config.settle_s) * 1e6))
            since_us = round((now_s - config.weary_s) * 1e6)
            course.told_us = [at_us for at_us in course.told_us if at_us > since_us]
            if course.silent:
                change = self._again(name, course, onsets_s, now_s)
            else:
                change = self._changed(name, course, onsets_s, now_s)
            if change is not None:
                changes.append(change)
            course.trim(config.max_onsets)
        return changes

    def _changed(
        self, name: str, course: Course, onsets_s: Seconds, now_s: float
    ) -> RateChange | None:
        bar = self.config.bar * (1.0 + self.config.weary * len(course.told_us))
        now_known_s = now_s - self.config.settle_s
        found = find_change(onsets_s, now_known_s, bar, self.config, course.dispersion)
        if found is None:
            return None
        old, new = found.before / found.before_s, found.after / found.after_s
        direction = "silent" if not found.after else "more" if new > old else "fewer"
        course.silent = direction == "silent"
        course.dispersion = found.dispersion
        course.begin_at(found.last, round(now_s * 1e6))
        at_s = float(onsets_s[found.last])
        return self._told(name, at_s, cast("Direction", direction), found, now_s)

    def _again(
        self, name: str, course: Course, onsets_s: Seconds, now_s: float
    ) -> RateChange | None:
        """After a silence: what came since is more than a stray, and that is where it begins."""
        now_known_s = now_s - self.config.settle_s
        count = len(onsets_s) - 1
        if count < 2:
            return None
        first_s = float(onsets_s[1])
        before_s, after_s = first_s - float(onsets_s[0]), max(now_known_s - first_s, 1e-6)
        sides = (np.array([float(side)]) for side in (0, before_s, count, after_s))
        evidence = float(log_ratio(*sides)[0])
        if evidence < -math.log(self.config.again_p):
            return None
        course.silent = False
        course.begin_at(1, round(now_s * 1e6))
        found = Change(1, 0, count, before_s, after_s, evidence)
        return self._told(name, first_s, "again", found, now_s)

    def _told(
        self, name: str, at_s: float, direction: Direction, found: Change, now_s: float
    ) -> RateChange:
        return RateChange(
            stream=self._stream,
            pattern=name,
            at_s=at_s,
            direction=direction,
            rate_before_per_h=3600.0 * found.before / found.before_s,
            rate_per_h=3600.0 * found.after / found.after_s,
            p=math.exp(-found.evidence),
            count_before=found.before,
            count=found.after,
            emitted_s=now_s,
        )

    def snapshot(self) -> dict[str, Any]:
        """Everything that survives a restart, as plain data."""
        return {
            "version": VERSION,
            "stream": self._stream,
            "courses": {name: course.snapshot() for name, course in self._courses.items()},
            "alias": self._alias.snapshot(),
            "next_s": self._next_s,
        }

    @classmethod
    def restore(cls, state: dict[str, Any], config: RateConfig | None = None) -> "RateTracker":
        """The tracker that ``snapshot`` described; goes on exactly where it stopped.

        Raises:
            ValueError: the state is of another version.
        """
        if state["version"] != VERSION:
            msg = f"rates: state of version {state['version']}, this build reads {VERSION}"
            raise ValueError(f"{msg}; start without the recovery state")
        tracker = cls(state["stream"], config)
        tracker._courses = {name: Course.restore(held) for name, held in state["courses"].items()}
        tracker._alias = Aliases.restore(state["alias"])
        tracker._next_s = state["next_s"]
        return tracker
