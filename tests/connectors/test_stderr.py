"""Silence on file descriptor 2, and its end."""

import os

import pytest

from connectors.stderr import Hush


def test_silence_lasts_from_the_call_to_the_end_of_the_block(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Hush() as stderr:
        os.write(2, b"before ")
        stderr.hush()
        stderr.hush()
        os.write(2, b"panicked at ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_whoever_never_asks_for_silence_is_heard(capfd: pytest.CaptureFixture[str]) -> None:
    with Hush():
        os.write(2, b"as ever")
    assert capfd.readouterr().err == "as ever"
