"""What the models that transformers brings have in common: a folder, a network, and windows.

An adapter opens its folder, cuts the network to what embedding uses, and says how windows become
vectors; this module does the rest in one order: everything that can be checked without the weights
is checked before they are read, and the fingerprint is taken before the network is brought into the
arithmetic it runs in. Weights are converted rather than computed under autocast (1.8 to 3.7 times
the speed of float32 where bfloat16 is native); front ends stay in float32.

Invariant: one length of windows a batch. Padding, even masked, gives the same sound another vector
in networks that normalise over time (the group norm of wav2vec2, HuBERT and WavLM at base size) or
stack position convolutions (data2vec); only their layer-norm variants would not mind.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from operators.models import resampling
from operators.models.compute import Runner, place
from operators.models.network import fingerprint, fuse, load_network
from operators.models.pretrained import Architecture, Folder
from operators.models.protocol import ModelConfig, ModelConfigError, WindowsError, space_name
from operators.records import ANALYSIS_RATE_HZ, Floats


class Adapter:
    """A network of transformers as a model of grym; see :class:`operators.models.protocol.Model`.

    Args:
        config: as given to the model.
        folder: the opened folder of its weights.
        least_samples: the shortest window it takes, at its own rate.
        most_samples: the longest; None where there is no such thing.

    Raises:
        ModelConfigError: windows of the configured length are not for this model, or the device
            or its arithmetic is not there.
        BadWeightsError: the weights are damaged or another network's.
    """

    config_type: ClassVar[type[ModelConfig]] = ModelConfig
    architecture: ClassVar[Architecture]
    name: str
    sample_rate_hz: int
    window_s = 1.0
    hop_s = 0.5
    dimension: int

    def __init__(
        self,
        config: ModelConfig,
        folder: Folder,
        *,
        least_samples: int,
        most_samples: int | None = None,
    ) -> None:
        self._least_samples, self._most_samples = least_samples, most_samples
        self._check_window(config.window_s)
        self.folder = folder
        self.trained = folder.trained
        self.placement = place(config)
        self.device, self.dtype = str(self.placement.device), self.placement.dtype_name
        self.network: Any = load_network(folder)

    def __init_subclass__(cls) -> None:
        """Takes the name and the rate of a model from its architecture."""
        if hasattr(cls, "architecture"):
            cls.name = cls.architecture.name
            cls.sample_rate_hz = cls.architecture.sample_rate_hz

    def embed(self, windows: Floats, rate_hz: int | None = None) -> Floats:
        """(n, samples) -> (n, ``dimension``); the promise is the protocol's.

        Raises:
            WindowsError: also windows that are longer than the model hears.
        """
        rate_hz = rate_hz or self.sample_rate_hz
        if self._most_samples is not None and windows.ndim == 2:
            samples = -(-windows.shape[1] * self.sample_rate_hz // rate_hz)
            if samples > self._most_samples:
                raise WindowsError(
                    f"windows of {samples} samples: this model hears {self._most_samples} at most"
                )
        return self._run(windows, rate_hz)

    def _identify(self, recipe: str, dimension: int) -> None:
        """Names the space; the network is cut to what is used, and still as it was published.

        Args:
            recipe: front end and pooling in words, for the fingerprint. How windows are brought
                to the model's rate is added to it where that is not the rate of the flow.
            dimension: length of a vector.
        """
        self.dimension = dimension
        if self.sample_rate_hz != ANALYSIS_RATE_HZ:
            recipe = f"{recipe}, {resampling.VERSION}"
        digits = fingerprint(self.network, self.folder, recipe)
        self.space = space_name(self.name, digits, dimension)

    def _serve(self, vectors: Callable[[Tensor], Tensor]) -> None:
        """Brings the network to its device and arithmetic; the last step of a constructor.

        Args:
            vectors: windows at the model's own rate to unit rows, both float32.
        """
        fuse(self.network)
        self.network.to(self.placement.device, self.placement.dtype)
        self._run = Runner(
            vectors,
            self.placement,
            dimension=self.dimension,
            rate_hz=self.sample_rate_hz,
            least_samples=self._least_samples,
            name=self.name,
        )

    def _check_window(self, window_s: float) -> None:
        rate_hz, most = self.sample_rate_hz, self._most_samples
        samples = round(window_s * rate_hz)
        if samples < self._least_samples:
            least_s = self._least_samples / rate_hz
            raise ModelConfigError(
                f"window_s = {window_s:g}: {self.name} needs {least_s:.3g} s or more"
            )
        if most is not None and samples > most:
            raise ModelConfigError(
                f"window_s = {window_s:g}: {self.name} hears {most / rate_hz:.4g} s at most"
            )
