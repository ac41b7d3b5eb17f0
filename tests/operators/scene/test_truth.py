import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.scene.truth import PlantedEvent, PlantedRelation, Truth

seconds = st.floats(0, 1e4, allow_nan=False)
events = st.builds(PlantedEvent, st.text(), seconds, seconds)
relations = st.builds(
    PlantedRelation,
    st.sampled_from(["sequential", "overlapping", "composite", "periodic"]),
    st.text(),
    st.text(),
    st.none() | seconds,
    st.none() | seconds,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(events, max_size=5), st.lists(relations, max_size=5))
def test_a_truth_survives_being_written_and_read(event_list, relation_list):
    truth = Truth(tuple(event_list), tuple(relation_list))
    assert Truth.read(truth.lines()) == truth


def test_lines_carry_the_fields_that_scripts_rely_on():
    truth = Truth(
        (PlantedEvent("A-bell", 1.5, 2.0),), (PlantedRelation("periodic", "C-buzz", "", None, 9.5),)
    )
    event, relation = (json.loads(line) for line in truth.lines())
    assert event == {"sound": "A-bell", "start_s": 1.5, "end_s": 2.0}
    assert relation == {
        "kind": "periodic",
        "source": "C-buzz",
        "target": "",
        "lag_s": None,
        "period_s": 9.5,
    }


def test_blank_lines_are_passed_over():
    assert Truth.read(["", "\n"]) == Truth((), ())


@pytest.mark.parametrize("line", ["nonsense", '{"sound":"A"}', '{"kind":"x","who":1}', "3"])
def test_a_line_that_is_neither_event_nor_relation_is_named(line):
    with pytest.raises(ValueError, match="truth line 2 is neither"):
        Truth.read(["", line])


def test_a_sound_heard_once_is_not_planted():
    truth = Truth(
        tuple(PlantedEvent(sound, 1.0, 2.0) for sound in ("b", "a", "once-1", "a", "b")), ()
    )
    assert truth.planted() == ("a", "b")
