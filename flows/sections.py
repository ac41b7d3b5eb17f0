"""The sections of the settings: every key with its type, its bounds and its default.

Invariant: what is not known is refused; a secret has a type that does not show it.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from connectors.chunks import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MOST_CHANNELS
from operators.models.describers import DESCRIBERS

_RateHz = Annotated[int, Field(ge=LOWEST_RATE_HZ, le=HIGHEST_RATE_HZ)]
_SERVERS = ("http://", "https://", "tcp://", "unix:")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _default_store() -> str:
    return str(Path(platformdirs.user_data_dir("grym", appauthor=False)) / "grym.db")


class StoreSettings(_Section):
    """Where embeddings, patterns and relations go."""

    uri: str = Field(
        default_factory=_default_store,
        description="a path ending in .db (embedded) or the URI of a Milvus server",
    )
    token: SecretStr | None = Field(default=None, description="user:password of a Milvus server")
    drain_s: float = Field(30.0, gt=0, description="how long the end of a run waits for the store")
    spool_mb: int = Field(512, ge=8, description="what may wait on disk while the store is away")

    @property
    def secret(self) -> str | None:
        """The token in plain text, for whoever connects."""
        return self.token.get_secret_value() if self.token else None

    @field_validator("uri")
    @classmethod
    def _uri(cls, value: str) -> str:
        if value.startswith(_SERVERS) or (value.endswith(".db") and "://" not in value):
            return value
        raise ValueError("expected a path ending in .db or a URI such as http://127.0.0.1:19530")


class KafkaSettings(_Section):
    """How brokers are reached, and what is taken from them (terms of Kafka)."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ca_file: Path | None = Field(default=None, description="who signed the brokers' certificates")
    cert_file: Path | None = Field(default=None, description="our own certificate")
    key_file: Path | None = Field(default=None, description="its private key")
    key_password: SecretStr | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str | None = None
    password: SecretStr | None = None
    channels: Literal["mean", "split"] = Field("mean", description="or a stream each: key/1, key/2")
    dead_letters: bool = Field(True, description="what cannot be read goes to TOPIC.dead, too")
    max_message_bytes: int = Field(4 << 20, ge=1_024, description="larger ones are refused")


class MicSettings(_Section):
    """How microphones are captured."""

    rate_hz: _RateHz | None = Field(default=None, description="else the device's")
    buffer_s: float = Field(10.0, ge=1, le=600, description="audio that may wait; older is dropped")


class StdinSettings(_Section):
    """What raw PCM on standard input does not say itself (flags --rate --channels --format)."""

    rate_hz: _RateHz | None = None
    channels: int | None = Field(default=None, ge=1, le=MOST_CHANNELS)
    format: Literal["s16le", "s24le", "s32le", "f32le"] = "s16le"


class WatchSettings(_Section):
    """How a watched folder is read."""

    settle_s: float = Field(2.0, gt=0, le=3_600, description="a file unchanged so long is whole")


class InferSettings(_Section):
    """Micro-batching in front of each model."""

    max_batch: int = Field(16, ge=1, le=512, description="windows in one call of the model")
    queue_windows: int = Field(64, ge=1, description="windows waiting; live sources shed beyond")
    deadline_s: float = Field(30.0, gt=0, description="a call that takes longer has failed")


class BreakerSettings(_Section):
    """The circuit breaker around each model (terms of resilience4j)."""

    sliding_window_calls: int = Field(20, ge=1)
    minimum_number_of_calls: int = Field(5, ge=1)
    failure_rate_threshold: float = Field(0.5, gt=0, le=1)
    slow_call_rate_threshold: float = Field(1.0, gt=0, le=1)
    slow_call_duration_s: float = Field(60.0, gt=0)
    wait_duration_in_open_s: float = Field(10.0, gt=0)
    wait_growth: float = Field(2.0, ge=1, description="on the wait, each time it opens again")
    wait_cap_s: float = Field(300.0, gt=0)
    permitted_calls_in_half_open: int = Field(2, ge=1)


class ModelSettings(_Section):
    """One model; what a model does not know is refused by its own configuration."""

    path: str | None = Field(default=None, description="folder of its weights, or a hub id")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    device: str | None = Field(default=None, description="auto, cpu, cuda or cuda:N")
    layer: int | None = Field(
        default=None, description="hidden layer that is pooled; else the last"
    )
    compiled: bool | None = Field(default=None, description="torch.compile; CUDA graphs on a GPU")
    headroom: float | None = Field(default=None, description="share of a GPU's memory left free")
    checkpoint: Path | None = Field(default=None, description="gama: file of its last stage")
    max_new_tokens: int | None = Field(default=None, description="longest answer in words")


class DescribeSettings(_Section):
    """The slow lane: an audio-language model that describes confirmed patterns."""

    model: str | None = Field(default=None, description="gama, ...; nothing is described without")

    every_min: float = Field(
        60.0, gt=0, description="a pattern is described again at most so often"
    )
    queue: int = Field(8, ge=1, le=1_024, description="exemplars that may wait; oldest dropped")
    keep_s: float = Field(30.0, ge=1, le=600, description="audio kept of each stream to cut from")
    deadline_s: float = Field(120.0, gt=0, description="a call that takes longer has failed")
    drain_s: float = Field(60.0, ge=0, description="how long the end of a run waits for words")

    @field_validator("model")
    @classmethod
    def _model(cls, value: str | None) -> str | None:
        if value is not None and value not in DESCRIBERS:
            raise ValueError(f"expected one of {', '.join(sorted(DESCRIBERS))}")
        return value


class ClipsSettings(_Section):
    """An audible example of each confirmed pattern, beside the store."""

    keep: bool = False
    max_mb: int = Field(256, ge=1, description="in all; the oldest go first")


class TelemetrySettings(_Section):
    """OpenTelemetry: where spans and metrics go; where these are unset, its variables hold."""

    exporter: Literal["auto", "off", "console", "otlp"] = Field(
        "auto", description="auto: otlp where an endpoint is named, else off"
    )
    endpoint: str | None = Field(
        default=None, description="of a collector, OTLP over HTTP: http://localhost:4318"
    )
    sample_ratio: float | None = Field(
        default=None, ge=0, le=1, description="share of windows that are traced; else 0.05"
    )
    prometheus: str | None = Field(
        default=None, description="host:port at which metrics can be fetched"
    )


class ListenSettings(_Section):
    """How sources are read and cut."""

    models: tuple[str, ...] = Field(
        ("aisfx",), description="a,b,c: b serves while a's breaker is open, and so on"
    )
    speed: Literal["max", "realtime"] = "max"
    frame_ms: int = Field(100, ge=1, le=10_000)
    window_s: float = Field(1.0, ge=0.25, le=10)
    hop_s: float = Field(0.5, ge=0.05, le=10)
    epoch_s: float = Field(2.0, ge=0, description="how often state is made durable")
    speech: Literal["off", "tag", "drop-audio"] = Field(
        "off", description="tag windows that hold speech; drop-audio keeps no clip of it either"
    )

    @property
    def ladders(self) -> tuple[tuple[str, ...], ...]:
        """The models asked for, each with those that serve in its place, in order."""
        return tuple(tuple(name.strip() for name in entry.split(",")) for entry in self.models)

    @model_validator(mode="after")
    def _hop(self) -> Self:
        if self.hop_s > self.window_s:
            raise ValueError(
                f"hop_s = {self.hop_s} is longer than window_s = {self.window_s}: audio between "
                "windows would never be embedded"
            )
        return self

    @field_validator("models")
    @classmethod
    def _models(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("expected at least one model")
        names = [name.strip() for entry in value for name in entry.split(",")]
        if not all(names):
            raise ValueError("expected names with a comma between, as in wav2vec2,aisfx,logmel")
        if len(set(names)) != len(names):
            raise ValueError("each model may be named once in a run")
        return value
