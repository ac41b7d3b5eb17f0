from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.sequence import HOLD_NS, REORDER, Gap, Released, Sent, Sequence

MONO = (16_000, 1)


def sent(seq: int, epoch: str = "a", *, place: int | None = None, time: int | None = None, **other):
    at = seq if place is None else place
    form = other.get("form", MONO)
    return Sent(epoch, seq, seq if time is None else time, at, form, (epoch, seq))


def told(steps: list) -> list:
    return [
        (step.first, -step.count) if isinstance(step, Gap) else (*step.sent.payload, step.joined)
        for step in steps
    ]


def run(messages: list[Sent], sequence: Sequence | None = None) -> list:
    sequence = sequence if sequence is not None else Sequence()
    out = []
    for message in messages:
        out += sequence.take(message, 0)
    return out


def test_what_comes_in_order_is_released_at_once_and_joins() -> None:
    assert told(run([sent(5), sent(6), sent(7)])) == [
        ("a", 5, False),
        ("a", 6, True),
        ("a", 7, True),
    ]


def test_the_common_case_says_the_same_as_the_general_one() -> None:
    short, long = Sequence(), Sequence()
    long.take(sent(0), 0)
    short.take(sent(0), 0)
    for seq, form in ((1, MONO), (2, (8_000, 1)), (3, (8_000, 1)), (4, None), (5, MONO)):
        (step,) = long.take(sent(seq, form=form), 0)
        assert short.advance("a", seq, seq, form) is step.joined
    assert short.advance("a", 7, 7, MONO) is None
    assert short.advance("b", 6, 6, MONO) is None


def test_three_out_of_order_are_put_right_without_a_gap() -> None:
    steps = run([sent(0), sent(2), sent(3), sent(4), sent(1), sent(5)])
    assert told(steps) == [("a", 0, False), *[("a", seq, True) for seq in (1, 2, 3, 4, 5)]]


def test_the_fourth_that_is_held_gives_up_what_is_missing() -> None:
    steps = run([sent(0), sent(3), sent(4), sent(6), sent(7)])
    assert told(steps) == [
        ("a", 0, False),
        (1, -2),
        ("a", 3, False),
        ("a", 4, True),
    ]


def test_a_second_is_the_longest_that_a_message_is_held() -> None:
    sequence: Sequence = Sequence()
    sequence.take(sent(0), 0)
    assert sequence.take(sent(2), 5) == []
    assert sequence.deadline_ns == 5 + HOLD_NS
    assert sequence.expire(4 + HOLD_NS) == []
    assert told(sequence.expire(5 + HOLD_NS)) == [(1, -1), ("a", 2, False)]
    assert sequence.deadline_ns is None


def test_what_comes_twice_or_late_is_dropped_and_counted() -> None:
    sequence: Sequence = Sequence()
    steps = run([sent(0), sent(1), sent(1), sent(0), sent(3), sent(3), sent(2), sent(4)], sequence)
    assert [step.sent.seq for step in steps] == [0, 1, 2, 3, 4]
    assert (sequence.repeated, sequence.late, sequence.rivals) == (3, 0, 0)


def test_a_new_epoch_begins_at_once_and_does_not_join() -> None:
    steps = run([sent(8), sent(9), sent(0, "b"), sent(1, "b")])
    assert told(steps)[2:] == [("b", 0, False), ("b", 1, True)]


def test_a_new_epoch_releases_what_the_old_one_held() -> None:
    steps = run([sent(0), sent(2), sent(0, "b", time=9)])
    assert told(steps) == [("a", 0, False), (1, -1), ("a", 2, False), ("b", 0, False)]


def test_another_rate_or_number_of_channels_does_not_join() -> None:
    steps = run([sent(0), sent(1, form=(8_000, 1)), sent(2, form=(8_000, 2))])
    assert [step.joined for step in steps] == [False, False, False]


def test_what_carries_no_audio_joins_nothing() -> None:
    steps = run([sent(0), sent(1, form=None), sent(2), sent(3)])
    assert [step.joined for step in steps] == [False, False, False, True]


def test_a_message_that_could_not_be_read_is_a_gap_without_waiting() -> None:
    sequence: Sequence = Sequence()
    run([sent(0)], sequence)
    assert sequence.lose(1, 1, 0) == [Gap(1, 1)]
    assert told(sequence.take(sent(2), 0)) == [("a", 2, False)]


def test_a_bad_message_ahead_of_its_turn_waits_for_it() -> None:
    sequence: Sequence = Sequence()
    run([sent(0)], sequence)
    assert sequence.lose(2, 1, 0) == []
    assert sequence.lose(2, 2, 0) == []
    assert told(sequence.take(sent(1), 0)) == [("a", 1, True), (2, -1)]
    assert sequence.deadline_ns is None


def test_the_number_of_a_bad_message_that_is_far_off_is_not_believed() -> None:
    sequence: Sequence = Sequence()
    assert sequence.lose(0, 0, 0) == []
    run([sent(0)], sequence)
    assert sequence.lose(10**18, 1, 0) == []
    assert sequence.lose(0, 1, 0) == []
    assert told(sequence.take(sent(1), 0)) == [("a", 1, True)]


def test_numbers_that_begin_anew_without_an_epoch_are_believed_after_a_few() -> None:
    before = [sent(seq, "") for seq in (500, 501)]
    again = [sent(seq, "", time=600 + seq) for seq in range(5)]
    sequence: Sequence = Sequence()
    steps = run([*before, *again], sequence)
    assert told(steps)[2:] == [("", 0, False), *[("", seq, True) for seq in (1, 2, 3, 4)]]
    assert sequence.dropped == 0


def test_a_crazy_number_does_not_silence_a_stream() -> None:
    steps = run([sent(0), sent(10**15, time=1), *[sent(seq) for seq in range(1, 20)]])
    heard = [step.sent.seq for step in steps if isinstance(step, Released)]
    assert heard[-1] == 19
    assert len(heard) >= 20


def test_what_is_sent_again_is_never_taken_for_new_numbers() -> None:
    sequence: Sequence = Sequence()
    run([sent(seq) for seq in range(20)], sequence)
    assert run([sent(seq) for seq in range(10)], sequence) == []
    assert sequence.repeated == 10


def test_two_producers_under_one_key_do_not_take_turns() -> None:
    old = [sent(seq, "a", time=seq) for seq in range(40)]
    new = [sent(seq, "b", time=20 + seq) for seq in range(20)]
    woven = old[:20] + [one for pair in zip(new, old[20:], strict=True) for one in pair]
    steps = run(woven)
    assert [step.sent.epoch for step in steps] == ["a"] * 20 + ["b"] * 20


def test_an_earlier_epoch_that_goes_on_alone_is_taken_up_again() -> None:
    steps = run([sent(0), sent(0, "b", time=1), *[sent(seq, time=5 + seq) for seq in range(1, 6)]])
    assert [step.sent.payload for step in steps][2:] == [("a", seq) for seq in range(1, 6)]


def test_the_place_of_what_is_released_covers_everything_held() -> None:
    steps = run([sent(0, place=10), sent(2, place=11), sent(3, place=12), sent(1, place=13)])
    assert [(step.sent.seq, step.place, step.after) for step in steps] == [
        (0, 10, 11),
        (1, 11, 11),
        (2, 11, 12),
        (3, 12, 13),
    ]


def test_it_is_taken_up_where_an_earlier_run_stood() -> None:
    sequence: Sequence = Sequence("a", 2, "z")
    steps = run([sent(0, place=1), sent(3, place=11), sent(2, place=12)], sequence)
    assert told(steps) == [("a", 2, False), ("a", 3, True)]
    assert sequence.before == "z"


@given(st.permutations(range(REORDER)), st.integers(0, 10), st.data())
def test_any_small_disorder_is_put_right(
    order: list[int], blocks: int, data: st.DataObject
) -> None:
    messages = [sent(0)]
    for block in range(blocks):
        base = 1 + block * REORDER
        messages += [sent(base + at) for at in data.draw(st.permutations(order))]
    heard = [step.sent.seq for step in run(messages)]
    assert heard == list(range(1 + blocks * REORDER))


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(0, 60), st.booleans()),
        max_size=80,
    )
)
def test_whatever_comes_each_epochs_numbers_ascend_and_all_is_accounted_for(story: list) -> None:
    sequence: Sequence = Sequence()
    steps, taken = [], 0
    for place, (epoch, seq, time, bad) in enumerate(story):
        if bad:
            steps += sequence.lose(seq, place, place)
        else:
            taken += 1
            steps += sequence.take(sent(seq, epoch, place=place, time=time), place)
    steps += sequence.finish()
    released = [step for step in steps if isinstance(step, Released)]
    assert len(released) + sequence.dropped == taken
    assert len({step.sent.place for step in released}) == len(released)
    last = None
    for step in steps:
        if isinstance(step, Released):
            if step.joined:
                assert last == (step.sent.epoch, step.sent.seq - 1)
            assert step.place <= step.sent.place
            last = (step.sent.epoch, step.sent.seq)
        else:
            assert step.count > 0
            last = None


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=30),
    st.integers(0, 40),
)
def test_read_again_from_a_place_the_rest_is_the_same(order: list[int], cut: int) -> None:
    messages = [sent(seq, place=place) for place, seq in enumerate(order)]
    sequence: Sequence = Sequence()
    steps = run(messages, sequence) + sequence.finish()
    released = [step for step in steps if isinstance(step, Released)]
    at = released[min(cut, len(released) - 1)]
    again: Sequence = Sequence(
        at.sent.epoch, at.sent.seq, at.before, at.before_next, at.sent.time_ns
    )
    second = run(messages[at.place :], again) + again.finish()
    rest = [step for step in second if isinstance(step, Released)]
    assert rest[0].sent == at.sent
    assert (rest[0].place, rest[0].before) == (at.place, at.before)


def test_numbers_that_begin_anew_after_a_resume_are_believed_as_without_one() -> None:
    again = [sent(seq, "", time=600 + seq) for seq in range(6)]
    for resumed in (Sequence("", 100), Sequence("", 100, time_ns=599)):
        assert [step.sent.seq for step in run(again, resumed)] == list(range(6))
        assert resumed.dropped == 0
    repeated: Sequence = Sequence("", 100, time_ns=605)
    assert run(again, repeated) == []
    assert repeated.repeated == 6


def test_what_is_dropped_is_told_apart() -> None:
    sequence: Sequence = Sequence()
    run([sent(0), sent(3), sent(4), sent(5), sent(6), sent(7)], sequence)
    run([sent(1), sent(2), sent(6)], sequence)
    assert (sequence.late, sequence.repeated, sequence.rivals) == (2, 1, 0)


def test_new_messages_of_an_epoch_that_was_left_are_rivals_and_old_ones_repeated() -> None:
    old = [sent(seq, "a", time=seq) for seq in range(40)]
    new = [sent(seq, "b", time=20 + seq) for seq in range(20)]
    sequence: Sequence = Sequence()
    run(old[:20], sequence)
    run([one for pair in zip(new, old[20:], strict=True) for one in pair], sequence)
    assert (sequence.before, sequence.before_next) == ("a", 20)
    assert sequence.rivals + len(sequence._again) == 20
    run([sent(3, "a", time=3), sent(20, "b", time=60)], sequence)
    assert (sequence.rivals, sequence.repeated) == (20, 1)


def test_senders_without_an_epoch_that_share_a_key_are_rivals() -> None:
    sequence: Sequence = Sequence()
    one = [sent(500 + seq, "", time=10 * seq) for seq in range(10)]
    other = [sent(seq, "", time=10 * seq + 5) for seq in range(10)]
    run([each for pair in zip(one, other, strict=True) for each in pair], sequence)
    assert sequence.rivals == 9


def test_an_epoch_that_is_taken_up_again_is_counted() -> None:
    sequence: Sequence = Sequence()
    for turn in range(4):
        run([sent(4 * turn + at, "ab"[turn % 2], time=4 * turn + at) for at in range(4)], sequence)
    assert sequence.returns == 2
