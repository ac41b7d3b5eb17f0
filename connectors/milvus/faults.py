"""What an error of the store means: the five ways to answer it.

Milvus Lite and a server use the low codes differently: on Lite 4 is a missing collection and 6 a
row it refuses, on a server (``merr`` of Milvus 2.4 and later) 1 to 10 say that the service is
starting, busy, limited or routing, which passes.

Invariant: every exception has exactly one class, whatever library raised it; one that nobody knows
is taken for a store that is away, because waiting loses nothing.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, cast

import grpc
from pymilvus import MilvusException
from pymilvus.exceptions import (
    DataNotMatchException,
    DataTypeNotMatchException,
    DataTypeNotSupportException,
    ErrorCode,
    FieldTypeException,
    ParamError,
    PrimaryKeyException,
)

from connectors.milvus.errors import StoreError, StoreUnreachable


class Fault(Enum):
    """What to do about an error of the store."""

    RETRY = "the store is away or busy: wait and try again"
    MEND = "a collection is missing or not loaded: see to it and try again"
    POISON = "the store refuses these rows: find the guilty ones"
    DOUBT = "an unexpected answer: a row is guilty only if the store takes others meanwhile"
    FATAL = "the store refuses us: a person has to act"


_CODES = {
    100: Fault.MEND,
    101: Fault.MEND,
    200: Fault.MEND,
    503: Fault.MEND,
    1100: Fault.POISON,
    1101: Fault.POISON,
    1102: Fault.POISON,
    1400: Fault.FATAL,
    1401: Fault.FATAL,
    1402: Fault.FATAL,
    65535: Fault.DOUBT,
}
_LITE_CODES = _CODES | {
    int(ErrorCode.UNEXPECTED_ERROR): Fault.DOUBT,
    4: Fault.MEND,
    6: Fault.POISON,
}
_SERVICE_CODES = range(1, 11)
"""Of a server: it is there, but not for us just now."""
_STATUSES = {
    grpc.StatusCode.UNIMPLEMENTED: Fault.FATAL,
    grpc.StatusCode.UNAUTHENTICATED: Fault.FATAL,
    grpc.StatusCode.PERMISSION_DENIED: Fault.FATAL,
    grpc.StatusCode.INVALID_ARGUMENT: Fault.POISON,
}
_REFUSED_BY_THE_CLIENT = (
    *(ParamError, PrimaryKeyException, FieldTypeException),
    *(DataNotMatchException, DataTypeNotMatchException, DataTypeNotSupportException),
    *(ValueError, TypeError, ArithmeticError, LookupError),
)


def fault_of(error: Exception, *, lite: bool) -> Fault:
    """The class of an error that a call to the store raised.

    pymilvus refuses rows of the wrong shape or type before it calls the server, with exceptions
    of code 1 (``ParamError``, ``DataNotMatchException``) or with plain Python ones. A server that
    does not answer shows as code 2, as an ``RpcError``, or as an ``RpcError``'s status in the
    place of the code.

    Args:
        error: what was raised.
        lite: Milvus Lite answers, whoever runs it.
    """
    for kind, judge in _JUDGES:
        if isinstance(error, kind):
            return judge(error, lite)
    return Fault.RETRY


def no_collection(error: Exception, *, lite: bool) -> bool:
    """The error says that the collection asked for does not exist."""
    codes = (100, 4) if lite else (100,)
    return isinstance(error, MilvusException) and error.code in codes


def _of_milvus(error: Any, lite: bool) -> Fault:
    if isinstance(error.code, grpc.StatusCode):
        return _STATUSES.get(error.code, Fault.RETRY)
    if error.is_input_error:
        return Fault.POISON
    if lite:
        return _LITE_CODES.get(error.code, Fault.RETRY)
    if error.retriable or error.code in _SERVICE_CODES:
        return Fault.RETRY
    return _CODES.get(error.code, Fault.RETRY)


_JUDGES: tuple[
    tuple[type[Exception] | tuple[type[Exception], ...], Callable[[Any, bool], Fault]], ...
] = (
    (StoreUnreachable, lambda *_: Fault.RETRY),
    (StoreError, lambda *_: Fault.FATAL),
    (grpc.RpcError, lambda error, _: _STATUSES.get(error.code(), Fault.RETRY)),
    (_REFUSED_BY_THE_CLIENT, lambda *_: Fault.POISON),
    (MilvusException, _of_milvus),
)


def words_of(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, grpc.RpcError):
        return str(cast("Any", error).details() or cast("Any", error).code())
    message = getattr(error, "message", "") or str(error)
    return " ".join(str(message).split())[:400]
