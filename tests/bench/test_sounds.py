import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from bench import sounds
from bench.sounds import Package, SoundsError, data_of, fetch, files_of, folder_of, main, missing


def member(name: str, content: bytes) -> bytes:
    """One file of an ``ar`` archive, padded to an even length."""
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
    return header.encode() + content + b"\n" * (len(content) % 2)


def deb(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A Debian package as dpkg-deb makes it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as data:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            data.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            data.addfile(entry)
    control = member("debian-binary", b"2.0\n") + member("control.tar.xz", b"odd")
    return b"!<arch>\n" + control + member("data.tar.xz", packed.getvalue())


@pytest.fixture
def mirror(tmp_path: Path) -> str:
    """A pool on disk with the package ``tiny``."""
    archive = deb(
        {
            "usr/share/tiny/kick/a.wav": b"RIFF one",
            "usr/share/tiny/kick/b.wav": b"RIFF two",
            "usr/share/tiny/snare/same.ogg": b"RIFF one",
            "usr/share/tiny/waves/c.wav": b"RIFF three",
            "usr/share/tiny/index.txt": b"no sound",
            "usr/share/doc/tiny/copyright": b"free",
            "usr/bin/tiny": b"program",
        },
        links={"usr/share/tiny/kick/also.wav": "a.wav"},
    )
    path = tmp_path / "mirror/pool/main/t/tiny/tiny_1.0~a_all.deb"
    path.parent.mkdir(parents=True)
    path.write_bytes(archive)
    return (tmp_path / "mirror").as_uri()


@pytest.fixture
def tiny(mirror: str) -> Package:
    archive = Path(mirror.removeprefix("file://"), "pool/main/t/tiny/tiny_1.0~a_all.deb")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    file = "t/tiny/tiny_1.0~a_all.deb"
    return Package("tiny", file, digest, "free", "usr/share/tiny", skip=("waves",))


def test_sounds_and_licence_are_unpacked_and_nothing_else(
    tiny: Package, mirror: str, tmp_path: Path
) -> None:
    folder = fetch(tiny, tmp_path / "cache", mirror)
    there = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert there == [
        "usr/share/doc/tiny/copyright",
        "usr/share/tiny/index.txt",
        "usr/share/tiny/kick/a.wav",
        "usr/share/tiny/kick/b.wav",
        "usr/share/tiny/snare/same.ogg",
        "usr/share/tiny/waves/c.wav",
    ]
    assert list((tmp_path / "cache").iterdir()) == [folder]


def test_each_sound_counts_once_and_what_is_skipped_does_not(
    tiny: Package, mirror: str, tmp_path: Path
) -> None:
    fetch(tiny, tmp_path, mirror)
    assert [path.name for path in files_of(tiny, tmp_path)] == ["a.wav", "b.wav"]


def test_what_is_there_is_not_fetched_again(tiny: Package, mirror: str, tmp_path: Path) -> None:
    folder = fetch(tiny, tmp_path, mirror)
    assert fetch(tiny, tmp_path, "https://nowhere.invalid") == folder == folder_of(tiny, tmp_path)


def test_another_file_than_the_pinned_one_is_not_opened(
    tiny: Package, mirror: str, tmp_path: Path
) -> None:
    other = replace(tiny, sha256="0" * 64)
    with pytest.raises(SoundsError, match="is not the file it should be: sha256"):
        fetch(other, tmp_path / "cache", mirror)
    assert not (tmp_path / "cache").exists()


def test_without_a_network_one_line_says_what_to_do(tiny: Package, tmp_path: Path) -> None:
    with pytest.raises(SoundsError, match=r"cannot be fetched.*--mirror URL") as told:
        fetch(tiny, tmp_path, (tmp_path / "absent").as_uri())
    assert "\n" not in str(told.value)


def test_a_place_that_cannot_be_written_is_named(
    tiny: Package, mirror: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SoundsError, match=r"tiny-.* cannot be written"):
        fetch(tiny, tmp_path / "file", mirror)


def test_an_archive_without_data_is_refused() -> None:
    with pytest.raises(SoundsError, match="without data"):
        data_of(b"!<arch>\n" + member("debian-binary", b"2.0\n"))


def test_the_command_fetches_what_is_missing_and_lists_licences(
    tiny: Package,
    mirror: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sounds, "PACKAGES", (tiny,))
    assert missing(sounds.root()) == [tiny]
    assert main(["--mirror", mirror]) == 0
    assert missing(sounds.root()) == []
    assert "free" in capsys.readouterr().err


def test_the_command_says_in_one_line_that_it_is_offline(
    tiny: Package,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sounds, "PACKAGES", (tiny,))
    assert main(["--mirror", (tmp_path / "absent").as_uri()]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_every_package_is_pinned_and_has_a_licence() -> None:
    for package in sounds.PACKAGES:
        assert len(package.sha256) == 64
        assert package.licence
        assert package.file.endswith("_all.deb")
    assert len({package.name for package in sounds.PACKAGES}) == len(sounds.PACKAGES)
