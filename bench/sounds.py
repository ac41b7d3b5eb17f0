"""Real sounds to measure with: ten sound packages of Debian, fetched once and verified.

``python -m bench.sounds`` (``make sounds``) downloads them from Debian's pool and unpacks what is
sound, and its licence, into the user's cache. No root and no Debian is needed. The sounds are
other people's work under free licences; none of them is part of grym, and grym does not need them.

Invariant: a file is unpacked only from an archive with the checksum written here; a package's
folder appears whole or not at all; what is there is not fetched again.
"""

import argparse
import hashlib
import io
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from rich.console import Console
from rich.table import Table

MIRROR = "https://deb.debian.org/debian"
SUFFIXES = (".wav", ".ogg", ".oga", ".flac")
_TIMEOUT_S = 60.0
_HEADER_BYTES = 60


class SoundsError(Exception):
    """The sounds could not be fetched or unpacked; the message is one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Package:
    """One package of Debian 12 (bookworm).

    Attributes:
        name, file: the package and its archive below ``pool/main``.
        sha256: of the archive.
        licence: of the sounds in it, in short; the whole text is unpacked beside them.
        sounds: the folder in it below which the sounds lie.
        skip: folders below that one that hold something else.
        kinds: whether folders and file names say what a sound *is* (and not what a desktop plays
            it for).
    """

    name: str
    file: str
    sha256: str
    licence: str
    sounds: str
    skip: tuple[str, ...] = ()
    kinds: bool = False


PACKAGES = (
    Package(
        "sonic-pi-samples",
        "s/sonic-pi/sonic-pi-samples_3.2.2~repack-8_all.deb",
        "25f2312d2fae005e6ad0f4726b8ed3084e776006a5a132083506e960224ac79d",
        "CC0-1.0, MIT",
        "usr/share/sonic-pi/samples",
        kinds=True,
    ),
    Package(
        "lmms-common",
        "l/lmms/lmms-common_1.2.2+dfsg1-6_all.deb",
        "7d9aa55dd05f11edc57104203ee1c350e3e41f8936ab3741da2bb1158fd46c37",
        "GPL-2+",
        "usr/share/lmms/samples",
        skip=("shapes", "waveforms"),  # single periods for oscillators
        kinds=True,
    ),
    Package(
        "wordwarvi-sound",
        "w/wordwarvi/wordwarvi-sound_1.0.4-2_all.deb",
        "455adb1ebc1602523c719ce182f9b3deee9ae6677763011ad5740d09ea7a0529",
        "CC-BY-SA-3.0",
        "usr/share/wordwarvi/sounds",
        kinds=True,
    ),
    Package(
        "sound-icons",
        "s/sound-icons/sound-icons_0.1-8_all.deb",
        "cbb7defa9cab0c86c9151e72c6c8a99a0ed21d244bc4c7cffdde7a0e4d9fa5b3",
        "GPL-2+",
        "usr/share/sounds/sound-icons",
        kinds=True,
    ),
    Package(
        "heroes-sound-effects",
        "h/heroes-sound-effects/heroes-sound-effects_1.0-6_all.deb",
        "e0bf5e5077257b8acc475309906d9cf910c434d2ffa582f3e4c2157dd83c0909",
        "GPL-2+",
        "usr/share/games/heroes/sfx",
    ),
    Package(
        "oxygen-sounds",
        "o/oxygen-sounds/oxygen-sounds_5.27.5-2_all.deb",
        "2230772aea70fb6508a38eeb8fb29f56357d9e00751477fe1954057c41541960",
        "LGPL-3+",
        "usr/share/sounds",
    ),
    Package(
        "sound-theme-freedesktop",
        "s/sound-theme-freedesktop/sound-theme-freedesktop_0.8-2_all.deb",
        "135cc4893ba590d428577bc3bf42df756a165c05a2a43f84311ad7db779a70ea",
        "GPL-2, GPL-2+, CC-BY-3.0, CC-BY-SA-3.0",
        "usr/share/sounds/freedesktop/stereo",
    ),
    Package(
        "deepin-sound-theme",
        "d/deepin-sound-theme/deepin-sound-theme_15.10.6-1_all.deb",
        "2995e5f94175ab5e7e36a26ae7fcabb3dbbaa089123d5244cbaeeb3376dd88fb",
        "GPL-3",
        "usr/share/sounds/deepin/stereo",
    ),
    Package(
        "lomiri-sounds",
        "l/lomiri-sounds/lomiri-sounds_22.02-1_all.deb",
        "d4a8fd0247e43e784ad75c11312d1f0e08a0ced6a4cfaadde3dcf118ab4e9abf",
        "CC0-1.0, CC-BY-3.0, CC-BY-4.0, CC-BY-SA-3.0",
        "usr/share/sounds/lomiri",
    ),
    Package(
        "gnome-audio",
        "g/gnome-audio/gnome-audio_2.22.2-1.2_all.deb",
        "05d5eb10c07dfbe251a637cb83784ec9ed44ec54a6c26339c8d8fea9a4d886c0",
        "CC-BY-3.0, CC-BY-SA-2.0",
        "usr/share/sounds",
    ),
)


def root() -> Path:
    """Where the sounds lie: a folder of the user's cache."""
    return platformdirs.user_cache_path("grym") / "sounds"


def folder_of(package: Package, cache: Path) -> Path:
    """Where a package is unpacked; another archive has another folder."""
    return cache / f"{package.name}-{package.sha256[:8]}"


def missing(cache: Path) -> list[Package]:
    """Packages that are not there yet."""
    return [package for package in PACKAGES if not folder_of(package, cache).is_dir()]


def files_of(package: Package, cache: Path) -> list[Path]:
    """The sounds of a package in a fixed order, those with the same content once."""
    top = folder_of(package, cache) / package.sounds
    found: dict[str, Path] = {}
    for path in sorted(top.rglob("*")):
        skipped = path.relative_to(top).parts[0] in package.skip
        if path.is_file() and path.suffix.lower() in SUFFIXES and not skipped:
            found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return list(found.values())


def fetch(package: Package, cache: Path, mirror: str = MIRROR) -> Path:
    """Downloads, verifies and unpacks a package, unless it is there.

    Raises:
        SoundsError: it cannot be reached, is not the archive it should be, or cannot be stored.
    """
    folder = folder_of(package, cache)
    if folder.is_dir():
        return folder
    url = f"{mirror}/pool/main/{urllib.parse.quote(package.file, safe='/+~')}"
    try:
        # The scheme is the user's choice: a mirror, or a folder as file://.
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            content = answer.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise SoundsError(
            f"{url} cannot be fetched ({reason}): check the network, or name a mirror of Debian "
            "with `python -m bench.sounds --mirror URL`"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != package.sha256:
        raise SoundsError(
            f"{url} is not the file it should be: sha256 {digest}, expected {package.sha256}: "
            "try another mirror with --mirror URL"
        )
    try:
        _unpack(content, folder, package)
    except OSError as error:
        detail = error.strerror or str(error)
        raise SoundsError(f"{folder} cannot be written ({detail}): make room there") from error
    return folder


def _unpack(archive: bytes, folder: Path, package: Package) -> None:
    """Unpacks sounds and licence beside the folder, then renames: whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    wanted = (f"./{package.sounds}/", f"./usr/share/doc/{package.name}/copyright")
    try:
        with tarfile.open(fileobj=io.BytesIO(data_of(archive))) as data:
            # Links are other names of sounds that are there already.
            members = [each for each in data if each.isfile() and each.name.startswith(wanted)]
            data.extractall(aside, members=members, filter="data")
        aside.chmod(0o755)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def data_of(archive: bytes) -> bytes:
    """The compressed tar file in a Debian package, which is an ``ar`` archive (deb(5)).

    Raises:
        SoundsError: there is none.
    """
    for name, content in _members(archive):
        if name.startswith("data.tar"):
            return content
    raise SoundsError("a Debian package without data: fetch it again")


def _members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    at = len(b"!<arch>\n")
    while at + _HEADER_BYTES <= len(archive):
        header = archive[at : at + _HEADER_BYTES].decode("ascii")
        size = int(header[48:58])
        at += _HEADER_BYTES
        yield header[:16].strip().rstrip("/"), archive[at : at + size]
        at += size + size % 2


def main(arguments: list[str] | None = None) -> int:
    """Fetch what is missing and list what is there; non-zero where something could not be had."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mirror", default=MIRROR, help=f"a mirror of Debian (default {MIRROR})")
    asked = parser.parse_args(arguments)
    console = Console(stderr=True)
    table = Table("package", "sounds", "licence", title=f"sounds in {root()}")
    for package in PACKAGES:
        try:
            fetch(package, root(), asked.mirror)
        except SoundsError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        table.add_row(package.name, str(len(files_of(package, root()))), package.licence)
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
