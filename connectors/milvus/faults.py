"""What an error of the store means: the five ways to answer it.

Invariant: every exception has exactly one class, whatever library raised it; one that nobody knows
is taken for a store that is away, because waiting loses nothing.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, cast

import grpc
from pymilvus import MilvusException
from pymilvus.exceptions import ErrorCode

from connectors.milvus.errors import StoreError, StoreUnreachable


class Fault(Enum):
    """What to do about an error of the store."""

    RETRY = "the store is away or busy: wait and try again"
    MEND = "a collection is missing or not loaded: see to it and try again"
    POISON = "the store refuses these rows: find the guilty ones"
    DOUBT = "an unexpected answer: try a few times, then look for guilty rows"
    FATAL = "the store refuses us: a person has to act"


_CODES = {
    4: Fault.MEND,
    6: Fault.POISON,
    100: Fault.MEND,
    101: Fault.MEND,
    200: Fault.MEND,
    503: Fault.MEND,
    1100: Fault.POISON,
    1101: Fault.POISON,
    1400: Fault.FATAL,
    1401: Fault.FATAL,
    1402: Fault.FATAL,
}
_STATUSES = {
    grpc.StatusCode.UNIMPLEMENTED: Fault.FATAL,
    grpc.StatusCode.UNAUTHENTICATED: Fault.FATAL,
    grpc.StatusCode.PERMISSION_DENIED: Fault.FATAL,
    grpc.StatusCode.INVALID_ARGUMENT: Fault.POISON,
}
_CLIENT_SIDE = (ValueError, TypeError, ArithmeticError, LookupError)


def fault_of(error: Exception) -> Fault:
    """The class of an error that a call to the store raised.

    pymilvus refuses rows of the wrong shape or type before it calls the server, with exceptions
    of code 1 (``ParamError``, ``DataNotMatchException``) or with plain Python ones. A server that
    does not answer shows as code 2, as an ``RpcError``, or as an ``RpcError``'s status in the
    place of the code.
    """
    for kind, judge in _JUDGES:
        if isinstance(error, kind):
            return judge(error)
    return Fault.RETRY


def _of_milvus(error: Any) -> Fault:
    if isinstance(error.code, grpc.StatusCode):
        return _STATUSES.get(error.code, Fault.RETRY)
    if error.code == ErrorCode.UNEXPECTED_ERROR and not error.is_input_error:
        return Fault.DOUBT if type(error) is MilvusException else Fault.POISON
    return Fault.POISON if error.is_input_error else _CODES.get(error.code, Fault.RETRY)


_JUDGES: tuple[
    tuple[type[Exception] | tuple[type[Exception], ...], Callable[[Any], Fault]], ...
] = (
    (StoreUnreachable, lambda _: Fault.RETRY),
    (StoreError, lambda _: Fault.FATAL),
    (grpc.RpcError, lambda error: _STATUSES.get(error.code(), Fault.RETRY)),
    (MilvusException, _of_milvus),
    (_CLIENT_SIDE, lambda _: Fault.POISON),
)


def words_of(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, grpc.RpcError):
        return str(cast("Any", error).details() or cast("Any", error).code())
    message = getattr(error, "message", "") or str(error)
    return " ".join(str(message).split())[:400]
