"""The same sound at another pitch is a variant, by templates alone; other sounds are not."""

import itertools
import json
from functools import cache

import numpy as np
import pytest

from operators.kinship import Kinship, KinshipConfig
from operators.kinship.transposed import Look, compare, glance
from operators.kinship.variants import Variants
from operators.patterns import Detector
from operators.patterns.codec import encode
from operators.patterns.levels import EMPTY
from operators.records import (
    ANALYSIS_RATE_HZ,
    BANDS,
    Frame,
    Occurrence,
    Pattern,
    Region,
    Relation,
    StreamEnd,
)
from operators.scene.sounds.cast import SHORT_KINDS
from operators.scene.vary import resample, stretch
from operators.segment import Segmenter

KINDS = ("bell", "ratchet", "squeak", "sweep", "scrape", "drip")
END = StreamEnd("s", 300 * ANALYSIS_RATE_HZ, 0)


def transposed(signal: np.ndarray, semitones: float) -> np.ndarray:
    """As long as before, at another pitch."""
    speed = 2 ** (semitones / 12)
    return stretch(resample(signal, speed), 1 / speed)


@cache
def templates(seed: int) -> tuple[tuple[str, bytes], ...]:
    """What discovery makes of six sounds and their transposed twins: (name, template)."""
    rng = np.random.default_rng(seed)
    sounds: dict[str, np.ndarray] = {}
    for kind in KINDS:
        low, high = SHORT_KINDS[kind].pitch_hz
        pitch_hz = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        signal = SHORT_KINDS[kind].make(rng, 0.8, pitch_hz)
        sounds[kind] = signal / np.abs(signal).max()
        sounds[f"{kind}~"] = transposed(sounds[kind], float(rng.choice([-5, -4, -3, 3, 4, 5])))
    gap = np.zeros(ANALYSIS_RATE_HZ)
    parts, placed, at_s = [gap, gap, gap], [], 3.0
    for name in (str(name) for _ in range(3) for name in rng.permutation(list(sounds))):
        placed.append((at_s, name))
        parts += [sounds[name] * 0.3, gap]
        at_s += len(sounds[name]) / ANALYSIS_RATE_HZ + 1.0
    samples = np.concatenate(parts)
    samples += rng.normal(0, 0.002, len(samples))
    segmenter, detector = Segmenter("s"), Detector("s")
    heard: list[Occurrence] = []
    for item in segmenter.hear(Frame("s", 0, samples.astype(np.float32), 0, last=True)):
        found = detector.hear(item) if isinstance(item, Region) else []
        heard += [each for each in found if isinstance(each, Occurrence)]
    named = []
    for template in detector.templates:
        onsets = [each.start_s for each in heard if each.pattern == template.pattern]
        names = [min(placed, key=lambda place: abs(place[0] - onset))[1] for onset in onsets]
        if names:
            data = encode(template.level, template.floor, template.lead)
            named.append((max(set(names), key=names.count), data))
    return tuple(named)


def news(pattern: str, template: bytes, count: int = 3) -> Pattern:
    return Pattern("s", pattern, "", count, 1.0, 9.0, 0, 1, 0.5, "born", template=template)


def patterns(seed: int) -> list[Pattern]:
    return [news(f"{n:02d}{name}", data) for n, (name, data) in enumerate(templates(seed))]


def rows(said: list[Relation]) -> dict[str, Relation]:
    held: dict[str, Relation] = {}
    for each in said:
        if each.withdrawn:
            held.pop(each.key)
        else:
            held[each.key] = each
    return held


def told(items: list[Pattern], variants: Variants | None = None) -> list[Relation]:
    variants = variants or Variants("s", KinshipConfig())
    said = []
    for item in items:
        variants.learn(item)
        said += variants.tell(final=False)
    return said + variants.tell(final=True)


def twin(name: str) -> str:
    return name[2:].rstrip("~")


@pytest.mark.parametrize("seed", [1, 2])
def test_transposed_twins_are_told_and_nothing_else(seed: int) -> None:
    items = patterns(seed)
    heard = {item.pattern[2:] for item in items}
    both = {kind for kind in KINDS if {kind, f"{kind}~"} <= heard}
    assert len(both) >= 5
    held = rows(told(items)).values()
    assert {each.kind for each in held} == {"variant"}
    assert all(each.source < each.target for each in held)
    assert [each.key for each in held if twin(each.source) != twin(each.target)] == []
    assert len({twin(each.source) for each in held} & both) >= len(both) - 1


def test_kinship_tells_variants_without_any_vector() -> None:
    kinship = Kinship("s", lanes=1)
    items = patterns(1)
    said = [relation for item in [*items, END] for relation in kinship.hear(item)]
    alone = rows(told(items))
    assert alone
    assert rows(said) == alone  # type: ignore[arg-type]


def test_the_order_of_news_does_not_matter_in_the_end() -> None:
    items = patterns(2)
    assert rows(told(items)) == rows(told(items[::-1]))


def test_variants_go_on_where_a_snapshot_was_taken() -> None:
    items = patterns(1)
    whole = told(items)
    for at in (5, len(items) - 1):
        variants = Variants("s", KinshipConfig())
        said = []
        for item in items[:at]:
            variants.learn(item)
            said += variants.tell(final=False)
        resumed = Variants("s", KinshipConfig())
        resumed.resume(variants.snapshot())
        assert json.dumps(resumed.snapshot(), default=bytes.hex) == json.dumps(
            variants.snapshot(), default=bytes.hex
        )
        assert said + told(items[at:], resumed) == whole


def test_a_variant_of_a_pattern_that_is_no_more_is_withdrawn() -> None:
    variants = Variants("s", KinshipConfig())
    items = patterns(1)
    first = next(iter(rows(told(items, variants)).values()))
    gone = next(item for item in items if item.pattern == first.source)
    variants.learn(Pattern("s", gone.pattern, "", 3, 1.0, 9.0, 0, 1, 0.5, "retired"))
    said = variants.tell(final=False)
    assert [each.key for each in said if each.withdrawn and each.source == first.source]


def test_few_pairs_are_compared_at_a_time_and_the_rest_later() -> None:
    variants = Variants("s", KinshipConfig(max_compared=1))
    items = patterns(1)
    for item in items:
        variants.learn(item)
    said = variants.tell(final=False)
    assert len(said) <= 1
    for _ in range(200):
        said += variants.tell(final=False)
    assert set(rows(said)) == set(rows(told(items)))
    assert variants.tell(final=False) == []


def look(level: np.ndarray) -> Look:
    return Look.of(level.astype(np.float32), np.full(BANDS, -50.0, np.float32), 2)


def sparse(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = np.full((30, BANDS), EMPTY)
    for _ in range(12):
        row, band = rng.integers(0, 24), rng.integers(10, 38)
        level[row : row + 6, band] = rng.uniform(-20, 0)
    return level - level.max()


def test_a_slide_is_found_and_says_which_way() -> None:
    a, b = look(sparse(1)), look(np.roll(sparse(1), 3, axis=1))
    assert glance(a, b)[1] == 3
    fit = compare(a, b)
    assert (fit.bands, fit.score) == (3, pytest.approx(1.0))
    assert fit.plain < 0.5
    assert compare(b, a).bands == -3
    assert compare(a, a).bands == 0
    assert compare(a, look(sparse(2))).score < 0.5


def test_another_pace_is_found() -> None:
    a = look(sparse(3))
    fit = compare(a, a.paced(39))
    assert fit.pace == pytest.approx(1.3)
    assert fit.score > fit.plain + 0.12


def test_noise_and_one_sound_in_two_patterns_are_no_variants() -> None:
    rng = np.random.default_rng(4)
    floor = np.full(BANDS, -50.0, np.float32)
    noise = [encode(rng.normal(-15, 3, (30, BANDS)).astype(np.float32), floor, 2) for _ in "abcdef"]
    assert told([news(f"p{n}", data) for n, data in enumerate(noise)]) == []
    levels = [sparse(n) for n in (1, 1, 5, 6, 7, 8)]
    levels[1] = np.where(levels[1] > EMPTY, levels[1] + rng.normal(0, 1, levels[1].shape), EMPTY)
    split = [encode(level.astype(np.float32), floor, 2) for level in levels]
    assert told([news(f"p{n}", data) for n, data in enumerate(split)]) == []
    assert told([news("p1", b"no template")]) == []


def test_what_is_remembered_is_bounded() -> None:
    variants = Variants("s", KinshipConfig(max_templates=4))
    for item in patterns(1):
        variants.learn(item)
    assert len(variants.snapshot()["known"]) == 4
    assert all(a < b for a, b in itertools.islice(variants._glances, 100))
