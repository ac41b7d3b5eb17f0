"""Silero VAD: from the wheel that its authors publish to the file that tells speech.

Importing the wheel would set torch to one thread for the whole process and bring torchaudio along;
the network in it is one ONNX file. Invariant: nothing of the wheel is executed, and the file is
stored as it is.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from connectors.wheel import DownloadError, Wheel, download
from operators import speech
from operators.models import artefact

WHEEL = Wheel(
    project="silero-vad",
    version="6.2.3",
    sha256="7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
)
RECIPE = speech.RECIPE
_MEMBER = "silero_vad/data/silero_vad_16k_sequence.onnx"
_LICENCE_MEMBER = "silero_vad-6.2.3.dist-info/licenses/LICENSE"
_FILE = "silero.onnx"

NOTICE = """\
This network is Silero VAD, unchanged, and comes under its authors' licence:

  Title:    Silero VAD, the file {member} of the Python package silero-vad 6.2.3
  Authors:  Silero Team
  Source:   https://github.com/snakers4/silero-vad

{licence}"""


def build(folder: Path, progress: Callable[[str], None]) -> dict[str, bytes]:
    """Fetches the network and prepares the files of its folder.

    Args:
        folder: an existing folder on the disk that may hold the download for a moment.
        progress: told what is being done, one line at a time.

    Returns:
        Content by file name: network, notice and the manifest that vouches for the network.

    Raises:
        DownloadError: the wheel could not be fetched or verified.
    """
    progress("downloading silero-vad 6.2.3 from the package index (11 MB)")
    with TemporaryDirectory(dir=folder) as temporary:
        content, licence = read_network(download(WHEEL, Path(temporary)))
    return artefact.packed(
        content,
        NOTICE.format(member=_MEMBER, licence=licence),
        model=speech.NAME,
        recipe=RECIPE,
        file=_FILE,
        source=f"{WHEEL.project} {WHEEL.version}",
        source_sha256=WHEEL.sha256,
        licence=speech.Vad.LICENCE,
    )


def read_network(wheel: Path) -> tuple[bytes, str]:
    """Reads the network in a wheel, and the licence that has to go with it.

    Raises:
        DownloadError: the wheel does not hold them.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(_MEMBER), archive.read(_LICENCE_MEMBER).decode()
    except Exception as error:  # a zip file has a dozen ways to be none
        raise DownloadError(f"{wheel.name} holds no readable {_MEMBER} ({error})") from error
