"""Typed settings: flags over ``GRYM_*`` over TOML over defaults; our environment is read here only.

Invariant: what is not known is refused before anything is opened, naming the key, the value and
the expected form; a secret is never printed.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from flows.errors import UsageError

ENV_PREFIX = "GRYM_"
_CONFIG_VARIABLE = "GRYM_CONFIG"
_SERVERS = ("http://", "https://", "tcp://", "unix:")
_SECRET = re.compile(r"token|password")
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")


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

    rate_hz: int | None = Field(default=None, ge=4_000, le=384_000, description="else the device's")
    buffer_s: float = Field(10.0, ge=1, le=600, description="audio that may wait; older is dropped")


class StdinSettings(_Section):
    """What raw PCM on standard input does not say itself (flags --rate --channels --format)."""

    rate_hz: int | None = Field(default=None, ge=4_000, le=384_000)
    channels: int | None = Field(default=None, ge=1, le=64)
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

    path: Path | None = Field(default=None, description="folder with its weights")
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"


class TelemetrySettings(_Section):
    """OpenTelemetry: where spans go."""

    exporter: Literal["off", "console"] = "off"
    sample_ratio: float = Field(0.05, ge=0, le=1, description="share of windows that are traced")


class ListenSettings(_Section):
    """How sources are read and cut."""

    models: tuple[str, ...] = ("aisfx",)
    speed: Literal["max", "realtime"] = "max"
    frame_ms: int = Field(100, ge=1, le=10_000)
    window_s: float = Field(1.0, ge=0.25, le=10)
    hop_s: float = Field(0.5, ge=0.05, le=10)
    epoch_s: float = Field(2.0, ge=0, description="how often state is made durable")

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
        if len(set(value)) != len(value):
            raise ValueError("each model may be named once")
        return value


class Settings(BaseSettings):
    """Everything that can be set, effective and checked."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    store: StoreSettings = Field(default_factory=StoreSettings)
    listen: ListenSettings = Field(default_factory=ListenSettings)
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mic: MicSettings = Field(default_factory=MicSettings)
    stdin: StdinSettings = Field(default_factory=StdinSettings)
    watch: WatchSettings = Field(default_factory=WatchSettings)
    infer: InferSettings = Field(default_factory=InferSettings)
    breaker: BreakerSettings = Field(default_factory=BreakerSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    log: Literal["debug", "info", "warning", "error"] = "warning"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what ``load`` hands over counts: flags, environment and file are merged there."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @property
    def shown_uri(self) -> str:
        """The store's URI as it may be shown: without credentials."""
        return _CREDENTIALS.sub("***@", self.store.uri)

    def masked(self) -> dict[str, Any]:
        """The effective settings as plain data, secrets masked."""
        plain = self.model_dump(mode="json")
        plain["store"]["uri"] = self.shown_uri
        return plain


def load(config: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Merge flags, environment, file and defaults, and check the result.

    Args:
        config: a TOML file; without one, ``GRYM_CONFIG`` or the user's ``grym.toml`` if present.
        flags: nested mapping of what was said on the command line; ``None`` values are unset.

    Raises:
        UsageError: one line naming the key, the value and the expected form.
    """
    merged: dict[str, Any] = {}
    for layer in (_file(config), _environment(), _without_none(flags or {})):
        merged = _merge(merged, layer)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise UsageError(_one_line(error)) from None


def _file(config: Path | None) -> dict[str, Any]:
    named = config or (Path(value) if (value := os.environ.get(_CONFIG_VARIABLE)) else None)
    path = named or Path(platformdirs.user_config_dir("grym", appauthor=False)) / "grym.toml"
    if named is None and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"settings file {path} is not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"settings file {path} cannot be read: {reason}") from None


def _environment() -> dict[str, Any]:
    for name in os.environ:
        if name.startswith(ENV_PREFIX) and name != _CONFIG_VARIABLE:
            section = name.removeprefix(ENV_PREFIX).split("__", maxsplit=1)[0].lower()
            if section not in Settings.model_fields:
                known = ", ".join(
                    f"{ENV_PREFIX}{key.upper()}__..." for key in Settings.model_fields
                )
                raise UsageError(f"unknown setting {name} in the environment; known are {known}")
    try:
        return EnvSettingsSource(Settings)()
    except Exception as error:  # pydantic-settings raises its own, unexported class
        raise UsageError(
            f"environment: {error}; lists and tables are written as JSON, such as "
            """GRYM_LISTEN__MODELS='["logmel"]'"""
        ) from None


def _variable(name: str) -> str:
    annotation = Settings.model_fields[name].annotation
    section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return f"{ENV_PREFIX}{name.upper()}{'__...' if section else ''}"


def _without_none(layer: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in layer.items():
        if isinstance(value, Mapping):
            kept[key] = _without_none(value)
        elif value is not None:
            kept[key] = value
    return kept


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = _merge(dict(below), value) if both and below is not None else value
    return merged


def _one_line(error: ValidationError) -> str:
    parts = []
    for item in error.errors():
        key = ".".join(str(step) for step in item["loc"])
        if item["type"] == "extra_forbidden":
            parts.append(f"unknown setting {key}; known are {_known(item['loc'])}")
        else:
            secret = _SECRET.search(key)
            shown = "***" if secret else repr(item["input"])
            parts.append(f"setting {key} = {shown}: {item['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts)


def _known(location: tuple[int | str, ...]) -> str:
    model: type[BaseModel] = Settings
    for step in location[:-1]:
        field = model.model_fields.get(str(step))
        inner = field.annotation if field else None
        model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else ModelSettings
    return ", ".join(model.model_fields)
