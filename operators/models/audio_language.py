"""Audio-language models that transformers knows natively: Qwen2-Audio and Audio Flamingo 3.

A folder as ``save_pretrained`` writes it, or as the hub has it: network, processor, chat template.
Chu et al., "Qwen2-Audio Technical Report", 2024, https://arxiv.org/abs/2407.10759 (Apache-2.0);
Goel et al., "Audio Flamingo 3", 2025, https://arxiv.org/abs/2507.08128 (weights for
non-commercial use only).

Invariant: the same clip and question give the same words, on one machine and in one arithmetic:
decoding is greedy, and what the folder says of sampling is not looked at. The network is the
folder's to the last tensor, heads included, or it is refused.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import transformers
from torch import Tensor

from operators.models.answering import DescriberConfig, one_line, question_of, reason_of
from operators.models.compute import Placement, place
from operators.models.hearing import Hearing
from operators.models.pretrained import Architecture, Folder, open_folder, quiet
from operators.models.protocol import ModelError
from operators.records import Floats

DESCRIBE = "Describe this sound in one sentence."
_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class AudioLanguageConfig(DescriberConfig):
    """Configuration of a native model; ``weights`` is its folder."""


class _AudioLanguage:
    """What the native models share; see :class:`operators.models.protocol.AudioLanguageModel`.

    Raises:
        WeightsMissingError: no folder was given, or a file is not in it.
        ModelConfigError: it is another model's folder.
        BadWeightsError: a file is damaged, or does not fit the others.
    """

    config_type = AudioLanguageConfig
    name: ClassVar[str]
    sample_rate_hz = _RATE_HZ
    architecture: ClassVar[Architecture]
    processor_type: ClassVar[Any]

    def __init__(self, config: AudioLanguageConfig) -> None:
        folder = open_folder(self.architecture, config.weights)
        self._processor = _processor(folder, self.processor_type)
        placement = place(config)
        self.device, self.dtype = str(placement.device), placement.dtype_name
        self.trained = folder.trained
        self.longest_s = float(folder.extractor.chunk_length)
        self._hearing = Hearing(_RATE_HZ, self.longest_s, torch.device("cpu"))
        self._network = _network(folder, placement)
        self._network.generation_config = _greedy(
            self._network.generation_config, self._processor.tokenizer, config.max_new_tokens
        )

    def describe(self, clip: Floats, rate_hz: int | None = None) -> str:
        """(samples,) -> what it sounds like; the promise is the protocol's.

        Raises:
            WindowsError: the clip is not one-dimensional, empty, or not finite.
            ModelError: the model had nothing to say.
        """
        return self.ask(clip, DESCRIBE, rate_hz)

    def ask(self, clip: Floats, question: str, rate_hz: int | None = None) -> str:
        """(samples,) and a question -> the answer; the promise is the protocol's.

        Raises:
            WindowsError: the clip is not one-dimensional, empty, or not finite.
            ModelError: no question, one with the token that stands for sound, or no answer.
        """
        question = question_of(self.name, question)
        if self._processor.audio_token in question:
            raise ModelError(
                f"question {question!r}: leave out {self._processor.audio_token}, which stands for"
                " the sound"
            )
        inputs = self._inputs(self._hearing(clip, rate_hz)[0], question)
        with torch.inference_mode():
            ids = self._network.generate(**inputs)[0, inputs["input_ids"].shape[1] :]
        answer = self._processor.tokenizer.decode(ids.tolist(), skip_special_tokens=True)
        return one_line(self.name, answer)

    def _inputs(self, waveform: Tensor, question: str) -> dict[str, Tensor]:
        said = [{"type": "audio"}, {"type": "text", "text": question}]
        text = self._processor.apply_chat_template(
            [{"role": "user", "content": said}], tokenize=False, add_generation_prompt=True
        )
        inputs = self._processor(
            text=[text], audio=[waveform.numpy()], sampling_rate=_RATE_HZ, return_tensors="pt"
        )
        return {
            name: tensor.to(
                self.device, self._network.dtype if tensor.is_floating_point() else None
            )
            for name, tensor in inputs.items()
        }


class Qwen2Audio(_AudioLanguage):
    """Qwen2-Audio; take the weights that were instructed ("Qwen/Qwen2-Audio-7B-Instruct")."""

    name = "qwen2_audio"
    architecture = Architecture(
        name=name,
        model_type="qwen2_audio",
        network=transformers.Qwen2AudioForConditionalGeneration,
        extractor=transformers.WhisperFeatureExtractor,
        sample_rate_hz=_RATE_HZ,
        decisive=(),
    )
    processor_type = transformers.Qwen2AudioProcessor


class AudioFlamingo3(_AudioLanguage):
    """Audio Flamingo 3 ("nvidia/audio-flamingo-3-hf"); hears up to 30 s here."""

    name = "audio_flamingo3"
    architecture = Architecture(
        name=name,
        model_type="audioflamingo3",
        network=transformers.AudioFlamingo3ForConditionalGeneration,
        extractor=transformers.WhisperFeatureExtractor,
        sample_rate_hz=_RATE_HZ,
        decisive=(),
    )
    processor_type = transformers.AudioFlamingo3Processor


def _processor(folder: Folder, kind: Any) -> Any:
    file = "processor_config.json"
    try:
        with quiet():
            processor = kind.from_pretrained(folder.path, local_files_only=True)
    except Exception as error:  # tokenizers and transformers each say no in their own way
        raise folder.bad(file, f"no processor can be made of it ({reason_of(error)})") from error
    if not processor.chat_template:
        raise folder.bad(file, "no chat template beside it: these weights answer no questions")
    return processor


def _network(folder: Folder, placement: Placement) -> Any:
    """The network in its arithmetic from the start: in float32 it would need twice the memory."""
    try:
        with quiet():
            network, info = folder.architecture.network.from_pretrained(
                folder.path,
                config=folder.config,
                dtype=placement.dtype,
                local_files_only=True,
                weights_only=True,
                ignore_mismatched_sizes=True,  # reported below, with names
                output_loading_info=True,
            )
    except Exception as error:  # safetensors, pickle, zip and torch each say no in their own way
        raise folder.bad(folder.weights.name, f"cannot be read ({reason_of(error)})") from error
    for said, kind in (
        ("lacks", "missing_keys"),
        ("holds other shapes of", "mismatched_keys"),
        ("holds unknown", "unexpected_keys"),
    ):
        names = sorted(name if isinstance(name, str) else name[0] for name in info[kind])
        if names:
            detail = f"{said} {len(names)} tensors, {names[0]} among them"
            raise folder.bad(folder.weights.name, detail)
    return network.eval().requires_grad_(False).to(placement.device)


def _greedy(told: Any, tokenizer: Any, longest: int) -> Any:
    """Decoding without chance; of what the folder says only the special tokens are kept."""
    last = told.eos_token_id if told.eos_token_id is not None else tokenizer.eos_token_id
    padding = told.pad_token_id if told.pad_token_id is not None else tokenizer.pad_token_id
    first_last = last[0] if isinstance(last, list) else last
    return transformers.GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=longest,
        bos_token_id=told.bos_token_id,
        eos_token_id=last,
        pad_token_id=first_last if padding is None else padding,
    )
