"""The weights of the models that are to run; verified, as far as grym knows what they should be."""

from collections.abc import Iterator
from importlib import import_module

from connectors import weights
from connectors.doctor.asked import Asked, AskedModel
from connectors.doctor.finding import Finding, of_sentence
from operators.models.protocol import ModelError, pull_command


def check(asked: Asked, patience_s: float) -> Iterator[Finding]:
    """Of each model where its weights are, or how to get them; nothing is fetched."""
    del patience_s
    for model in asked.models:
        try:
            yield _weights(model) if model.path is None else _brought(model, model.path)
        except ModelError as error:
            yield of_sentence("models", _named(model.name, str(error)), between=": ")


def _weights(model: AskedModel) -> Finding:
    found = weights.status(model.name)
    if found.state in ("ready", "not needed"):
        where = "" if found.folder is None else f"{found.folder}, "
        return Finding("models", "ok", f"{model.name}: {where}{found.detail}")
    if found.folder is None:
        return Finding("models", "broken", f"{model.name}: no weights are named", found.detail)
    detail, remedy = found.detail.rpartition(": ")[0], pull_command(model.name)
    return Finding("models", "broken", _named(model.name, detail), remedy)


def _brought(model: AskedModel, path: str) -> Finding:
    # Imported here: only who names a folder needs the hub's package.
    folder = import_module("connectors.hub").folder_of(path, pull=False)
    if not (folder / "config.json").is_file():
        detail = f"{model.name}: {folder} holds no config.json"
        return Finding("models", "broken", detail, weights.yours(model.name))
    return Finding("models", "ok", f"{model.name}: {folder}, named in the settings")


def _named(name: str, line: str) -> str:
    return line if f"'{name}'" in line else f"{name}: {line}"
