"""The aiSFX checkpoint: from the wheel that its authors published to what the model loads.

The wheel's pins conflict with any current environment and its code is not needed; the trained
tensors in it are. Invariant: the pickle in the wheel is read by torch's weights-only loader, after
the wheel's checksum was right, and never again: what stays on disk is safetensors.
"""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from connectors.wheel import DownloadError, Wheel, download
from operators.models import aisfx, artefact, synthetic, tensors

WHEEL = Wheel(
    project="aisfx",
    version="0.1.2",
    sha256="bfe219950715af179e9a1653e7117cc1852baef267cd6596c42cad74afe1d194",
)
RECIPE = aisfx.RECIPE
_MEMBER = "aisfx/models/checkpoint.pth"
_FILE = "aisfx.safetensors"
_LICENCE = "CC-BY-4.0"

NOTICE = """\
These weights are derived from aiSFX, and come under the same licence.

  Title:    Representation Learning for the Automatic Indexing of Sound Effects Libraries
            (ISMIR 2022), pre-trained model of the Python package aisfx 0.1.2
  Authors:  Alison Bernice Ma and Alexander Lerch
            Copyright (c) 2022 A.B. Ma and A. Lerch
  Source:   https://github.com/alisonbma/aisfx
  Licence:  Creative Commons Attribution 4.0 International (CC BY 4.0)
            https://creativecommons.org/licenses/by/4.0/

Changes: the embedding network was kept, the classifiers were left out; the tensors were converted
to the safetensors format; means and scales of features of synthetic sounds were added. The authors
do not endorse grym or this use of their work. The material comes without any warranty.
"""


def build(folder: Path, progress: Callable[[str], None]) -> dict[str, bytes]:
    """Fetches the checkpoint and prepares the files of the model's folder.

    Args:
        folder: an existing folder on the disk that may hold the download for a moment.
        progress: told what is being done, one line at a time.

    Returns:
        Content by file name: tensors, notice and the manifest that vouches for the tensors.

    Raises:
        DownloadError: the wheel could not be fetched or verified.
    """
    progress("downloading aisfx 0.1.2 from the package index (23 MB)")
    with TemporaryDirectory(dir=folder) as temporary:
        checkpoint = read_checkpoint(download(WHEEL, Path(temporary)))
    progress("preparing the network (a few seconds)")
    content = tensors.encode(aisfx.prepare(checkpoint, synthetic.synthetic_windows()))
    return artefact.packed(
        content,
        NOTICE,
        model=aisfx.NAME,
        recipe=RECIPE,
        file=_FILE,
        source=f"{WHEEL.project} {WHEEL.version}",
        source_sha256=WHEEL.sha256,
        licence=_LICENCE,
    )


def read_checkpoint(wheel: Path) -> dict[str, Tensor]:
    """Reads the tensors in a wheel; a pickle that asks for anything but tensors is refused.

    Raises:
        DownloadError: the wheel holds no such checkpoint.
    """
    # Beside tensors the file holds a table of numpy integers: these names, and no others, may be
    # looked up. The first is what numpy rebuilds scalars with, as numpy 1 spelled it.
    rebuild = np.int64(0).__reduce__()[0]
    allowed: list[Any] = [
        (rebuild, "numpy.core.multiarray.scalar"),
        np.dtype,
        type(np.dtype("int64")),
    ]
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(_MEMBER)
        with torch.serialization.safe_globals(allowed):
            checkpoint, _ = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch each have a dozen ways to say no
        raise DownloadError(f"{wheel.name} holds no readable {_MEMBER} ({error})") from error
    return dict(checkpoint)
