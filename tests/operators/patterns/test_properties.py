"""What an occurrence may differ in and still be the same sound, by the path of the audio.

Sounds of the scenes (the loudest 10 ms 25 dB above a bed of pink noise) are taught four times;
a fifth one is then changed. It keeps its pattern:

- gain: -10 to +10 dB;
- noise: down to an SNR of 12 dB (a ratchet, 0.2 s of clicks, down to 15 dB);
- shift: anywhere within a spectral frame;
- tempo, pitch kept: 0.95 to 1.05;
- speed, pitch and length together: 0.97 to 1.03; sounds of a few partials (melody, bell) 0.94 to
  1.05;
- masked: a sound as loud covers any third of it (not the first third of a drip, which is most
  of what there is of it).

A sound of the same long-term spectrum is another one where the sound has a course in time: played
backwards (pluck, bell, chirp, call, sweep, rattle, melody), or as noise of that spectrum (pluck,
bell, sweep, rattle, melody). This does *not* hold of steady sounds (horn, buzz, hiss, whoosh,
motor, trill, ratchet, creak), whose likeness backwards is joined, nor of noise with the spectrum
of a chirp, a squeak, a call or a siren.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from operators.patterns import Detector
from operators.records import ANALYSIS_RATE_HZ, HOP_SAMPLES, Frame, Occurrence, Region, StreamEnd
from operators.revision import settled
from operators.scene.sounds.cast import LONG_KINDS, _synthesise
from operators.scene.vary import resample, stretch
from operators.segment import Segmenter

RATE = ANALYSIS_RATE_HZ
AT_S, AFTER_S = 1.2, 2.0
BED = 0.01
SNR_DB = 25.0
KINDS = ("pluck", "chirp", "horn", "rattle", "melody")


def pink(seed: int, samples: int):
    """(samples,) pink noise with an effective value of 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    hz = np.fft.rfftfreq(samples, 1 / RATE)
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 20.0)), samples)
    return noise / np.sqrt(np.mean(noise**2))


def loud(signal):
    """The signal with an effective value of 1 in its loudest 10 ms."""
    blocks = signal[: len(signal) // 441 * 441].reshape(-1, 441)
    return signal / np.sqrt((blocks**2).mean(axis=1).max())


def sound(kind: str, seed: int = 0):
    role = "D" if kind in LONG_KINDS else "A"
    return loud(_synthesise(seed, 0, role, kind).samples.astype(np.float64))


def backwards(signal):
    return signal[::-1].copy()


def as_noise(signal):
    spectrum = np.fft.rfft(signal)
    turned = np.exp(2j * np.pi * np.random.default_rng(1).uniform(size=len(spectrum)))
    return loud(np.fft.irfft(np.abs(spectrum) * turned, len(signal)))


@dataclass
class Stream:
    """A segmenter with a detector, and the sound they were taught."""

    segmenter: Segmenter
    detector: Detector
    end: int = 0

    def hear(self, length: int, placed, snr_db: float = SNR_DB) -> list[object]:
        """The next samples: signals (position, signal, dB beside the SNR) in the bed."""
        audio = pink(self.end, length)
        for at, signal, gain_db in placed:
            audio[at : at + len(signal)] += signal * 10 ** ((snr_db + gain_db) / 20)
        frame = Frame("s", self.end, (BED * audio).astype(np.float32), 0)
        self.end += length
        regions = [item for item in self.segmenter.hear(frame) if isinstance(item, Region)]
        return [found for region in regions for found in self.detector.hear(region)]


@dataclass
class Taught:
    """Every question is asked of the same state."""

    stream: Stream
    signal: np.ndarray
    pattern: str

    @classmethod
    def of(cls, signal) -> "Taught":
        stream = Stream(Segmenter("s"), Detector("s"))
        stream.hear(3 * RATE, [])
        told = [stream.hear(len(signal) + 2 * RATE, [(0, signal, 0.0)]) for _ in range(4)]
        heard = [item for part in told for item in part if isinstance(item, Occurrence)]
        assert len(heard) == 4
        assert len({occurrence.pattern for occurrence in heard}) == 1
        return cls(stream, signal, heard[0].pattern)

    def knows(self, signal, *, shift: int = 0, gain_db=0.0, snr_db=SNR_DB, over=None) -> bool:
        """Whether a signal, with another one over it (from a sample of it on), is the sound."""
        segmenter = Segmenter.restore(self.stream.segmenter.snapshot())
        stream = Stream(segmenter, Detector.restore(self.stream.detector.snapshot()))
        stream.end = begin = self.stream.end
        at = round(AT_S * RATE) + shift
        placed = [(at, signal, gain_db)]
        if over is not None:
            placed.append((at + over[0], over[1], gain_db))
        found = stream.hear(at + len(signal) + round(AFTER_S * RATE), placed, snr_db)
        quiet = Frame("s", stream.end, np.zeros(0, dtype=np.float32), 0, last=True)
        for item in stream.segmenter.hear(quiet):
            if isinstance(item, Region):
                found += stream.detector.hear(item)
        found += stream.detector.finish(StreamEnd("s", stream.end, 0))
        due = (begin + at) / RATE
        return any(o.pattern == self.pattern and abs(o.start_s - due) < 0.2 for o in settled(found))


@pytest.fixture(scope="module", params=KINDS)
def taught(request) -> Taught:
    return Taught.of(sound(request.param))


@pytest.mark.parametrize("gain_db", [-10.0, 10.0])
def test_the_gain_does_not_matter(taught: Taught, gain_db: float) -> None:
    assert taught.knows(taught.signal, gain_db=gain_db)


def test_noise_does_not_matter_down_to_12_db(taught: Taught) -> None:
    assert taught.knows(taught.signal, snr_db=12.0)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_the_place_within_a_frame_does_not_matter(taught: Taught, share: float) -> None:
    assert taught.knows(taught.signal, shift=round(share * HOP_SAMPLES))


@pytest.mark.parametrize("tempo", [0.95, 1.05])
def test_the_tempo_does_not_matter_within_five_percent(taught: Taught, tempo: float) -> None:
    assert taught.knows(stretch(taught.signal, tempo))


@pytest.mark.parametrize("speed", [0.97, 1.03])
def test_the_speed_does_not_matter_within_three_percent(taught: Taught, speed: float) -> None:
    assert taught.knows(resample(taught.signal, speed))


@pytest.mark.parametrize("kind", ["melody", "bell"])
def test_nor_within_five_percent_if_it_is_made_of_a_few_partials(kind: str) -> None:
    taught = Taught.of(sound(kind))
    for speed in (0.94, 1.05):
        assert taught.knows(resample(taught.signal, speed))


@pytest.mark.parametrize("third", range(3))
def test_another_sound_may_cover_a_third(taught: Taught, third: int) -> None:
    length = len(taught.signal) // 3
    other = sound("siren", 5)[:length].copy()
    other[-200:] *= np.linspace(1, 0, 200)
    assert taught.knows(taught.signal, over=(third * length, other))


@pytest.mark.parametrize("kind", ["pluck", "sweep", "rattle", "melody"])
def test_the_same_spectrum_with_another_course_is_another_sound(kind: str) -> None:
    taught = Taught.of(sound(kind))
    assert taught.knows(taught.signal)
    assert not taught.knows(backwards(taught.signal))
    assert not taught.knows(as_noise(taught.signal))
