from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.microphone.anchor import NS, RECENT, RESYNC_NS, Anchor, captured_ns

RATE_HZ = 48_000
BLOCK = 4_800
START_NS = 1_800_000_000 * NS


def jittered(count: int, seed: int, ppm: float, most_late_ns: int) -> list[int]:
    """When blocks were captured by a device that is wrong by ppm, as late callbacks see it."""
    random = Random(seed)
    block_ns = BLOCK * NS / RATE_HZ * (1 + ppm * 1e-6)
    return [START_NS + round(k * block_ns) + random.randint(0, most_late_ns) for k in range(count)]


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    ppm=st.floats(-400, 400),
    late_ns=st.integers(0, 100_000_000),
)
def test_time_follows_the_clock_within_the_jitter_and_moves_at_most_500_ppm(
    seed: int, ppm: float, late_ns: int
) -> None:
    measured = jittered(300, seed, ppm, late_ns)
    anchor = Anchor(RATE_HZ, 0, measured[0])
    last_ns = measured[0]
    for k, measured_ns in enumerate(measured[1:], 1):
        assert anchor.hear(k * BLOCK, measured_ns) is None
        now_ns = anchor.at(k * BLOCK)
        assert abs(now_ns - last_ns - NS // 10) <= 50_000 + 2
        assert abs(now_ns - measured_ns) <= late_ns + 15_000_000
        last_ns = now_ns


@settings(deadline=None)
@given(
    late=st.lists(st.integers(0, 3_600 * NS), min_size=1, max_size=RECENT // 2),
    before=st.integers(0, 3 * RECENT),
)
def test_callbacks_that_come_late_for_half_a_second_move_nothing(
    late: list[int], before: int
) -> None:
    anchor = Anchor(RATE_HZ, 0, START_NS)
    hiccup = range(before + 1, before + 1 + len(late))
    for k in range(1, before + 4 * RECENT):
        delay_ns = late[k - hiccup.start] if k in hiccup else 0
        true_ns = START_NS + k * NS // 10
        assert anchor.hear(k * BLOCK, true_ns + delay_ns) is None
        assert anchor.at(k * BLOCK) == true_ns


@settings(deadline=None)
@given(step_ns=st.integers(RESYNC_NS + 1, 10**17))
def test_a_clock_set_on_is_followed_within_a_second_and_once(step_ns: int) -> None:
    anchor = Anchor(RATE_HZ, 0, START_NS)
    moved = []
    for k in range(1, 60):
        true_ns = START_NS + k * NS // 10 + (step_ns if k >= 20 else 0)
        moved_ns = anchor.hear(k * BLOCK, true_ns)
        if moved_ns is not None:
            moved.append((k, moved_ns))
            assert anchor.at(k * BLOCK) == true_ns
    ((when, by_ns),) = moved
    assert 20 <= when < 20 + RECENT
    assert by_ns == step_ns


def hear_steps(steps_ns: list[int]) -> tuple[Anchor, list[int]]:
    """Three seconds of each state of the clock; what moved, and time checked to be counted."""
    anchor = Anchor(RATE_HZ, 0, START_NS)
    moved = []
    for k in range(1, 30 * len(steps_ns)):
        moved_ns = anchor.hear(k * BLOCK, START_NS + k * NS // 10 + steps_ns[k // 30])
        if moved_ns is not None:
            moved.append(moved_ns)
    return anchor, moved


@settings(deadline=None)
@given(step_ns=st.integers(RESYNC_NS + 1, 10**17), again_ns=st.integers(RESYNC_NS + 1, 10**17))
def test_a_clock_set_back_is_told_once_each_time_and_counting_goes_on(
    step_ns: int, again_ns: int
) -> None:
    anchor, moved = hear_steps([0, -step_ns, -step_ns - again_ns])
    assert moved == [-step_ns, -again_ns]
    assert anchor.behind_ns == step_ns + again_ns
    assert anchor.at(90 * BLOCK) == START_NS + 9 * NS


@settings(deadline=None)
@given(
    step_ns=st.integers(2 * RESYNC_NS + 2, 10**17),
    part=st.floats(0, 1),
    beyond_ns=st.integers(RESYNC_NS + 1, 10**17),
)
def test_a_clock_that_catches_up_moves_nothing_until_it_is_later_than_counted(
    step_ns: int, part: float, beyond_ns: int
) -> None:
    caught_up_ns = RESYNC_NS + 1 + round(part * (step_ns - 2 * RESYNC_NS - 2))
    anchor, moved = hear_steps([0, -step_ns, -step_ns + caught_up_ns])
    assert moved == [-step_ns]
    assert anchor.behind_ns == step_ns - caught_up_ns
    assert anchor.at(90 * BLOCK) == START_NS + 9 * NS
    anchor, moved = hear_steps([0, -step_ns, beyond_ns])
    assert moved == [-step_ns, beyond_ns]
    assert anchor.behind_ns == 0
    assert anchor.at(90 * BLOCK) == START_NS + 9 * NS + beyond_ns


@pytest.mark.parametrize("ppm", [-450, 450])
def test_a_drifting_device_is_told_each_time_it_is_half_a_second_off_and_never_set_back(
    ppm: float,
) -> None:
    blocks = 30_000
    measured = jittered(blocks, 1, ppm, 30_000_000)
    anchor = Anchor(RATE_HZ, 0, measured[0])
    moved = [
        moved_ns
        for k, measured_ns in enumerate(measured[1:], 1)
        if (moved_ns := anchor.hear(k * BLOCK, measured_ns)) is not None
    ]
    assert len(moved) == int(abs(ppm) * 1e-6 * blocks / 10 / 0.5)
    assert all(abs(abs(moved_ns) - RESYNC_NS) < 100_000 for moved_ns in moved)
    assert anchor.behind_ns == (-sum(moved) if ppm < 0 else 0)
    ahead_ns = anchor.at((blocks - 1) * BLOCK) - anchor.behind_ns - measured[-1]
    assert abs(ahead_ns) < 30_000_000


def test_placing_is_never_before_where_other_audio_ends() -> None:
    anchor = Anchor(RATE_HZ, 0, START_NS)
    assert anchor.place(BLOCK, START_NS + NS) == START_NS + NS


def test_placing_keeps_the_time_and_counts_from_there() -> None:
    anchor = Anchor(RATE_HZ, 0, START_NS)
    assert anchor.place(10 * BLOCK) == START_NS + NS
    assert anchor.at(11 * BLOCK) == START_NS + NS + NS // 10


@settings(deadline=None)
@given(
    samples=st.integers(1, 100_000),
    rate_hz=st.integers(4_000, 384_000),
    latency_s=st.floats(0, 2),
    age_s=st.one_of(st.floats(), st.floats(0, 3)),
)
def test_a_block_is_never_younger_than_itself_nor_older_than_the_buffers(
    samples: int, rate_hz: int, latency_s: float, age_s: float
) -> None:
    age_ns = START_NS - captured_ns(START_NS, age_s, samples, rate_hz, latency_s)
    block_ns = round(samples * NS / rate_hz)
    assert block_ns - 1 <= age_ns <= block_ns + (latency_s + 0.1) * NS + 1


def test_a_believable_age_is_believed_and_an_unset_one_is_not() -> None:
    assert captured_ns(START_NS, 0.15, BLOCK, RATE_HZ, 0.1) == START_NS - 150_000_000
    assert captured_ns(START_NS, 1_795_395_700.0, BLOCK, RATE_HZ, 0.1) == START_NS - NS // 10
    assert captured_ns(START_NS, 0.008, BLOCK, RATE_HZ, 0.1) == START_NS - NS // 10
