"""One file to mono blocks: formats, channels, seeking, and each defect in words."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from connectors.decode import AudioFile, DecodeError, duration_s
from connectors.strand import mono
from operators.records import Floats

FORMATS = {
    "a.wav": {},
    "float.wav": {"subtype": "FLOAT"},
    "adpcm.wav": {"subtype": "MS_ADPCM"},
    "a.flac": {},
    "a.ogg": {},
    "a.opus": {"format": "OGG", "subtype": "OPUS"},
    "a.mp3": {},
    "a.aiff": {},
    "a.au": {},
    "a.w64": {},
    "a.caf": {},
}


def sound(rate_hz: int, seconds: float, channels: int = 1) -> Floats:
    shape = (round(rate_hz * seconds), channels)
    noise = np.random.default_rng(1).standard_normal(shape) * 0.1
    return noise.astype(np.float32)


def write(path: Path, samples: Floats, rate_hz: int = 48_000, **kind: str) -> Path:
    soundfile.write(path, samples, rate_hz, **kind)
    return path


def blocks(path: Path, begin: int = 0) -> list[Floats]:
    file = AudioFile(path, begin)
    read = []
    while (block := file.read()) is not None:
        read.append(mono(block))
    file.close()
    return read


def until_defect(path: Path) -> tuple[Floats, DecodeError]:
    file = AudioFile(path)
    read = [np.empty(0, np.float32)]
    try:
        while (block := file.read()) is not None:
            read.append(mono(block))
    except DecodeError as defect:
        return np.concatenate(read), defect
    finally:
        file.close()
    pytest.fail(f"{path.name} was read to its end")


def halve(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_blocks_are_short_and_together_the_whole_file(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, sound(48_000, 1.33), **FORMATS[name])
    read = blocks(path)
    with soundfile.SoundFile(path) as file:
        whole = file.read(dtype="float32")
    assert max(map(len, read)) == 4_800
    assert np.array_equal(np.concatenate(read), whole)


@pytest.mark.parametrize("begin", [1, 4_800, 17_123, 63_839])
@pytest.mark.parametrize("name", FORMATS)
def test_reading_from_anywhere_is_the_same_to_the_last_bit(
    name: str, begin: int, tmp_path: Path
) -> None:
    path = write(tmp_path / name, sound(48_000, 1.33), **FORMATS[name])
    whole = np.concatenate(blocks(path))
    assert np.array_equal(np.concatenate(blocks(path, begin)), whole[begin:])


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_are_averaged(channels: int, tmp_path: Path) -> None:
    samples = sound(96_000, 0.2, channels)
    path = write(tmp_path / "many.wav", samples, 96_000, subtype="FLOAT")
    assert np.allclose(np.concatenate(blocks(path)), samples.mean(axis=1), atol=1e-7)


def test_what_is_not_a_number_is_passed_on(tmp_path: Path) -> None:
    samples = sound(8_000, 0.5, 2)
    samples[100, 1] = np.nan
    samples[200] = (np.inf, -np.inf)
    samples[300] = 3e38
    out = np.concatenate(blocks(write(tmp_path / "nan.wav", samples, 8_000, subtype="FLOAT")))
    assert np.flatnonzero(~np.isfinite(out)).tolist() == [100, 200, 300]


@pytest.mark.parametrize(
    ("name", "least_s"),
    [
        ("a.wav", 1.99),
        ("a.aiff", 1.99),
        ("a.au", 1.99),
        ("a.w64", 1.99),
        ("a.flac", 1.5),
        ("a.mp3", 1.5),
        ("a.ogg", 1.0),
        ("a.opus", 0.5),
    ],
)
def test_half_a_file_is_heard_and_then_said_to_be_truncated(
    name: str, least_s: float, tmp_path: Path
) -> None:
    path = write(tmp_path / name, sound(48_000, 4), **FORMATS[name])
    whole = np.concatenate(blocks(path))
    good, defect = until_defect(halve(path))
    assert least_s * 48_000 <= len(good) < 2.5 * 48_000
    assert np.array_equal(good, whole[: len(good)])
    assert defect.reason == "truncated"
    assert f"{name}: stopped at {len(good) / 48_000:.3f} s" in defect.detail


def test_half_an_rf64_file_is_truncated_too(tmp_path: Path) -> None:
    path = halve(write(tmp_path / "a.rf64", sound(48_000, 1), format="RF64"))
    good, defect = until_defect(path)
    assert len(good) > 20_000
    assert "of 1.000 s" in defect.detail


def test_a_file_lost_in_the_middle_says_where_decoding_stopped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", sound(48_000, 2))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = b"\xff" * 200
    path.write_bytes(content)
    good, defect = until_defect(path)
    assert 30_000 < len(good) < 60_000
    assert defect.reason == "truncated"
    assert "of 2.000 s (" in defect.detail


@pytest.mark.parametrize("marker", [0xFFFF_FFFF, 0x7FFF_F000])
def test_a_recorder_that_did_not_know_the_length_did_not_truncate(
    marker: int, tmp_path: Path
) -> None:
    path = write(tmp_path / "piped.wav", sound(48_000, 1))
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = marker.to_bytes(4, "little")
    path.write_bytes(content)
    assert sum(map(len, blocks(path))) == 48_000


@pytest.mark.parametrize("seconds", [1.0, 1.33])
def test_a_flac_of_unknown_length_is_read_to_its_end(seconds: float, tmp_path: Path) -> None:
    path = write(tmp_path / "piped.flac", sound(48_000, seconds, 2))
    whole = np.concatenate(blocks(path))
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert np.array_equal(np.concatenate(blocks(path)), whole)
    assert duration_s(path) == 0.0


def test_a_truncated_flac_of_unknown_length_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "piped.flac", sound(48_000, 2))
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content[: len(content) // 2])
    _, defect = until_defect(path)
    assert defect.reason == "truncated"


def refused(path: Path) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        AudioFile(path)
    error = caught.value
    assert path.name in error.detail
    assert error.remedy
    assert "\n" not in error.detail
    return error


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.wav").reason == "missing"


@pytest.mark.parametrize("name", ["text.wav", "text.mp3", "text.raw", "song.m4a"])
def test_text_under_an_audio_name_is_an_unknown_format(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("hello, not audio\n" * 100)
    assert refused(tmp_path / name).reason == "unknown_format"


def test_files_without_audio_are_empty(tmp_path: Path) -> None:
    (tmp_path / "zero.wav").touch()
    assert "0 bytes" in refused(tmp_path / "zero.wav").detail
    header = write(tmp_path / "header.wav", sound(48_000, 1)[:0])
    assert "0 s of audio" in refused(header).detail
    assert refused(header).reason == "empty"


@pytest.mark.parametrize("rate_hz", [1_000, 3_999, 384_001])
def test_a_sample_rate_out_of_range_is_named(rate_hz: int, tmp_path: Path) -> None:
    error = refused(write(tmp_path / "odd.wav", sound(4_000, 0.5), rate_hz))
    assert (error.reason, f"{rate_hz} Hz" in error.detail) == ("sample_rate", True)


def test_a_damaged_header_is_unreadable(tmp_path: Path) -> None:
    path = halve(write(tmp_path / "a.caf", sound(48_000, 1)))
    assert refused(path).reason == "unreadable"


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert "not a regular file" in refused(tmp_path / "pipe.wav").detail


def test_a_forbidden_file_is_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.wav", sound(8_000, 0.1), 8_000)
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        error = refused(path)
    finally:
        if root:
            os.seteuid(0)
    assert (error.reason, "Permission denied" in error.detail) == ("unreadable", True)


def test_a_name_that_is_not_text_is_read_and_printable(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9\n.wav")
    write(tmp_path / "a.wav", sound(8_000, 0.1), 8_000).rename(path)
    assert sum(map(len, blocks(path))) == 800
    path.write_bytes(b"")
    with pytest.raises(DecodeError) as caught:
        AudioFile(path)
    assert "caf? .wav" in caught.value.detail.encode().decode()


def test_the_duration_comes_from_the_header(tmp_path: Path) -> None:
    assert duration_s(write(tmp_path / "a.flac", sound(48_000, 1.5))) == 1.5
    assert duration_s(tmp_path / "none.flac") == 0.0


def test_a_file_that_has_become_shorter_has_nothing_more(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", sound(8_000, 0.5), 8_000)
    assert sum(map(len, blocks(path, 40_000))) == 0
