"""Typed settings: flags over ``GRYM_*`` over TOML over defaults; our environment is read here only.

Invariant: what is not known is refused before anything is opened, naming the key, the value and
the expected form; a secret is never printed.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from flows.errors import UsageError
from flows.sections import (
    BreakerSettings,
    ClipsSettings,
    DescribeSettings,
    InferSettings,
    KafkaSettings,
    ListenSettings,
    MicSettings,
    ModelSettings,
    StdinSettings,
    StoreSettings,
    TelemetrySettings,
    WatchSettings,
)
from operators.models import MODELS
from operators.models.describers import DESCRIBERS

ENV_PREFIX = "GRYM_"
_CONFIG_VARIABLE = "GRYM_CONFIG"
_SECRET = re.compile(r"token|password")
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")


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
    describe: DescribeSettings = Field(default_factory=DescribeSettings)
    clips: ClipsSettings = Field(default_factory=ClipsSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    log: Literal["debug", "info", "warning", "error"] = "warning"
    log_format: Literal["console", "json"] = "console"

    @field_validator("models")
    @classmethod
    def _known_models(cls, value: dict[str, ModelSettings]) -> dict[str, ModelSettings]:
        known = sorted({*MODELS, *DESCRIBERS})
        for name in value:
            if name not in known:
                raise ValueError(f"there is no model {name!r}: choose one of {', '.join(known)}")
        return value

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
