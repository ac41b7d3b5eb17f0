"""Floor, onsets and activity: what is heard, where it starts, and what noise must not do."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.activity import ActivityConfig, ActivityTracker
from operators.floor import AdaptiveFloor, FloorConfig
from operators.onsets import OnsetPicker
from operators.patch import Step
from operators.records import ANALYSIS_RATE_HZ as RATE
from operators.records import BANDS, FRAME_S, HOP_SAMPLES
from operators.spectrum import band_powers, levels_db


def levels_of(audio):
    padded = np.concatenate((audio[HOP_SAMPLES - 1 :: -1], audio))
    count = len(padded) // HOP_SAMPLES - 1
    blocks = [
        band_powers(padded[first * HOP_SAMPLES : (min(first + 64, count) + 1) * HOP_SAMPLES])
        for first in range(0, count, 64)
    ]
    powers = np.vstack(blocks)
    return levels_db(np.vstack((powers[:1], powers, powers[-1:])))


def hear(levels, config=None):
    tracker = ActivityTracker(config or ActivityConfig())
    return [*tracker.feed(0, levels), *tracker.flush()]


def onsets_s(steps):
    return np.array(sorted(onset * FRAME_S for step in steps for onset in step.onsets))


def patches(steps):
    return [step.patch for step in steps if step.patch is not None]


def noise(seconds, seed=0, colour=0.0, level=0.01):
    count = int(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    spectrum[1:] /= np.fft.rfftfreq(count)[1:] ** colour
    audio = np.fft.irfft(spectrum, count)
    return level * audio / audio.std()


def envelope(seconds, attack_s, decay_s):
    time_s = np.arange(int(seconds * RATE)) / RATE
    return np.minimum(time_s / attack_s, 1.0) * np.exp(-np.maximum(time_s - attack_s, 0) / decay_s)


def partials(shape, base_hz, count):
    time_s = np.arange(shape.size) / RATE
    return shape * sum(np.sin(2 * np.pi * base_hz * k * time_s) / k for k in range(1, count + 1))


def click(rng):
    return rng.normal(size=900) * np.exp(-np.arange(900) / 130)


def pluck(rng):
    return partials(envelope(0.8, 0.003, 0.15), rng.uniform(150, 900), 8)


def burst(rng):
    shape = envelope(0.5, 0.02, 0.12)
    return shape * rng.normal(size=shape.size)


def tone(rng):
    return partials(envelope(0.7, 0.015, 0.2), rng.uniform(400, 2500), 1)


def slow(rng):
    return partials(envelope(1.0, 0.3, 0.3), rng.uniform(200, 700), 6)


def sustained(rng):
    shape = np.minimum(1.0, envelope(1.5, 0.05, 1e6))
    return partials(shape, rng.uniform(200, 400), 5)


SOUNDS = {
    "clicks": [(click, 0.0)],
    "plucks": [(pluck, 0.0)],
    "bursts": [(burst, 0.0)],
    "pure tones": [(tone, 0.0)],
    "slow attacks": [(slow, 0.0)],
    "two sounds 250 ms apart": [(pluck, 0.0), (burst, 0.25)],
    "a sound during another": [(sustained, 0.0), (pluck, 0.6)],
}


def scene(parts, count=10, every_s=2.2, snr_db=12.0):
    rng = np.random.default_rng(3)
    audio = noise(count * every_s + 4, seed=1, colour=0.5)
    truth = []
    for index in range(count):
        for make, delay_s in parts:
            start = int((2.5 + index * every_s + delay_s + rng.uniform(0, 0.1)) * RATE)
            sound = make(rng)
            sound *= 0.01 * 10 ** (snr_db / 20) / np.sqrt(np.mean(sound[: RATE // 4] ** 2))
            audio[start : start + sound.size] += sound
            truth.append(start / RATE)
    return audio, np.array(truth)


SHORT_SCENE = levels_of(scene([(pluck, 0.0), (slow, 0.3)], count=2)[0])


@pytest.mark.parametrize("kind", SOUNDS)
def test_nearly_every_onset_is_found_within_200_ms_and_hardly_any_is_invented(kind):
    audio, truth = scene(SOUNDS[kind])
    found = onsets_s(hear(levels_of(audio)))
    distance = np.abs(found[None, :] - truth[:, None])
    recall = np.mean(distance.min(axis=1) <= 0.2)
    invented = np.sum(distance.min(axis=0) > 0.2)
    assert recall >= 0.9
    assert invented <= 0.1 * truth.size


@pytest.mark.parametrize("colour", [0.0, 0.5, 0.9])
def test_a_minute_of_plain_noise_has_no_onset(colour):
    assert onsets_s(hear(levels_of(noise(60, seed=5, colour=colour)))).size == 0


def test_a_patch_has_pre_roll_release_and_its_background():
    audio, truth = scene([(pluck, 0.0)], count=3)
    for patch, start_s in zip(patches(hear(levels_of(audio))), truth, strict=True):
        assert patch.onsets[0] - patch.start >= 3
        assert abs(patch.onsets[0] * FRAME_S - start_s) < 0.05
        contrast = np.maximum(patch.levels - patch.floor, 0).mean(axis=1)
        assert contrast[:2].max() < 2.0
        assert contrast[-1] < 0.2 * contrast.max()
        assert patch.deviation.shape == (BANDS,)
        assert not patch.cut


def test_a_long_sound_is_cut_at_200_frames_and_loses_nothing():
    audio = noise(16, colour=0.5)
    shape = np.minimum(1.0, np.linspace(20, 0, 10 * RATE))
    audio[3 * RATE : 13 * RATE] += partials(0.2 * shape, 500, 5)
    levels = levels_of(audio)
    parts = patches(hear(levels))
    assert [len(part.levels) for part in parts[:-1]] == [200] * (len(parts) - 1)
    assert [part.cut for part in parts] == [True] * (len(parts) - 1) + [False]
    assert len(parts) >= 3
    joined = np.vstack([part.levels for part in parts])
    assert np.array_equal(joined, levels[parts[0].start : parts[0].start + len(joined)])
    assert all(part.onsets == () for part in parts[1:])


def test_an_onset_in_the_last_frame_before_a_cut_belongs_to_the_patch_it_lies_in():
    levels = np.full((500, BANDS), -40.0)
    levels[100:450, :24] = 0.0
    (first, *_) = patches(hear(levels))
    last = first.start + 199
    levels[last:450, 24:] = 0.0
    first, second, *_ = patches(hear(levels))
    assert last in first.onsets
    assert second.start == last + 1
    assert second.onsets == ()


def test_patches_never_overlap_and_hold_every_known_onset():
    audio, _ = scene([(burst, 0.0), (pluck, 0.5), (click, 0.7)], count=8, every_s=1.4)
    steps = hear(levels_of(audio))
    parts = patches(steps)
    for before, after in pairwise(parts):
        assert before.start + len(before.levels) <= after.start
    for part in parts:
        assert all(part.start <= onset < part.start + len(part.levels) for onset in part.onsets)
    told = sorted(onset for step in steps for onset in step.onsets)
    assert told == sorted(onset for part in parts for onset in part.onsets)
    assert all(onset <= step.frame for step in steps for onset in step.onsets)


def test_a_stream_shorter_than_the_warm_up_is_judged_at_its_end():
    audio = noise(1.0)
    audio[RATE // 2 : RATE // 2 + 4000] += 0.3 * np.sin(np.arange(4000) / 5)
    tracker = ActivityTracker()
    assert list(tracker.feed(0, levels_of(audio))) == []
    assert tracker.warming
    steps = list(tracker.flush())
    assert onsets_s(steps) == pytest.approx([0.5], abs=0.05)
    assert len(patches(steps)) == 1
    assert tracker.warming


def test_a_sound_that_goes_on_to_the_end_is_closed_there():
    audio = noise(5.0)
    audio[4 * RATE :] += 0.3 * np.sin(np.arange(RATE) / 5)
    steps = hear(levels_of(audio))
    (patch,) = patches(steps)
    assert steps[-1].patch is patch
    assert patch.start + len(patch.levels) == len(levels_of(audio))


def test_a_sound_in_the_very_last_frame_has_its_onset():
    levels = np.full((120, BANDS), -40.0)
    levels[118:] = 0.0
    levels[119] = 10.0
    steps = hear(levels, ActivityConfig(on_frames=1))
    assert [step.onsets for step in steps if step.onsets]
    assert len(patches(steps)) == 1


def test_nothing_at_all_gives_nothing():
    assert hear(np.zeros((0, BANDS))) == []


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_restored_anywhere_the_rest_is_the_same_bit_for_bit(data):
    levels = SHORT_SCENE
    whole = hear(levels)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(levels)), min_size=1, max_size=3)))
    tracker = ActivityTracker()
    steps: list[Step] = []
    position = 0
    for cut in [*cuts, len(levels)]:
        steps += tracker.feed(position, levels[position:cut])
        position = cut
        tracker = ActivityTracker.restore(tracker.snapshot())
    steps += tracker.flush()
    assert len(steps) == len(whole)
    for got, expected in zip(steps, whole, strict=True):
        assert (got.frame, got.active, got.onsets) == (
            expected.frame,
            expected.active,
            expected.onsets,
        )
        if expected.patch is not None:
            assert got.patch is not None
            assert np.array_equal(got.patch.levels, expected.patch.levels)
            assert np.array_equal(got.patch.floor, expected.patch.floor)


def test_the_floor_follows_noise_and_hardly_moves_for_a_sound():
    floor = AdaptiveFloor()
    floor.start(np.full((86, BANDS), -50.0))
    assert floor.mu[0] == pytest.approx(-48.5)
    for _ in range(43):
        floor.follow(np.full(BANDS, 0.0), active=True)
    assert floor.mu[0] < -48.0
    for _ in range(43 * 60):
        floor.follow(np.full(BANDS, -45.0), active=False)
    assert floor.mu[0] == pytest.approx(-45.0, abs=0.1)
    assert floor.dev[0] == FloorConfig().deviation_min_db


def test_a_drop_out_cannot_pull_the_floor_far():
    floor = AdaptiveFloor()
    floor.start(np.full((86, BANDS), -50.0))
    for _ in range(10):
        floor.follow(np.full(BANDS, -90.0), active=False)
    assert floor.mu[0] > -49.0


def test_noise_coming_back_from_a_dip_is_no_onset():
    picker = OnsetPicker()
    floor = np.full(BANDS, -48.0)
    found = []
    for frame in range(60):
        level = np.full(BANDS, -90.0 if 20 <= frame < 30 else -50.0)
        found.append(picker.hear(frame, level, level, floor))
    assert set(found) == {None}


def test_a_glide_to_the_neighbouring_band_is_no_new_onset():
    audio = noise(5.0, level=0.001)
    time_s = np.arange(2 * RATE) / RATE
    shape = np.minimum(1, time_s / 0.02) * np.minimum(1, (2 - time_s) / 0.2)
    vibrato = 2 * np.pi * 600 * time_s + 3.0 * np.sin(2 * np.pi * 6 * time_s)
    audio[2 * RATE + 9000 :][: time_s.size] += 0.1 * shape * np.sin(vibrato)
    assert onsets_s(hear(levels_of(audio))) == pytest.approx([2 + 9000 / RATE], abs=0.05)


def test_a_swell_too_slow_for_any_flux_starts_where_it_was_noticed():
    levels = np.full((200, BANDS), -40.0)
    levels[100:160] += 0.5 * np.arange(1, 61)[:, None]
    levels[160:] = levels[159] - 10.0 * np.arange(1, 41)[:, None]
    (patch,) = patches(hear(np.maximum(levels, -40.0)))
    (onset,) = patch.onsets
    assert 100 <= onset <= 120
    assert patch.start == onset - 3
