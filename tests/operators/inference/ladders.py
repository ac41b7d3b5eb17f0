"""A ladder's bounds with small numbers, and what came out of it, told briefly."""

from operators.breaker import BreakerConfig
from operators.inference import InferenceConfig
from operators.records import BreakerTransition, Embedding, Failure, Verdict

BREAKER = BreakerConfig(
    minimum_number_of_calls=1, wait_duration_in_open_s=10.0, permitted_calls_in_half_open=2
)
CONFIG = InferenceConfig(breaker=BREAKER)


def spaces(out):
    """Where each window landed: the model whose space it is in, or why in none."""
    return [
        item.space.split("-")[0] if isinstance(item, Embedding) else item.reason
        for item in out
        if isinstance(item, Embedding | Verdict)
    ]


def changes(out):
    return [(item.name, item.to_state) for item in out if isinstance(item, BreakerTransition)]


def said(out):
    return [item.detail for item in out if isinstance(item, Failure)]


def one_by_one(inference, windows):
    out = []
    for each in windows:
        inference.submit([each])
        out += inference.all()
    return out
