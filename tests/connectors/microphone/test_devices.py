import pytest

from connectors.microphone.devices import Device, choose, opening, source_of
from connectors.microphone.errors import SoundError
from connectors.microphone.options import MicOptions
from connectors.microphone.target import Target

USB = Device(0, "USB Audio: Field (hw:1,0)", 2, 48_000, "ALSA", default=False)
ANALOG = Device(1, "HDA Intel: Analog (hw:0,0)", 2, 44_100, "ALSA", default=False)
ARRAY = Device(2, "Studio 40: Array (hw:2,0)", 40, 96_000, "ALSA", default=False)
PULSE = Device(3, "pulse", 32, 44_100, "ALSA", default=False)
DEFAULT = Device(4, "default", 32, 44_100, "ALSA", default=True)
OTHER_API = Device(5, "pulse", 2, 48_000, "OSS", default=False)
ALL = (USB, ANALOG, ARRAY, PULSE, DEFAULT, OTHER_API)


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("USB Audio: Field (hw:1,0)", USB),
        ("usb audio", USB),
        ("analog", ANALOG),
        ("default", DEFAULT),
        ("Default", DEFAULT),
        ("pulse", PULSE),
    ],
)
def test_a_device_is_chosen_by_its_name_or_a_part_that_only_it_has(
    name: str, device: Device
) -> None:
    assert choose(ALL, name) is device


def test_an_exact_name_goes_before_a_part_of_another() -> None:
    longer = Device(6, "pulse two", 2, 48_000, "ALSA", default=False)
    assert choose((longer, PULSE), "pulse") is PULSE


@pytest.mark.parametrize(
    ("devices", "name", "reason", "said"),
    [
        (ALL, "porch", "no_device", "'porch'; there are: 'USB Audio: Field (hw:1,0)', 'HDA"),
        (ALL, "a", "ambiguous_device", "'a' may be any of these input devices: 'USB Audio"),
        ((USB,), "default", "no_device", "'default'; there are: 'USB Audio: Field (hw:1,0)'"),
        ((), "default", "no_device", "this machine has no audio input device"),
    ],
)
def test_a_name_that_means_no_single_device_is_refused_with_those_there_are(
    devices: tuple[Device, ...], name: str, reason: str, said: str
) -> None:
    with pytest.raises(SoundError) as refused:
        choose(devices, name)
    assert refused.value.reason == reason
    assert said in refused.value.detail
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("target", "rate_hz", "channels", "opened_hz"),
    [
        (Target("usb"), 0, 2, 48_000),
        (Target("usb", 2), 0, 2, 48_000),
        (Target("usb"), 16_000, 2, 16_000),
        (Target("array"), 0, 40, 96_000),
        (Target("pulse"), 0, 1, 44_100),
        (Target("pulse", 1), 0, 2, 44_100),
        (Target("pulse", 4), 0, 4, 44_100),
    ],
)
def test_hardware_is_opened_whole_and_a_sound_server_asked_for_what_is_needed(
    target: Target, rate_hz: int, channels: int, opened_hz: int
) -> None:
    plan = opening(ALL, target, MicOptions(rate_hz=rate_hz))
    assert (plan.channels, plan.rate_hz) == (channels, opened_hz)


def test_a_channel_that_is_not_there_is_refused_with_their_count() -> None:
    with pytest.raises(SoundError, match="has no channel 3; it has 2; name one of 1 to 2") as no:
        opening(ALL, Target("usb", 3), MicOptions())
    assert no.value.reason == "no_channel"


def test_what_to_type_leaves_out_the_place_unless_only_that_tells_two_apart() -> None:
    twin = Device(7, "USB Audio: Field (hw:3,0)", 2, 48_000, "ALSA", default=False)
    assert source_of(USB, ALL) == "mic:USB Audio: Field"
    assert source_of(DEFAULT, ALL) == "mic:default"
    assert source_of(USB, (*ALL, twin)) == "mic:USB Audio: Field (hw:1,0)"
    for device in (USB, twin):
        typed = source_of(device, (*ALL, twin)).removeprefix("mic:")
        assert choose((*ALL, twin), typed) is device
