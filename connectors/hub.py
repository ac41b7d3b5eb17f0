"""A model's folder on this machine, from what settings name: a folder, or a model on the hub.

A name such as ``laion/clap-htsat-unfused`` is looked up in huggingface_hub's own cache first; what
is there whole is used as it is and nothing is asked of the network, so that a restart finds the
weights, and with them the vector space, that it had. Otherwise it is downloaded, or completed, if
that is wanted: settings, words and weights, as safetensors where there are any, never code. The
variables of huggingface_hub are honoured (``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_TOKEN``, ...).

Whole means: the configuration, every file that an index of the weights names, and the front end's
settings. A tokenizer may be missing, since listening needs none.

Invariant: what is a path on this machine is never taken for a name on the hub. What the files mean
is the models' business; see :mod:`operators.models.pretrained`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors

from operators.models.protocol import ModelError

_NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*?)(@(?P<revision>[\w./-]+))?")
_SAFE = ("model.safetensors", "model.safetensors.index.json", "model-*.safetensors")
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin")
"""Weights in one file; or the index of several, and those."""
_WORDS = ("*.json", "*.jinja", "*.txt", "*.model")
_ELSEWHERE = "*/*"
"""Folders within: other formats of the same weights."""
_CONFIG = "config.json"
_FRONT_ENDS = ("preprocessor_config.json", "processor_config.json")
_NO_FRONT_END = frozenset({"llama"})
"""``model_type`` of a language model alone: GAMA, which hears by a front end of its own."""
_TIMEOUT_S = 20.0


class HubError(ModelError):
    """A folder or a model on the hub cannot be had; the message is one line with the remedy."""


def folder_of(
    path: str, *, pull: bool, cache_dir: Path | None = None, endpoint: str | None = None
) -> Path:
    """Finds the folder that a setting names.

    Args:
        path: a folder (``~`` is this user's home), or ``owner/name`` on the hub, also with a
            branch, a tag or a commit as ``owner/name@revision``.
        pull: whether what is not here may be downloaded.
        cache_dir: instead of huggingface_hub's cache.
        endpoint: instead of the hub that huggingface_hub knows.

    Raises:
        HubError: there is no such folder, nor such a model; or it could not be downloaded.
    """
    local = Path(path).expanduser()
    if local.is_dir():
        return local
    if local.is_file():
        raise HubError(f"{path}: is a file: give the folder it lies in")
    named = _NAME.fullmatch(path)
    if named is None or local.parent.is_dir():
        raise HubError(
            f"{path}: there is no such folder: give the folder of a model, or its name on the hub"
            " as owner/name"
        )
    wanted = _Wanted(named["repo"], named["revision"], cache_dir, endpoint)
    found, lacking = wanted.cached()
    if found is not None and not lacking:
        return found
    if not pull:
        here = "neither a folder nor a model in the hub's cache"
        part = f"in the hub's cache in part, without {lacking}"
        raise HubError(f"{path}: {part if lacking else here}: download it first")
    return wanted.download(lacking)


class _Wanted:
    """One model on the hub."""

    def __init__(
        self, repo: str, revision: str | None, cache_dir: Path | None, endpoint: str | None
    ) -> None:
        self._repo, self._revision = repo, revision
        self._cache_dir, self._endpoint = cache_dir, endpoint

    def cached(self) -> tuple[Path | None, str]:
        """Its folder in the cache, if there is one, and what that lacks; the network is not asked.

        Files that others fetched one by one lie there too, and no list of what there is: then only
        the files themselves tell.
        """
        folder, lacking = None, ""
        for weights in (_SAFE, _PICKLED):
            try:
                folder, listed = self._snapshot(weights, local_files_only=True), ""
            except (errors.LocalEntryNotFoundError, errors.HFValidationError) as error:
                partial = getattr(error, "snapshot_path", None)
                if partial is None:
                    return None, ""
                folder, listed = Path(partial), "some of its files"
            lacking = _lacking(folder) or listed
            if not lacking:
                break
        return folder, lacking

    def download(self, lacking: str = "") -> Path:
        """Its folder in the cache, downloaded; files that are there already are not sent again.

        Args:
            lacking: what a folder in the cache lacks, if there is one.

        Raises:
            HubError: whatever went wrong, in one line.
        """
        try:
            api = huggingface_hub.HfApi(endpoint=self._endpoint)
            shown = api.model_info(self._repo, revision=self._revision, timeout=_TIMEOUT_S)
            files = {file.rfilename for file in shown.siblings or ()}
            return self._snapshot(_PICKLED if files.isdisjoint(_SAFE) else _SAFE)
        except Exception as error:  # of four libraries; a person needs one line of any of them
            here = f"in the hub's cache without {lacking}" if lacking else "no folder here"
            raise HubError(f"{self._repo}: {here}, and {_detail(error)}") from error

    def _snapshot(self, weights: tuple[str, ...], *, local_files_only: bool = False) -> Path:
        return Path(
            huggingface_hub.snapshot_download(
                self._repo,
                revision=self._revision,
                cache_dir=self._cache_dir,
                endpoint=self._endpoint,
                local_files_only=local_files_only,
                allow_patterns=[*_WORDS, *weights],
                ignore_patterns=[_ELSEWHERE],
            )
        )


def _lacking(folder: Path) -> str:
    """What a download that was broken off did not bring; empty if the folder is whole."""
    try:
        kind = json.loads((folder / _CONFIG).read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return _CONFIG
    return next(_lacking_weights(folder), "") or _lacking_front_end(folder, kind)


def _lacking_weights(folder: Path) -> Iterator[str]:
    """Of what models would read: they prefer safetensors, and one file to an index."""
    for single, index, _ in (_SAFE, _PICKLED):
        if (folder / single).is_file():
            return
        if (folder / index).is_file():
            yield from (name for name in _indexed(folder / index) if not (folder / name).is_file())
            return
    yield "weights"


def _indexed(index: Path) -> list[str]:
    """The files that an index names; where it cannot be read, what it would take, as none is."""
    try:
        return sorted({str(name) for name in json.loads(index.read_text())["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"a readable {index.name}"]


def _lacking_front_end(folder: Path, kind: object) -> str:
    if kind in _NO_FRONT_END or any((folder / name).is_file() for name in _FRONT_ENDS):
        return ""
    return _FRONT_ENDS[0]


def _detail(error: Exception) -> str:
    """What went wrong and what to do, for a person."""
    detail = next(detail for kind, detail in _DETAILS if isinstance(error, kind))
    return detail.format(_first_line(error))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


_UNREACHABLE = "the hub cannot be reached ({}): check the network, or give a folder"
_DETAILS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (
        errors.GatedRepoError,
        "on the hub it is gated: accept its terms there, then set HF_TOKEN to a token of yours",
    ),
    (
        errors.RepositoryNotFoundError,
        "the hub shows no such model: check the name; for a private one set HF_TOKEN",
    ),
    (errors.RevisionNotFoundError, "the hub has no such revision of it: check what follows the @"),
    (errors.HFValidationError, "it is no name of a model on the hub ({})"),
    (
        errors.OfflineModeIsEnabled,
        "nothing is asked of the hub: unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE to download it",
    ),
    ((errors.HTTPError, errors.HfHubHTTPError), _UNREACHABLE),
    (errors.LocalEntryNotFoundError, _UNREACHABLE),
    (OSError, "it could not be stored ({}): make room, or set HF_HOME to another disk"),
    (Exception, "it could not be downloaded ({}): try again, or give a folder"),
)
"""The most specific first."""
