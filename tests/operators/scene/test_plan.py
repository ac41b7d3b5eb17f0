from collections import Counter, defaultdict

import numpy as np
import pytest

from operators.scene.chance import looks_related
from operators.scene.plan import APART_S, SHORTEST_S, plan
from operators.scene.presets import EASY, HARD
from operators.scene.sounds.cast import ROLES

EXTENTS = dict.fromkeys(ROLES, 0.6) | {"D": 2.4, "G": 3.0}
EXTENTS |= {f"once-{n}": 0.7 for n in range(1, 11)}
SEEDS = range(40)


def onsets(drawn):
    by_role = defaultdict(list)
    for event in drawn.events:
        by_role[event.role].append(event.start_s)
    return by_role


def followed(leaders, followers, lag_s, within_s):
    """Lags of the followers that are where they are expected."""
    lags = np.subtract.outer(followers, leaders)
    return lags[np.abs(lags - lag_s) < within_s]


@pytest.fixture(scope="module")
def plans():
    return {seed: plan(seed, 300, EASY, EXTENTS) for seed in SEEDS}


def test_every_sound_recurs_six_to_twenty_times_and_distractors_come_once(plans):
    for drawn in plans.values():
        counts = Counter(event.role for event in drawn.events)
        assert all(6 <= counts[role] <= 20 for role in ROLES)
        assert all(counts[role] == 1 for role in EXTENTS if role.startswith("once"))


def test_b_follows_a_four_times_out_of_five_at_the_lag_of_the_scene(plans):
    shares, errors = [], []
    for drawn in plans.values():
        starts = onsets(drawn)
        assert 0.8 <= drawn.spacing.lag_b_s <= 2.5
        assert drawn.spacing.lag_b_s > EXTENTS["A"]
        lags = followed(starts["A"], starts["B"], drawn.spacing.lag_b_s, 0.35)
        shares.append(len(lags) / len(starts["A"]))
        errors.extend(lags - drawn.spacing.lag_b_s)
    assert np.mean(shares) == pytest.approx(0.8, abs=0.05)
    assert np.std(errors) == pytest.approx(0.1, abs=0.015)
    assert np.mean(errors) == pytest.approx(0, abs=0.02)


def test_x_follows_b_on_odd_seeds_only(plans):
    shares = []
    for seed, drawn in plans.items():
        starts = onsets(drawn)
        assert (drawn.spacing.lag_x_s is not None) == bool(seed % 2)
        if drawn.spacing.lag_x_s is not None:
            lags = followed(starts["B"], starts["X"], drawn.spacing.lag_x_s, 0.35)
            shares.append(len(lags) / len(starts["B"]))
    assert np.mean(shares) == pytest.approx(0.75, abs=0.06)


def test_the_beat_keeps_its_grid_with_jitter_and_misses_one_in_twenty(plans):
    jitter, missing = [], []
    for drawn in plans.values():
        period_s = drawn.spacing.period_s
        assert 9 <= period_s <= 17
        beats = np.array(onsets(drawn)["C"])
        steps = np.round((beats - beats[0]) / period_s)
        off = beats - beats[0] - steps * period_s
        jitter.extend(off - np.median(off))
        missing.append(1 - len(beats) / (steps[-1] + 1))
    assert np.std(jitter) == pytest.approx(0.08, abs=0.015)
    assert np.mean(missing) == pytest.approx(0.05, abs=0.015)


def test_e_lies_anywhere_inside_most_d_and_is_also_heard_alone(plans):
    places, shares, alone = [], [], []
    for drawn in plans.values():
        starts = onsets(drawn)
        lags = np.subtract.outer(starts["E"], starts["D"])
        inside = (lags >= 0) & (lags <= EXTENTS["D"] - EXTENTS["E"])
        places.extend(lags[inside])
        shares.append(np.mean(inside.any(axis=0)))
        alone.append(np.count_nonzero(~inside.any(axis=1)))
    assert np.mean(shares) == pytest.approx(0.86, abs=0.05)
    assert np.std(places) == pytest.approx((EXTENTS["D"] - EXTENTS["E"]) / 12**0.5, rel=0.15)
    assert np.mean(alone) > 2


def test_h_is_a_fixed_part_of_most_g_and_is_also_heard_alone(plans):
    shares, errors = [], []
    for drawn in plans.values():
        starts = onsets(drawn)
        offset_s = drawn.spacing.offset_h_s
        assert 0 < offset_s < EXTENTS["G"] - EXTENTS["H"]
        lags = followed(starts["G"], starts["H"], offset_s, 0.16)
        shares.append(len(lags) / len(starts["G"]))
        errors.extend(lags - offset_s)
        assert len(starts["H"]) - len(lags) >= 2
    assert np.mean(shares) == pytest.approx(0.87, abs=0.05)
    assert np.std(errors) == pytest.approx(0.04, abs=0.006)


def test_onsets_of_one_sound_keep_apart_and_everything_ends_in_time(plans):
    for drawn in plans.values():
        assert [e.start_s for e in drawn.events] == sorted(e.start_s for e in drawn.events)
        for role, starts in onsets(drawn).items():
            assert np.all(np.diff(starts) >= APART_S)
            assert starts[0] >= 2
            assert starts[-1] + EXTENTS[role] <= 300


def test_free_sounds_do_not_avoid_the_others(plans):
    touched = []
    for drawn in plans.values():
        spans = [(e.start_s, e.start_s + EXTENTS[e.role], e.role) for e in drawn.events]
        for start, end, role in spans:
            if role in ("F", "K"):
                touched.append(any(s < end and e > start and r != role for s, e, r in spans))
    # 103 events of .9 s in 300 s: a uniform place is touched with a probability of .38.
    assert np.mean(touched) == pytest.approx(0.38, abs=0.06)


def test_chance_relates_no_sounds_that_are_not_meant_to_be(plans):
    for seed, drawn in plans.items():
        meant = ("AB", "DE", "GH", "BX", "AX") if seed % 2 else ("AB", "DE", "GH")
        pairs = frozenset(frozenset(pair) for pair in meant)
        assert not looks_related(onsets(drawn), EXTENTS, 300, pairs)


def test_occurrences_vary_as_the_preset_says(plans):
    for preset, drawn in (
        (EASY, plans.values()),
        (HARD, [plan(s, 300, HARD, EXTENTS) for s in range(8)]),
    ):
        variations = [event.variation for p in drawn for event in p.events]
        gains = np.array([v.gain_db for v in variations])
        assert preset.gain_db[0] <= gains.min() < 0.8 * preset.gain_db[0]
        assert gains.max() <= preset.gain_db[1]
        assert np.std([v.speed for v in variations]) == pytest.approx(preset.speed_sd, rel=0.2)
        assert np.max(np.abs([v.tilt_db for v in variations])) <= preset.tilt_db
        changed = np.mean([v.tempo != 1 for v in variations])
        assert changed == pytest.approx(preset.tempo_share, abs=0.05)


def test_a_plan_depends_on_the_seed_alone():
    assert plan(7, 300, EASY, EXTENTS) == plan(7, 300, EASY, EXTENTS)
    assert plan(7, 300, EASY, EXTENTS) != plan(9, 300, EASY, EXTENTS)


def test_the_shortest_scene_still_lets_every_sound_recur():
    counts = Counter(event.role for event in plan(3, SHORTEST_S, EASY, EXTENTS).events)
    assert all(counts[role] >= 4 for role in ROLES)


def test_a_longer_scene_keeps_its_density():
    assert len(plan(3, 900, EASY, EXTENTS).events) == pytest.approx(280, rel=0.1)


def test_too_short_a_scene_is_refused_with_the_length_to_ask_for():
    with pytest.raises(ValueError, match="a scene of 30 s is too short: ask for 120 s or more"):
        plan(1, 30, EASY, EXTENTS)


def test_a_scene_without_room_is_refused():
    with pytest.raises(ValueError, match="take another seed"):
        plan(1, 120, EASY, EXTENTS | {"F": 118.0})
