"""Tiny native audio-language models of random numbers, saved as transformers saves them."""

from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tests.plugins.folders import randomise

SECONDS = 2
"""What the tiny ones hear of a clip."""
_WIDTH = 16
_PADDING, _LAST = "<|endoftext|>", "<|im_end|>"
_TEMPLATE = (
    "{{% for message in messages %}}<|im_start|>{{{{ message['role'] }}}}\n"
    "{{% for part in message['content'] %}}"
    "{{% if part['type'] == 'audio' %}}{sound}\n{{% else %}}{{{{ part['text'] }}}}{{% endif %}}"
    "{{% endfor %}}<|im_end|>\n{{% endfor %}}"
    "{{% if add_generation_prompt %}}<|im_start|>assistant\n{{% endif %}}"
)


def save_tiny_qwen2_audio(folder: Path, seed: int = 0) -> Path:
    """A Qwen2-Audio with its own processor, template and tokens of sound."""
    marks = ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]
    tokenizer = _tokenizer(marks)
    config = transformers.Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": 8,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "d_model": _WIDTH,
            "max_source_positions": SECONDS * 50,
        },
        text_config=_text(tokenizer),
        audio_token_index=tokenizer.convert_tokens_to_ids(marks[0]),
        grym_untrained=True,
    )
    processor = transformers.Qwen2AudioProcessor(
        _extractor(),
        tokenizer,
        chat_template=_TEMPLATE.format(sound="<|audio_bos|><|AUDIO|><|audio_eos|>"),
    )
    network = transformers.Qwen2AudioForConditionalGeneration(config)
    return _save(folder, network, processor, seed)


def save_tiny_audio_flamingo3(folder: Path, seed: int = 0) -> Path:
    """An Audio Flamingo 3 likewise."""
    tokenizer = _tokenizer(["<sound>"])
    config = transformers.AudioFlamingo3Config(
        audio_config={
            "model_type": "audioflamingo3_encoder",
            "num_mel_bins": 8,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "hidden_size": _WIDTH,
            "max_source_positions": SECONDS * 50,
        },
        text_config=_text(tokenizer),
        audio_token_id=tokenizer.convert_tokens_to_ids("<sound>"),
        grym_untrained=True,
    )
    processor = transformers.AudioFlamingo3Processor(
        _extractor(), tokenizer, chat_template=_TEMPLATE.format(sound="<sound>")
    )
    network = transformers.AudioFlamingo3ForConditionalGeneration(config)
    return _save(folder, network, processor, seed)


def _save(folder: Path, network: Any, processor: Any, seed: int) -> Path:
    randomise(network, seed)
    # As published: the folder asks for sampling, which nobody looks at here.
    network.generation_config = transformers.GenerationConfig(
        do_sample=True, temperature=0.7, top_k=20, eos_token_id=[1, 0], pad_token_id=0
    )
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _text(tokenizer: Any) -> dict[str, Any]:
    return {
        "model_type": "qwen2",
        "vocab_size": len(tokenizer),
        "hidden_size": _WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": False,
    }


def _extractor() -> Any:
    return transformers.WhisperFeatureExtractor(
        feature_size=8, chunk_length=SECONDS, return_attention_mask=True
    )


def _tokenizer(marks: list[str]) -> Any:
    """A token a character, and the marks of conversation and sound."""
    # Of the byte symbols only ASCII's: what the tiny ones say can be read aloud.
    symbols = [chr(code) for code in range(33, 127)] + ["\u0120", "\u010a"]
    tokens = [_PADDING, _LAST, *symbols]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        extra_special_tokens=["<|im_start|>", *marks],
        eos_token=_LAST,
        pad_token=_PADDING,
    )
