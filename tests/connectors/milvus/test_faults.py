import grpc
import pytest
from pymilvus import MilvusException
from pymilvus.exceptions import DataNotMatchException, ParamError

from connectors.milvus.errors import StoreUnreachable, StoreVersion
from connectors.milvus.faults import Fault, fault_of, words_of


class Refusal(grpc.RpcError):
    def __init__(self, status: grpc.StatusCode, words: str = "") -> None:
        self._status, self._words = status, words

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return self._words


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (MilvusException(2, "refused"), Fault.RETRY),
        (MilvusException(8, "rate limit"), Fault.RETRY),
        (MilvusException(6, "wrong dimension"), Fault.POISON),
        (MilvusException(1100, "invalid parameter"), Fault.POISON),
        (MilvusException(65535, "mistake", is_input_error=True), Fault.POISON),
        (MilvusException(100, "no collection"), Fault.MEND),
        (MilvusException(101, "not loaded"), Fault.MEND),
        (MilvusException(1, "unexpected"), Fault.DOUBT),
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
    ],
)
def test_every_error_has_its_class(error: Exception, fault: Fault) -> None:
    assert fault_of(error) is fault


def test_words_are_one_line() -> None:
    assert words_of(MilvusException(2, "two\nlines")) == "two lines"
    assert words_of(ValueError("plain")) == "plain"
    assert words_of(Refusal(grpc.StatusCode.UNAVAILABLE, "down")) == "down"
    assert words_of(Refusal(grpc.StatusCode.UNAVAILABLE)) == "StatusCode.UNAVAILABLE"
