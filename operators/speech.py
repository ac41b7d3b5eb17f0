"""Tells whether a stretch of sound holds speech: Silero VAD, a small recurrent network.

It looks at 32 ms at a time and remembers what came before (https://github.com/snakers4/silero-vad,
version 6; MIT). The score of a clip is the mean probability over its best quarter of a second,
which is what the authors' own segmentation takes for the shortest speech: the share of the whole
clip would lose a word in ten seconds of noise, and the maximum takes every odd click for speech
(on sounds of Debian's packages, 1 s each, at 0.5: 99.8 % of speech and 2.6 % of other sounds by
the best quarter, 6.6 % of the others by the maximum). A buzz of many harmonics is taken for a
voice now and then.

Invariant: a score depends on its own samples only, bit for bit, whatever else is in the batch. It
is a tag, never the gate: a network that knows speech is no judge of what is worth hearing.
"""

import importlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from operators.models import artefact
from operators.models.protocol import BadWeightsError, WindowsError
from operators.models.resampling import Resampler
from operators.records import ANALYSIS_RATE_HZ, Floats

NAME = "silero"
RECIPE = "silero-vad 6.2.3, 16 kHz, sequence"
"""Of the network's file: what a folder has to be made for."""

_RATE_HZ = 16_000
_STEP = 512
_CONTEXT = 64
_BEST_STEPS = 8
"""256 ms: the authors' shortest speech is 250 ms."""
_STATE = 128
_WARNINGS_OFF = 3


class Vad:
    """The network, ready to score; may be used by several threads at once.

    Args:
        folder: of its weights, as pulled.

    Attributes:
        THRESHOLD: the score from which on a sound should be taken for speech. It lies below 0.5,
            because a voice that is kept by mistake costs more than a sound that is not.

    Raises:
        WeightsMissingError: there is no such folder.
        BadWeightsError: what is in it is damaged, or no network of this kind.
    """

    VERSION: Final = "6.2.3"
    LICENCE: Final = "MIT"
    THRESHOLD: Final = 0.3

    def __init__(self, folder: Path) -> None:
        manifest = artefact.read_manifest(NAME, folder, RECIPE)
        content = artefact.read_verified(folder, manifest)
        # Imported when speech is asked for: whoever does not need it does not wait for it.
        runtime = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _WARNINGS_OFF
        try:
            self._session = runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime has an exception class for each of its codes
            detail = " ".join(str(error).split())
            file = folder / manifest.file
            raise BadWeightsError(NAME, file, f"no network that can be run ({detail})") from error
        self._resamplers: dict[int, Resampler] = {}

    def scores(self, windows: Floats, rate_hz: int = ANALYSIS_RATE_HZ) -> Floats:
        """How surely each window holds speech.

        Args:
            windows: (n, samples) float32, nominally within [-1, 1].
            rate_hz: of the windows.

        Returns:
            (n,) float32 within [0, 1]; NaN for a window that holds NaN or infinity.

        Raises:
            WindowsError: not two-dimensional.
        """
        if np.ndim(windows) != 2:
            raise WindowsError(f"windows of shape {np.shape(windows)}: give (n, samples)")
        return np.array([self._score(window, rate_hz) for window in windows], dtype=np.float32)

    def score(self, clip: Floats, rate_hz: int = ANALYSIS_RATE_HZ) -> float:
        """How surely one clip, (samples,), holds speech; see ``scores``."""
        return float(self.scores(np.asarray(clip)[None], rate_hz)[0])

    def is_speech(self, clip: Floats, rate_hz: int = ANALYSIS_RATE_HZ) -> bool:
        """Whether a clip has to be taken for speech; one that cannot be judged has."""
        return not self.score(clip, rate_hz) < self.THRESHOLD

    def probabilities(self, clip: Floats, rate_hz: int = ANALYSIS_RATE_HZ) -> Floats:
        """(samples,) -> (steps,): the probability of speech in each 32 ms, the last one padded."""
        samples = self._at_own_rate(np.asarray(clip, dtype=np.float32), rate_hz)
        steps = -(-samples.size // _STEP)
        if not steps:
            return np.zeros(0, dtype=np.float32)
        padded = np.zeros(_CONTEXT + steps * _STEP, dtype=np.float32)
        padded[_CONTEXT : _CONTEXT + samples.size] = samples
        frames = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT + _STEP)[::_STEP]
        state = np.zeros((1, 1, _STATE), dtype=np.float32)
        feed = {"input": np.ascontiguousarray(frames), "h": state, "c": state}
        answer: Any = self._session.run(["speech_probs"], feed)[0]
        return np.asarray(answer, dtype=np.float32).reshape(-1)

    def _score(self, window: Floats, rate_hz: int) -> float:
        if not np.isfinite(window).all():
            return float("nan")
        likely = self.probabilities(window, rate_hz).astype(np.float64)
        if not likely.size:
            return 0.0
        length = min(_BEST_STEPS, likely.size)
        return float(np.convolve(likely, np.full(length, 1.0 / length), "valid").max())

    def _at_own_rate(self, samples: Floats, rate_hz: int) -> Floats:
        if rate_hz == _RATE_HZ or not samples.size:
            return samples
        if rate_hz not in self._resamplers:
            self._resamplers[rate_hz] = Resampler(rate_hz, _RATE_HZ, torch.device("cpu"))
        with torch.inference_mode():
            resampled: Floats = self._resamplers[rate_hz](torch.tensor(samples)[None])[0].numpy()
        return resampled
