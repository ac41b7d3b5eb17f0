"""The segmenter: windows and regions by sample count, gaps, unusable samples, resumption."""

import pickle
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.records import (
    ANALYSIS_RATE_HZ as RATE,
)
from operators.records import (
    HOP_SAMPLES,
    Failure,
    Frame,
    Region,
    StreamEnd,
    Window,
    to_ns,
)
from operators.segment import Segmenter
from operators.segment.audio import AudioTail
from operators.segment.grid import phase

ORIGIN_NS = 1_700_000_000_000_000_000


def quiet(seconds, seed=0, level=0.003):
    samples = np.random.default_rng(seed).normal(size=round(seconds * RATE)) * level
    return samples.astype(np.float32)


def add_pluck(audio, at_s, hz=700.0, level=0.3):
    start = round(at_s * RATE)
    time_s = np.arange(min(RATE, audio.size - start)) / RATE
    shape = np.minimum(1, time_s / 0.003) * np.exp(-time_s / 0.15) * level
    partials = sum(np.sin(2 * np.pi * hz * k * time_s) / k for k in range(1, 6))
    audio[start : start + time_s.size] += (shape * partials).astype(np.float32)
    return audio


def make_scene():
    audio = quiet(7.0, seed=2)
    for at_s, hz in ((2.6, 700), (3.1, 350), (4.6, 900), (6.6, 500)):
        add_pluck(audio, at_s, hz)
    audio[round(5.2 * RATE) :][:700] = np.nan
    audio[round(5.6 * RATE) :][:9000] = np.inf
    return audio


SCENE = make_scene()


def frames_of(audio, cuts, stream="s", start=0):
    borders = [0, *sorted(cuts), audio.size]
    return [
        Frame(stream, start + a, audio[a:b], ORIGIN_NS, last=i == len(borders) - 2, delivered_ns=7)
        for i, (a, b) in enumerate(pairwise(borders))
    ]


def segment(frames, **options):
    segmenter = Segmenter(frames[0].stream, **options)
    return [item for frame in frames for item in segmenter.hear(frame)]


def segment_audio(audio, cut=4410, **options):
    return segment(frames_of(audio, range(cut, audio.size, cut)), **options)


def windows(items):
    return [item for item in items if isinstance(item, Window)]


def regions(items):
    return [item for item in items if isinstance(item, Region)]


def failures(items):
    return [item for item in items if isinstance(item, Failure)]


def bits(item):
    """All of an item but when its first sample was handed over, which no state remembers."""
    return (
        type(item).__name__,
        *(
            value.tobytes() if isinstance(value, np.ndarray) else value
            for value in (getattr(item, f.name) for f in fields(item) if f.name != "opened_ns")
        ),
    )


WHOLE = [bits(item) for item in segment(frames_of(SCENE, []))]


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, SCENE.size), max_size=40))
def test_any_cutting_of_the_same_samples_gives_the_same_items_bit_for_bit(cuts):
    assert [bits(item) for item in segment(frames_of(SCENE, cuts))] == WHOLE


def test_very_small_frames_give_the_same_items_too():
    assert [bits(item) for item in segment(frames_of(SCENE, range(97, SCENE.size, 97)))] == WHOLE


@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(300, 60_000),
    stops=st.lists(st.integers(0, 400), min_size=1, max_size=4),
)
def test_resumed_at_any_point_the_remaining_output_is_the_same(size, stops):
    segmenter = Segmenter("s")
    items = []
    for number, frame in enumerate(frames_of(SCENE, range(size, SCENE.size, size))):
        items += segmenter.hear(frame)
        if number in stops:
            state = pickle.loads(pickle.dumps(segmenter.snapshot()))  # noqa: S301 - our own bytes
            segmenter = Segmenter.restore(state)
    assert [bits(item) for item in items] == WHOLE


@settings(max_examples=15, deadline=None)
@given(back=st.integers(1, 50_000), size=st.integers(2_000, 50_000))
def test_replayed_and_overlapping_frames_change_nothing(back, size):
    segmenter = Segmenter("s")
    items = []
    for frame in frames_of(SCENE, range(size, SCENE.size, size)):
        start = max(0, frame.index - back)
        samples = SCENE[start : frame.index + frame.samples.size]
        items += segmenter.hear(Frame("s", start, samples, ORIGIN_NS, frame.last, 7))
    assert [bits(item) for item in items] == WHOLE


def test_an_old_state_and_impossible_windows_are_refused_with_the_remedy():
    state = Segmenter("s").snapshot() | {"version": 0}
    with pytest.raises(ValueError, match="start with an empty recovery folder"):
        Segmenter.restore(state)
    with pytest.raises(ValueError, match=r"window_s 0.1"):
        Segmenter("s", window_s=0.1)
    with pytest.raises(ValueError, match=r"hop_s 2"):
        Segmenter("s", hop_s=2.0)


def test_hop_windows_lie_on_a_grid_whose_phase_is_a_stable_hash_of_the_stream():
    items = segment_audio(quiet(6.0))
    starts = [window.index for window in windows(items)]
    hop = RATE // 2
    assert starts == list(range(phase("s", hop), 5 * RATE + 1, hop))
    assert phase("s", hop) == 5_824
    assert len({phase(f"mic-{number}", hop) * 10 // hop for number in range(60)}) == 10


def test_an_onset_window_starts_at_its_onset_and_carries_the_samples_unchanged():
    audio = add_pluck(quiet(6.0), 3.0)
    items = segment_audio(audio)
    (onset,) = [window for window in windows(items) if window.onset]
    (region,) = regions(items)
    assert onset.index == region.onsets[0] * HOP_SAMPLES
    assert abs(onset.index - 3 * RATE) < 2 * HOP_SAMPLES
    assert onset.start_ns == to_ns(ORIGIN_NS, onset.index)
    assert onset.gate == "open"
    assert onset.duration_s == 1.0
    assert np.array_equal(onset.samples, audio[onset.index : onset.index + RATE])
    assert not onset.samples.flags.writeable
    expected_db = 10 * np.log10(np.mean(onset.samples.astype(np.float64) ** 2))
    assert onset.rms_db == pytest.approx(expected_db)


def test_an_onset_on_the_grid_is_one_window_and_not_two():
    onset = next(
        window.index
        for window in windows(segment_audio(add_pluck(quiet(6.0), 3.0)))
        if window.onset
    )
    stream = next(
        name
        for name in (f"stream-{number}" for number in range(200_000))
        if (onset - phase(name, 2_205)) % 2_205 == 0
    )
    audio = add_pluck(quiet(6.0), 3.0)
    items = segment(frames_of(audio, [], stream), hop_s=0.05)
    starts = [window.index for window in windows(items)]
    assert len(starts) == len(set(starts))
    assert [window.index for window in windows(items) if window.onset] == [onset]
    assert starts == list(range(phase(stream, 2_205), 5 * RATE + 1, 2_205))


def test_the_gate_opens_only_around_activity_and_silence_is_told_apart():
    audio = np.concatenate((add_pluck(quiet(6.0), 3.0), np.zeros(4 * RATE, dtype=np.float32)))
    for window in windows(segment_audio(audio)):
        end = window.index + RATE
        if window.index > 6 * RATE:
            assert window.gate == "silent"
            assert window.rms_db == -200.0
        elif window.index > 4.5 * RATE or end < 3 * RATE:
            assert window.gate == "gated"
        elif window.index <= 3 * RATE and end > 3.2 * RATE:
            assert window.gate == "open"
        assert window.samples.size == (RATE if window.gate == "open" else 0)


def test_a_window_leaves_with_the_sample_that_completes_it():
    audio = add_pluck(quiet(6.0), 3.0)
    segmenter = Segmenter("s")
    early = segmenter.hear(Frame("s", 0, audio[: 3 * RATE], ORIGIN_NS, False, 11, "early"))
    nxt = max(window.index for window in windows(early)) + RATE // 2
    end = nxt + RATE
    middle = Frame("s", 3 * RATE, audio[3 * RATE : end - 1], ORIGIN_NS, False, 55, "middle")
    assert windows(segmenter.hear(middle)) == []
    last = Frame("s", end - 1, audio[end - 1 : end], ORIGIN_NS, False, 99, "late")
    (window,) = segmenter.hear(last)
    assert (window.index, window.gate) == (nxt, "open")
    begins_in = (11, "early") if nxt < 3 * RATE else (55, "middle")
    assert (window.opened_ns, window.traceparent) == begins_in
    assert window.delivered_ns == 99


def test_a_region_is_self_contained_read_only_and_small():
    audio = quiet(12.0)
    tone = 0.3 * np.sin(np.arange(7 * RATE) / 9) * np.minimum(1, np.linspace(20, 0, 7 * RATE))
    audio[3 * RATE : 10 * RATE] += tone.astype(np.float32)
    found = regions(segment_audio(audio))
    assert [region.cut for region in found] == [True, False]
    assert found[1].start_frame == found[0].start_frame + 200
    for region in found:
        assert region.patch_db.dtype == region.floor_db.dtype == np.float32
        assert not region.patch_db.flags.writeable
        assert region.origin_ns == ORIGIN_NS
        assert len(pickle.dumps(region)) <= 40_960


def test_the_state_stays_small_however_long_the_stream():
    segmenter = Segmenter("s")
    audio = add_pluck(quiet(2.0), 1.0)
    for second in range(0, 60, 2):
        segmenter.hear(Frame("s", second * RATE, audio, ORIGIN_NS))
    state = segmenter.snapshot()
    assert sum(chunk.size for chunk in state["tail"]["chunks"]) <= 1.2 * RATE
    assert len(pickle.dumps(state)) < 300_000


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.05, 0), (0.1, 1), (0.6, 1), (1.0, 1), (1.3, 1)]
)
def test_a_stream_too_short_for_the_grid_has_one_window_at_its_end(seconds, expected):
    audio = quiet(seconds)
    items = segment(frames_of(audio, [], "short-6"))
    assert phase("short-6", RATE // 2) > 0.3 * RATE
    found = windows(items)
    assert len(found) == expected
    for window in found:
        assert window.index == max(0, audio.size - RATE)
        assert not window.onset
    assert items[-1] == StreamEnd("short-6", audio.size, ORIGIN_NS)


def test_one_second_with_a_sound_gives_its_region_and_windows_filled_up_with_zeros():
    audio = add_pluck(quiet(1.0), 0.4)
    items = segment_audio(audio)
    (region,) = regions(items)
    assert abs(region.onsets[0] * HOP_SAMPLES / RATE - 0.4) < 0.05
    hop, onset = sorted(windows(items), key=lambda window: window.onset)
    assert (hop.index, hop.gate) == (0, "open")
    assert np.array_equal(hop.samples, audio)
    heard = audio.size - onset.index
    assert np.array_equal(onset.samples[:heard], audio[onset.index :])
    assert not onset.samples[heard:].any()
    assert onset.samples.size == RATE


def test_a_short_recording_that_begins_with_its_sound_names_no_window_twice():
    starts = [window.index for window in windows(segment_audio(add_pluck(quiet(1.0), 0.0)))]
    assert len(starts) == len(set(starts))


def test_an_onset_window_with_hardly_any_sound_before_the_end_is_none():
    for at_s, expected in ((4.6, 1), (4.85, 0)):
        items = segment_audio(add_pluck(quiet(5.0), at_s))
        assert len(regions(items)) == 1
        assert sum(window.onset for window in windows(items)) == expected


def test_the_end_comes_last_and_what_follows_it_begins_anew():
    segmenter = Segmenter("s")
    items = segmenter.hear(Frame("s", 0, quiet(3.0), ORIGIN_NS, last=True))
    assert items[-1] == StreamEnd("s", 3 * RATE, ORIGIN_NS)
    assert segmenter.hear(Frame("s", 0, quiet(3.0), ORIGIN_NS)) == []
    again = segmenter.hear(Frame("s", 3 * RATE, quiet(3.0), ORIGIN_NS, last=True))
    assert again[-1] == StreamEnd("s", 6 * RATE, ORIGIN_NS)
    assert windows(again)
    assert min(window.index for window in windows(again)) >= 3 * RATE


def test_an_empty_stream_is_just_its_end():
    assert segment([Frame("s", 0, quiet(0.0), 5, last=True)]) == [StreamEnd("s", 0, 5)]


def test_a_short_gap_is_filled_and_is_no_onset():
    audio = quiet(8.0)
    hum = 0.05 * np.sin(2 * np.pi * 100 * np.arange(audio.size) / RATE)
    audio += hum.astype(np.float32)
    cut, missing = round(4.03 * RATE), round(0.05 * RATE)
    frames = [
        Frame("s", 0, audio[:cut], 0),
        Frame("s", cut + missing, audio[cut + missing :], 0, last=True),
    ]
    items = segment(frames)
    assert regions(items) == []
    starts = [window.index for window in windows(items)]
    assert starts == list(range(phase("s", RATE // 2), 7 * RATE + 1, RATE // 2))


def test_a_large_gap_ends_the_stretch_and_the_grid_goes_on_behind_it():
    first, second = add_pluck(quiet(5.5), 5.0), add_pluck(quiet(4.0, seed=4), 1.5)
    resume = 20 * RATE + 123
    segmenter = Segmenter("s")
    before = segmenter.hear(Frame("s", 0, first, ORIGIN_NS))
    after = segmenter.hear(Frame("s", resume, second, ORIGIN_NS, last=True))
    assert regions(before) == []
    region, padded, *rest = after
    assert isinstance(region, Region)
    assert padded.onset
    assert padded.index == region.onsets[0] * HOP_SAMPLES
    assert not padded.samples[first.size - padded.index :].any()
    hop = RATE // 2
    starts = [window.index for window in windows(rest) if not window.onset]
    assert min(starts) >= resume
    assert all((start - phase("s", hop)) % hop == 0 for start in starts)
    (late,) = regions(rest)
    assert abs(late.onsets[0] * HOP_SAMPLES - resume - 1.5 * RATE) < 2 * HOP_SAMPLES
    np.testing.assert_allclose(late.floor_db, region.floor_db, atol=4.0)
    assert after[-1] == StreamEnd("s", resume + second.size, ORIGIN_NS)


def test_a_folder_of_single_sounds_has_windows_and_regions_for_each():
    segmenter = Segmenter("s")
    items = []
    for number in range(4):
        sound = add_pluck(quiet(0.9, seed=number), 0.3)
        items += segmenter.hear(Frame("s", number * 11 * RATE, sound, ORIGIN_NS, number == 3))
    assert len(regions(items)) == 4
    assert [window.onset for window in windows(items)] == [False, True] * 4


def test_a_stretch_of_nan_is_one_failure_with_its_place_however_it_is_cut():
    audio = quiet(6.0)
    audio[3 * RATE : 3 * RATE + 30_000] = np.nan
    audio[5 * RATE] = np.inf
    for cut in (500, 44_100, 10**7):
        items = segment_audio(audio, cut)
        first, second = failures(items)
        assert (first.stage, first.reason, first.start_s) == ("segment", "nan", 3.0)
        assert "0.6803 s" in first.detail
        assert first.remedy
        assert second.start_s == 5.0
        assert not any(np.isnan(window.rms_db) for window in windows(items))
        crossing = [w for w in windows(items) if 2 * RATE < w.index < 3 * RATE + 30_000]
        assert crossing == []


def test_a_source_that_delivers_nothing_usable_is_reported_before_it_ends():
    segmenter = Segmenter("s")
    bad = np.full(RATE, np.nan, dtype=np.float32)
    told = [segmenter.hear(Frame("s", second * RATE, bad, 0)) for second in range(8)]
    assert [len(items) for items in told] == [0, 0, 0, 0, 0, 1, 0, 0]
    assert "more than 5 s" in told[5][0].detail
    assert segmenter.hear(Frame("s", 8 * RATE, bad, 0, last=True)) == [StreamEnd("s", 9 * RATE, 0)]


def test_unusable_samples_at_the_end_are_reported_before_the_end():
    audio = quiet(3.0)
    audio[-1000:] = np.nan
    *_, failure, end = segment_audio(audio)[-3:]
    assert isinstance(failure, Failure)
    assert end == StreamEnd("s", audio.size, ORIGIN_NS)


def test_items_come_in_the_order_of_the_positions_at_which_they_became_decidable():
    items = segment_audio(SCENE[: 5 * RATE])
    decided = []
    for item in items[:-1]:
        if isinstance(item, Window):
            decided.append(min(max(item.index + RATE, 0), 5 * RATE))
        else:
            frames = item.start_frame + len(item.patch_db) - 1
            decided.append(min((frames + 2) * HOP_SAMPLES, 5 * RATE))
    assert decided == sorted(decided)


def test_the_audio_tail_refuses_what_it_no_longer_has():
    tail = AudioTail(100)
    tail.append(quiet(0.1))
    tail.trim(600)
    assert (tail.start, tail.end) == (600, 100 + 4410)
    assert tail.read(700, 700).size == 0
    with pytest.raises(IndexError, match=r"600\.\.4510"):
        tail.read(599, 700)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 5.0])
def test_a_recording_that_begins_with_its_sound_has_its_onset_at_the_start(seconds):
    items = segment_audio(add_pluck(quiet(seconds), 0.0))
    assert regions(items)[0].onsets[0] == 0
    assert [window.index for window in windows(items) if window.onset] == [0]


def test_a_hum_that_begins_and_ends_with_the_recording_is_no_event():
    audio = quiet(4.0, level=0.001)
    audio += (0.05 * np.cos(2 * np.pi * 100 * np.arange(audio.size) / RATE)).astype(np.float32)
    assert regions(segment_audio(audio)) == []
