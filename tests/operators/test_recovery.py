"""Classification of errors and what a person is told."""

import errno
import pickle
import socket
import ssl
import subprocess

import numpy as np
import pytest
import torch

from operators.recovery import DETAIL_LIMIT, diagnose, one_line, remedy_for


def raised_by(function: object, *args: object) -> BaseException:
    """A real exception, as the library raises it."""
    try:
        function(*args)  # type: ignore[operator]  # any callable
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


class MilvusUnavailableException(Exception):
    """Named as pymilvus names it."""


class RpcError(Exception):
    """Named as grpc names it."""


class RuntimeException(Exception):
    """Named as onnxruntime names it."""


class InactiveRpcError(RpcError):
    """Classes deeper in a library inherit the class of their parent."""


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (TimeoutError("late"), "timeout"),
        (subprocess.TimeoutExpired("x", 1), "timeout"),
        (MemoryError(), "memory"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), "memory"),
        (RuntimeError("CUDA error: out of memory"), "memory"),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), "memory"),
        (torch.OutOfMemoryError("Allocation on device 0 would exceed the limit"), "memory"),
        (torch.AcceleratorError("CUDA error: out of memory"), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (RuntimeException("Failed to allocate memory for requested buffer of size 8"), "memory"),
        (RuntimeError("CUDA error: device-side assert triggered"), "system"),
        (torch.AcceleratorError("CUDA error: an illegal memory access"), "system"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "connection"),
        (BrokenPipeError(), "connection"),
        (socket.gaierror(-2, "Name or service not known"), "connection"),
        (ssl.SSLError("handshake"), "connection"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "connection"),
        (MilvusUnavailableException("gone"), "connection"),
        (InactiveRpcError("gone"), "connection"),
        (OSError(errno.ENOSPC, "No space left on device"), "system"),
        (PermissionError(errno.EACCES, "Permission denied"), "system"),
        (ValueError("shape"), "validation"),
        (TypeError("not an array"), "validation"),
        (ZeroDivisionError(), "validation"),
        (KeyError("k"), "validation"),
        (ModuleNotFoundError("no torch"), "model"),
        (NotImplementedError("op"), "model"),
        (pickle.UnpicklingError("weights_only"), "model"),
    ],
)
def test_every_kind_of_error_has_its_class(error: BaseException, error_class: str) -> None:
    found = diagnose(error)
    assert found.error_class == error_class
    assert found.remedy
    assert "\n" not in found.detail + found.remedy


def test_real_allocation_failures_are_memory() -> None:
    for error in (
        raised_by(np.empty, 10**15),
        raised_by(torch.empty, 10**15),
    ):
        assert diagnose(error, default="model").error_class == "memory"


def test_a_real_shape_error_of_torch_is_the_models() -> None:
    error = raised_by(torch.matmul, torch.zeros(2, 3), torch.zeros(2, 3))
    found = diagnose(error, default="model")
    assert (found.error_class, found.retryable) == ("model", False)
    assert "weights" in found.remedy


def test_what_nothing_recognises_takes_the_callers_default() -> None:
    assert diagnose(RuntimeError("?")).error_class == "system"
    assert diagnose(RuntimeError("?"), default="model").error_class == "model"
    assert diagnose(KeyboardInterrupt(), default="model").error_class == "model"


def test_a_wrapper_takes_the_class_of_what_it_was_raised_from() -> None:
    wrapper = RuntimeError("could not load")
    wrapper.__cause__ = ConnectionResetError("peer")
    found = diagnose(wrapper, default="model")
    assert found.error_class == "connection"
    assert found.detail == "RuntimeError: could not load"


def test_a_circular_chain_of_causes_comes_to_an_end() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert diagnose(first).error_class == "system"


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free space on the disk"),
        (errno.EACCES, "access"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOENT, "check the path"),
        (errno.EIO, "check the machine"),
    ],
)
def test_system_errors_name_the_remedy_of_their_number(number: int, hint: str) -> None:
    found = diagnose(OSError(number, "x"))
    assert (found.error_class, found.severity) == ("system", "critical")
    assert hint in found.remedy


def test_a_lost_accelerator_asks_for_a_restart() -> None:
    found = diagnose(torch.AcceleratorError("CUDA error: device-side assert triggered"))
    assert "restart grym" in found.remedy
    assert not found.retryable


def test_severity_and_retry_follow_the_class() -> None:
    assert diagnose(TimeoutError()).retryable
    assert diagnose(TimeoutError()).severity == "warning"
    assert diagnose(MemoryError()).retryable
    assert not diagnose(ValueError()).retryable
    assert remedy_for("timeout") == diagnose(TimeoutError()).remedy


def test_a_message_of_many_lines_becomes_one_short_line() -> None:
    line = one_line(ValueError("first\n  second\t" + "x" * 1_000))
    assert line.startswith("ValueError: first second xxx")
    assert len(line) == DETAIL_LIMIT
    assert line.endswith("…")
    assert one_line(MemoryError()) == "MemoryError"


def test_an_exception_that_cannot_be_printed_is_still_reported() -> None:
    class Mute(RuntimeError):
        def __str__(self) -> str:
            raise ValueError("no")

    assert diagnose(Mute()).detail == "Mute"
