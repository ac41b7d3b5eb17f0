"""GAMA's voice: LLaMA, which reads the sound's tokens before a question and answers it.

The prompt is Stanford Alpaca's short one (https://github.com/tatsu-lab/stanford_alpaca), as in
GAMA's training. Where there is a soft prompt it stands between sound and question; none has been
released, so this place is grym's choice.

Invariant: the same tokens and question give the same answer: decoding is greedy, and what the
folder says of sampling is not looked at.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from operators.models.answering import reason_of
from operators.models.compute import Placement
from operators.models.gama.checkpoint import BASE_REMEDY
from operators.models.gama.layout import NAME, Shapes
from operators.models.pretrained import quiet
from operators.models.protocol import BadWeightsError, WeightsMissingError

PROMPT = "### Instruction:\n{question}\n\n### Response:\n"


def needed(config: LlamaConfig) -> Shapes:
    """Names and shapes of the language model's tensors."""
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        del shapes["lm_head.weight"]
    return shapes


def build(
    config: LlamaConfig, tensors: Mapping[str, Tensor], placement: Placement
) -> LlamaForCausalLM:
    """The language model around tensors as :func:`needed` says; they are not copied."""
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model.load_state_dict(tensors, strict=False, assign=True)
    model.tie_weights()
    # The rotary tables are in no checkpoint: they are computed when the module is made.
    model.model.rotary_emb = LlamaRotaryEmbedding(config)
    return model.eval().requires_grad_(False).to(placement.device)


class Tokenizer:
    """Questions to token ids, and answers back to words.

    Raises:
        WeightsMissingError: the folder has no ``tokenizer.json``.
        BadWeightsError: it cannot be read, or knows other tokens than the language model.
    """

    def __init__(self, folder: Path, config: LlamaConfig) -> None:
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise WeightsMissingError(NAME, file, BASE_REMEDY)
        try:
            with quiet():
                self._tokenizer = AutoTokenizer.from_pretrained(
                    folder, local_files_only=True, trust_remote_code=False
                )
        except Exception as error:  # the tokenizers library raises plain Exception
            detail = f"unreadable ({reason_of(error)})"
            raise BadWeightsError(NAME, file, detail, BASE_REMEDY) from error
        if len(self._tokenizer) > config.vocab_size:
            detail = f"{len(self._tokenizer)} tokens, the language model has {config.vocab_size}"
            raise BadWeightsError(NAME, file, detail, BASE_REMEDY)
        self._first = config.bos_token_id

    def encode(self, question: str) -> Tensor:
        """The prompt of a question, (1, t) ids, beginning with the token of a beginning."""
        ids = self._tokenizer(PROMPT.format(question=question))["input_ids"]
        if self._first is not None and ids[:1] != [self._first]:
            ids = [self._first, *ids]
        return torch.tensor([ids])

    def decode(self, ids: Tensor) -> str:
        """(t,) ids -> words, without special tokens."""
        return str(self._tokenizer.decode(ids.tolist(), skip_special_tokens=True))


class Voice:
    """The language model with its tokenizer.

    Args:
        model: the language model.
        tokenizer: its tokens.
        soft_prompt: (t, hidden size) learnt vectors before the question, or None.
        longest_answer: tokens after which an answer is cut off.
    """

    def __init__(
        self,
        model: LlamaForCausalLM,
        tokenizer: Tokenizer,
        soft_prompt: Tensor | None,
        longest_answer: int,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._soft_prompt = soft_prompt
        config = model.config
        model.generation_config = GenerationConfig(
            do_sample=False,
            num_beams=1,
            max_new_tokens=longest_answer,
            bos_token_id=config.bos_token_id,
            eos_token_id=config.eos_token_id,
            pad_token_id=0 if config.pad_token_id is None else config.pad_token_id,
        )

    def answer(self, sound: Tensor, question: str) -> str:
        """(1, t, hidden size) tokens of a sound and a question -> the answer, perhaps empty."""
        ids = self._tokenizer.encode(question).to(sound.device)
        parts = [sound, self._model.get_input_embeddings()(ids)]
        if self._soft_prompt is not None:
            parts.insert(1, self._soft_prompt[None])
        prefix = torch.cat([part.to(self._model.dtype) for part in parts], dim=1)
        mask = torch.ones(prefix.shape[:2], dtype=torch.long, device=prefix.device)
        with torch.inference_mode():
            ids = self._model.generate(inputs_embeds=prefix, attention_mask=mask)
        return self._tokenizer.decode(ids[0])
