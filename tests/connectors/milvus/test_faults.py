import grpc
import pytest
from pymilvus import MilvusException
from pymilvus.exceptions import ConnectError, DataNotMatchException, ParamError

from connectors.milvus.errors import StoreUnreachable, StoreVersion
from connectors.milvus.faults import Fault, fault_of, no_collection, words_of


class Refusal(grpc.RpcError):
    def __init__(self, status: grpc.StatusCode, words: str = "") -> None:
        self._status, self._words = status, words

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return self._words


@pytest.mark.parametrize(
    ("error", "on_lite", "on_a_server"),
    [
        (MilvusException(2, "refused"), Fault.RETRY, Fault.RETRY),
        (MilvusException(8, "rate limit"), Fault.RETRY, Fault.RETRY),
        (MilvusException(4, "no collection, or too many requests"), Fault.MEND, Fault.RETRY),
        (MilvusException(6, "wrong dimension, or routing"), Fault.POISON, Fault.RETRY),
        (MilvusException(1, "mistake, or not ready"), Fault.DOUBT, Fault.RETRY),
        (MilvusException(message="wait for loading timeout"), Fault.DOUBT, Fault.RETRY),
        (MilvusException(10, "not here"), Fault.RETRY, Fault.RETRY),
        (MilvusException(1100, "recovering", retriable=True), Fault.POISON, Fault.RETRY),
        (MilvusException(65535, "a mistake in the server"), Fault.DOUBT, Fault.DOUBT),
        (ConnectError(message="gone"), Fault.DOUBT, Fault.RETRY),
        *(
            (error, fault, fault)
            for error, fault in [
                (MilvusException(1100, "invalid parameter"), Fault.POISON),
                (MilvusException(1102, "too large"), Fault.POISON),
                (MilvusException(65535, "mistake", is_input_error=True), Fault.POISON),
                (MilvusException(1, "mistake", is_input_error=True), Fault.POISON),
                (MilvusException(100, "no collection"), Fault.MEND),
                (MilvusException(101, "not loaded"), Fault.MEND),
                (MilvusException(1400, "who are you"), Fault.FATAL),
                (MilvusException(grpc.StatusCode.UNAVAILABLE, "gave up"), Fault.RETRY),
                (ParamError(message="row"), Fault.POISON),
                (DataNotMatchException(message="field"), Fault.POISON),
                (Refusal(grpc.StatusCode.DEADLINE_EXCEEDED), Fault.RETRY),
                (Refusal(grpc.StatusCode.UNIMPLEMENTED), Fault.FATAL),
                (Refusal(grpc.StatusCode.UNAUTHENTICATED), Fault.FATAL),
                (Refusal(grpc.StatusCode.INVALID_ARGUMENT), Fault.POISON),
                (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), Fault.POISON),
                (TypeError("row"), Fault.POISON),
                (StoreUnreachable("gone"), Fault.RETRY),
                (StoreVersion("other"), Fault.FATAL),
                (OSError("network"), Fault.RETRY),
            ]
        ),
    ],
)
def test_every_error_has_its_class_on_lite_and_on_a_server(
    error: Exception, on_lite: Fault, on_a_server: Fault
) -> None:
    assert fault_of(error, lite=True) is on_lite
    assert fault_of(error, lite=False) is on_a_server


def test_a_busy_server_is_not_taken_for_a_missing_collection() -> None:
    busy = MilvusException(4, "request limit exceeded", retriable=True)
    assert no_collection(busy, lite=True)
    assert not no_collection(busy, lite=False)
    for lite in (True, False):
        assert no_collection(MilvusException(100, "gone"), lite=lite)
        assert not no_collection(Refusal(grpc.StatusCode.UNAVAILABLE), lite=lite)


def test_words_are_one_line() -> None:
    assert words_of(MilvusException(2, "two\nlines")) == "two lines"
    assert words_of(ValueError("plain")) == "plain"
    assert words_of(Refusal(grpc.StatusCode.UNAVAILABLE, "down")) == "down"
    assert words_of(Refusal(grpc.StatusCode.UNAVAILABLE)) == "StatusCode.UNAVAILABLE"
