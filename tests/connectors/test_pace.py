"""Pacing against a clock."""

from connectors.pace import Pace


def test_at_full_speed_everything_is_due() -> None:
    pace = Pace("max", lambda: 0, 0)
    pace.begin()
    assert pace.due(10**12)
    assert pace.wait_ns == 0


def test_in_real_time_audio_is_due_when_it_would_have_ended() -> None:
    now = [1_000]
    pace = Pace("realtime", lambda: now[0], position=44_100)
    pace.begin()
    assert pace.due(44_100)
    assert not pace.due(2 * 44_100)
    assert pace.wait_ns == 1_000_000_000
    now[0] += 1_000_000_000
    pace.begin()
    assert pace.due(2 * 44_100)
    assert pace.wait_ns == 0
