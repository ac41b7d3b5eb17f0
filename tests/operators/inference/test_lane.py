"""Order, batches, shedding, credit and closing: inference while all is well."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.inference import InferenceConfig
from operators.models import load
from operators.records import Embedding, Failure, StreamEnd, Verdict


def fates(out):
    """What came out, one short word an item, in order."""
    words = []
    for item in out:
        if isinstance(item, Embedding):
            words.append((item.stream, item.start_ns // 500_000_000, "stored"))
        elif isinstance(item, Verdict):
            words.append((item.stream, item.start_ns // 500_000_000, item.reason or item.verdict))
        elif isinstance(item, StreamEnd):
            words.append((item.stream, "end"))
    return words


def test_a_window_becomes_an_embedding_with_all_that_it_carried(lane, double, window):
    inference = lane(double())
    source = window(3, traceparent="")
    inference.submit([source])
    (embedding,) = inference.all()
    assert isinstance(embedding, Embedding)
    assert embedding.key == f"a|{source.start_ns}|double-00000000-4"
    assert embedding.vector.tolist() == [3.0, 1.0, 0.0, 0.0]
    assert embedding.vector.dtype == np.float32
    assert not embedding.vector.flags.writeable
    for name in ("index", "duration_s", "onset", "rms_db", "delivered_ns", "traceparent"):
        assert getattr(embedding, name) == getattr(source, name)


def test_nothing_submitted_means_not_busy_and_no_thread(lane, double, window, end):
    model = double()
    model.name = "unused"
    inference = lane(model)
    assert not inference.busy
    assert inference.poll() == []
    inference.submit([window(0, gate="silent"), end()])
    assert inference.busy
    assert fates(inference.poll()) == [("a", 0, "silent"), ("a", "end")]
    assert not inference.busy
    assert "grym-unused" not in [thread.name for thread in threading.enumerate()]


def test_results_leave_in_the_order_of_submission_and_the_end_after_them(
    lane, double, held, window, end
):
    hold = held(0)
    model = double(hold)
    inference = lane(model)
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit(
        [
            window(1, gate="gated"),
            window(0, "b", gate="silent"),
            window(2),
            window(1, "b"),
            end(),
            end("b"),
        ]
    )
    assert inference.poll() == []  # all of it waits for what came first
    assert inference.windows == 5  # ends of streams are no windows
    assert inference.open_windows == 3
    hold.let_go()
    assert fates(inference.all()) == [
        ("a", 0, "stored"),
        ("a", 1, "gated"),
        ("b", 0, "silent"),
        ("a", 2, "stored"),
        ("b", 1, "stored"),
        ("a", "end"),
        ("b", "end"),
    ]
    assert inference.paid == 4 - 1  # silent and gated windows never took credit


def test_a_batch_is_whatever_waited_across_streams_up_to_the_maximum(lane, double, held, window):
    hold = held(0)
    model = double(hold)
    inference = lane(model, InferenceConfig(max_batch=4))
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit([window(k, stream) for k in range(1, 4) for stream in "ab"])
    assert inference.queue_depth == 6
    assert inference.open_windows == 7
    hold.let_go()
    inference.all()
    assert model.sizes == [1, 4, 2]
    assert (inference.queue_depth, inference.open_windows) == (0, 0)


def test_windows_of_different_lengths_never_share_a_batch(lane, double, held, window):
    hold = held(0)
    model = double(hold)
    inference = lane(model)
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit([window(1), window(2), window(3, samples=5), window(4)])
    hold.let_go()
    assert [fate[1] for fate in fates(inference.all())] == [0, 1, 2, 3, 4]
    assert model.sizes == [1, 2, 1, 1]


def test_a_full_queue_sheds_the_oldest_live_windows_and_never_a_replayable_one(
    lane, double, held, window
):
    hold = held(0)
    inference = lane(
        double(hold), InferenceConfig(capacity=2), is_live=lambda stream: stream == "mic"
    )
    inference.submit([window(0, "mic")])
    hold.wait_until_in(0)
    inference.submit([window(k, stream) for k in range(1, 5) for stream in ("mic", "file")])
    hold.let_go()
    out = inference.all()
    assert fates(out) == [
        ("mic", 0, "stored"),
        ("mic", 1, "queue_full"),
        ("file", 1, "stored"),
        ("mic", 2, "queue_full"),
        ("file", 2, "stored"),
        ("mic", 3, "stored"),
        ("file", 3, "stored"),
        ("mic", 4, "stored"),
        ("file", 4, "stored"),
    ]
    shed = [item for item in out if isinstance(item, Verdict)]
    assert {item.verdict for item in shed} == {"shed"}
    assert inference.paid == 4  # live windows hold no credit


def test_live_and_replayable_windows_are_served_in_the_order_they_came(lane, double, held, window):
    hold = held(0)
    order = []

    def script(call, windows, rows):
        order.extend(windows[:, 0].tolist())
        return hold(call, windows, rows)

    inference = lane(
        double(script), InferenceConfig(max_batch=2), is_live=lambda stream: stream == "mic"
    )
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit([window(1, "mic"), window(2), window(3), window(4, "mic"), window(5)])
    hold.let_go()
    inference.all()
    assert order == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_shed_windows_keep_no_samples_while_they_wait_to_leave(lane, double, held, window):
    hold = held(0)
    inference = lane(double(hold), InferenceConfig(capacity=1), is_live=lambda _: True)
    inference.submit([window(0)])
    hold.wait_until_in(0)
    inference.submit([window(k) for k in range(1, 50)])
    kept = [saved[0] for saved in inference.snapshot()["entries"] if saved[0] is not None]
    assert [each.start_ns // 500_000_000 for each in kept] == [0, 49]
    hold.let_go()
    assert len(inference.all()) == 50


def test_draining_gives_up_at_its_limit_and_keeps_what_is_missing(lane, double, held, window):
    hold = held(0)
    ticks = iter(range(1_000_000))
    inference = lane(double(hold), InferenceConfig(deadline_s=1e9), clock=lambda: next(ticks) * 0.5)
    inference.submit([window(0)])
    hold.wait_until_in(0)
    assert inference.drain(2.0) == []
    assert inference.busy
    hold.let_go()
    assert len(inference.all()) == 1


def test_closing_decides_everything_and_ends_the_thread(lane, double, held, window, end):
    hold = held(0)
    model = double(hold)
    inference = lane(model)
    inference.submit([window(0), window(1, samples=3), window(2, gate="silent"), end()])
    hold.wait_until_in(0)
    assert fates(inference.close()) == [
        ("a", 0, "shutdown"),
        ("a", 1, "shutdown"),
        ("a", 2, "silent"),
        ("a", "end"),
    ]
    assert not inference.busy
    assert inference.paid == 2
    hold.let_go()
    model.threads[0].join(20)
    assert not model.threads[0].is_alive()
    assert inference.poll() == []
    assert inference.close() == []
    with pytest.raises(RuntimeError, match="inference double: closed"):
        inference.submit([window(3)])


def test_closing_an_idle_lane_ends_its_thread(lane, double, window):
    model = double()
    inference = lane(model)
    inference.submit([window(0)])
    inference.all()
    inference.close()
    model.threads[0].join(20)
    assert not model.threads[0].is_alive()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"capacity": 0}, "inference capacity = 0: expected 1 or more"),
        ({"max_batch": 0}, "max_batch = 0"),
        ({"max_abandoned": 0}, "max_abandoned = 0"),
        ({"deadline_s": 0.0}, "deadline_s = 0.0: expected above 0 s"),
    ],
)
def test_bounds_that_could_not_work_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        InferenceConfig(**wrong)


ITEMS = st.lists(
    st.tuples(
        st.sampled_from(["file", "mic"]),
        st.sampled_from(["open", "open", "open", "silent", "gated", "end"]),
        st.sampled_from([4, 4, 6]),
    ),
    max_size=40,
)
FAULTS = st.lists(
    st.lists(st.sampled_from(["", "", "", "raise", "memory", "nan"]), max_size=12),
    min_size=1,
    max_size=3,
)


@settings(max_examples=80, deadline=None)
@given(items=ITEMS, faults=FAULTS, cuts=st.sets(st.integers(0, 40)), max_batch=st.integers(1, 6))
def test_whatever_the_models_do_every_window_leaves_once_and_in_order(
    double, lane_type, window, end, items, faults, cuts, max_batch
):
    def rung(number, own):
        def script(call, windows, rows):
            fault = own[call] if call < len(own) else ""
            if fault == "raise":
                raise RuntimeError("boom")
            if fault == "memory":
                raise MemoryError
            if fault == "nan":
                rows[0] = np.nan
            return rows

        model = double(script)
        model.name = f"double{number}"
        return model

    inference = lane_type(
        [rung(number, own) for number, own in enumerate(faults)],
        InferenceConfig(max_batch=max_batch, capacity=3),
        is_live=lambda stream: stream == "mic",
    )
    made = [
        end(stream) if gate == "end" else window(k, stream, gate=gate, samples=samples)
        for k, (stream, gate, samples) in enumerate(items)
    ]
    out, first = [], 0
    for cut in [*sorted(cuts), len(made)]:
        inference.submit(made[first:cut])
        first = max(first, cut)
        out += inference.poll()
    out += inference.all()
    inference.close()
    expected = [
        (item.stream, "end") if isinstance(item, StreamEnd) else (item.stream, item.start_ns)
        for item in made
    ]
    left = [
        (item.stream, "end") if isinstance(item, StreamEnd) else (item.stream, item.start_ns)
        for item in out
        if isinstance(item, StreamEnd | Embedding | Verdict)
    ]
    assert left == expected
    by_key = {(item.stream, item.start_ns): item for item in out if isinstance(item, Verdict)}
    for stream, gate, _ in items:
        if stream == "file" and gate == "open":
            assert all(item.verdict != "shed" for key, item in by_key.items() if key[0] == "file")
    patient = [gate for stream, gate, _ in items if stream == "file"]
    assert inference.paid == patient.count("open")
    assert inference.open_windows == 0


def test_the_model_without_weights_embeds_through_the_lane_as_it_does_alone(lane, window):
    model = load("logmel")
    rng = np.random.default_rng(7)
    inference = lane(model)
    windows = []
    for k in range(3):
        source = window(k)
        audio = rng.standard_normal(model.sample_rate_hz).astype(np.float32) * 0.1
        object.__setattr__(source, "samples", audio)
        windows.append(source)
    inference.submit(windows)
    out = inference.all()
    assert not [item for item in out if isinstance(item, Failure)]
    alone = model.embed(np.stack([source.samples for source in windows]))
    assert [item.space for item in out] == [model.space] * 3
    np.testing.assert_allclose(np.stack([item.vector for item in out]), alone, atol=1e-5)
