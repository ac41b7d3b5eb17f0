import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.microphone import derived_name
from connectors.microphone.target import Target, parse


@pytest.mark.parametrize(
    ("target", "device", "channel"),
    [
        ("default", "default", None),
        ("USB Audio", "USB Audio", None),
        ("USB Audio,2", "USB Audio", 2),
        (" USB Audio , 2 ", "USB Audio", 2),
        ("HDA Intel: ALC257 (hw:0,0)", "HDA Intel: ALC257 (hw:0,0)", None),
        ("HDA Intel: ALC257 (hw:0,0),1", "HDA Intel: ALC257 (hw:0,0)", 1),
        ("Line,2,1", "Line,2", 1),
    ],
)
def test_a_target_is_a_device_and_maybe_one_of_its_channels(
    target: str, device: str, channel: int | None
) -> None:
    assert parse(f"mic:{target}") == parse(target) == Target(device, channel)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("", "names no microphone; `grym devices` lists them"),
        ("  ", "names no microphone"),
        (",2", "names no microphone"),
        ("porch,0", "channels count from 1, as in mic:porch,1"),
    ],
)
def test_a_malformed_target_is_refused_in_one_line(target: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^source 'mic:{target.strip()}'") as refused:
        derived_name(f"mic:{target}")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("default", "default"),
        ("USB Audio,2", "USB Audio,2"),
        ("HDA Intel PCH: ALC257 Analog (hw:0,0)", "HDA Intel PCH: ALC257 Analog"),
        ("HDA Intel PCH: ALC257 Analog (hw:0,0),2", "HDA Intel PCH: ALC257 Analog,2"),
        ("/dev/dsp", "_dev_dsp"),
        ("a|b\nc", "a_b_c"),
        ("(hw:1,0)", "(hw:1,0)"),
    ],
)
def test_a_stream_is_called_as_its_microphone_not_as_its_place_in_this_machine(
    target: str, name: str
) -> None:
    assert derived_name(f"mic:{target}") == name


@settings(deadline=None)
@given(st.text())
def test_a_derived_name_is_one_safe_line_or_the_target_is_refused(target: str) -> None:
    try:
        name = derived_name(f"MIC:{target}")
    except ValueError:
        return
    assert name
    assert not set(name) & set('|/\\\n\r\t"*?<>$`')
