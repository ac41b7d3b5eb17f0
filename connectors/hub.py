"""A model's folder on this machine, from what settings name: a folder, or a model on the hub.

A name such as ``laion/clap-htsat-unfused`` is looked up in huggingface_hub's own cache first; what
is there whole is used as it is and nothing is asked of the network, so that a restart finds the
weights, and with them the vector space, that it had. Otherwise it is downloaded, if that is
wanted: settings, words and weights, as safetensors where there are any, never code. The
variables of huggingface_hub are honoured (``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_TOKEN``, ...).

Invariant: what is a path on this machine is never taken for a name on the hub. What the files mean
is the models' business; see :mod:`operators.models.pretrained`.
"""

import re
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors

from operators.models.protocol import ModelError

_NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*?)(@(?P<revision>[\w./-]+))?")
_SAFE = ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json")
_WORDS = ("*.json", "*.jinja", "*.txt", "*.model")
_ELSEWHERE = "*/*"
"""Folders within: other formats of the same weights."""
_CONFIG = "config.json"
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
    found = wanted.cached()
    if found is not None:
        return found
    if not pull:
        raise HubError(
            f"{path}: neither a folder nor a model in the hub's cache: download it first"
        )
    return wanted.download()


class _Wanted:
    """One model on the hub."""

    def __init__(
        self, repo: str, revision: str | None, cache_dir: Path | None, endpoint: str | None
    ) -> None:
        self._repo, self._revision = repo, revision
        self._cache_dir, self._endpoint = cache_dir, endpoint

    def cached(self) -> Path | None:
        """Its folder in the cache, if it is there whole; the network is not asked."""
        for weights in (_SAFE, _PICKLED):
            try:
                folder = self._snapshot(weights, local_files_only=True)
            except (errors.LocalEntryNotFoundError, errors.HFValidationError):
                continue
            here = any(next(folder.glob(pattern), None) for pattern in weights)
            if here and (folder / _CONFIG).is_file():
                return folder
        return None

    def download(self) -> Path:
        """Its folder in the cache, downloaded.

        Raises:
            HubError: whatever went wrong, in one line.
        """
        try:
            api = huggingface_hub.HfApi(endpoint=self._endpoint)
            shown = api.model_info(self._repo, revision=self._revision, timeout=_TIMEOUT_S)
            files = {file.rfilename for file in shown.siblings or ()}
            return self._snapshot(_PICKLED if files.isdisjoint(_SAFE) else _SAFE)
        except Exception as error:  # of four libraries; a person needs one line of any of them
            raise HubError(f"{self._repo}: no folder here, and {_detail(error)}") from error

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
        "not in the hub's cache: unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE to download it",
    ),
    ((errors.HTTPError, errors.HfHubHTTPError), _UNREACHABLE),
    (errors.LocalEntryNotFoundError, _UNREACHABLE),
    (OSError, "it could not be stored ({}): make room, or set HF_HOME to another disk"),
    (Exception, "it could not be downloaded ({}): try again, or give a folder"),
)
"""The most specific first."""
