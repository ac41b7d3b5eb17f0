"""``kafka://host:port[,host:port]/topic[?from=...&stream=ID]``: what it means.

Invariant: an address never holds credentials, and what is refused for holding them is not
repeated. It opens nothing and knows no driver.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias
from urllib.parse import unquote

Start: TypeAlias = Literal["earliest", "latest"] | int
"""Where a topic is heard from: its first or its next message, or epoch milliseconds."""

SCHEME = "kafka"
DEFAULT_PORT = 9_092
LONGEST_TOPIC = 249
_TOPIC = re.compile(rf"[A-Za-z0-9._-]{{1,{LONGEST_TOPIC}}}")
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]/@]+)(?::(?P<port>\d{1,5}))?")
_FORM = f"{SCHEME}://host:port[,host:port]/topic[?from=earliest|latest|<time>&stream=ID]"
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORDS: dict[str, Start] = {"earliest": "earliest", "latest": "latest"}


@dataclass(frozen=True, slots=True)
class Address:
    """A topic on a cluster of brokers, and which part of it is meant.

    Attributes:
        servers: "host:port" of the brokers to ask first, as given.
        topic: name of the topic.
        start: from where it is heard when nothing is resumed.
        stream: the only message key to listen to; "" for all.
    """

    servers: tuple[str, ...]
    topic: str
    start: Start = "latest"
    stream: str = ""


def parse(target: str) -> Address:
    """The meaning of a target.

    Raises:
        ValueError: it means nothing; the message is one line for a person.
    """
    plain, _, query = target.partition("?")
    if "@" in plain or ("@" in target and "/" not in plain.removeprefix(f"{SCHEME}://")):
        raise ValueError(
            "kafka source: credentials do not belong in the address; give user name and password"
            " by the settings of kafka (environment variables or the configuration file)"
        )
    authority, _, topic = plain.removeprefix(f"{SCHEME}://").partition("/")
    if not plain.startswith(f"{SCHEME}://") or not topic:
        raise ValueError(f"kafka source '{plain}': no topic is named; write {_FORM}")
    start, stream = _query(plain, query)
    return Address(_servers(plain, authority), _topic(plain, topic), start, stream)


def derived_name(target: str) -> str:
    """What a source is called that was given no name: its topic.

    Raises:
        ValueError: the target means nothing; the message is one line for a person.
    """
    return parse(target).topic


def _servers(plain: str, authority: str) -> tuple[str, ...]:
    servers = []
    for server in authority.split(","):
        match = _SERVER.fullmatch(server)
        port = int(match["port"] or DEFAULT_PORT) if match else 0
        if match is None or not 1 <= port <= 65_535:
            raise ValueError(
                f"kafka source '{plain}': '{server}' is not the address of a broker;"
                " write host:port, several with commas between them"
            )
        servers.append(f"{match['host']}:{port}")
    return tuple(dict.fromkeys(servers))


def _topic(plain: str, topic: str) -> str:
    if _TOPIC.fullmatch(topic) is None or topic in {".", ".."}:
        raise ValueError(
            f"kafka source '{plain}': '{topic}' cannot be the name of a topic; Kafka allows"
            f" letters, digits, '.', '_' and '-', at most {LONGEST_TOPIC} of them"
        )
    return topic


def _query(plain: str, query: str) -> tuple[Start, str]:
    start: Start = "latest"
    stream = ""
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        # A plus sign is kept: it belongs to the zone of a time.
        value = unquote(value)
        if key == "from":
            start = _start(plain, value)
        elif key == "stream" and value:
            stream = value
        else:
            raise ValueError(
                f"kafka source '{plain}': '{key}' means nothing here; known are"
                " from=earliest|latest|<time> and stream=ID"
            )
    return start, stream


def _start(plain: str, value: str) -> Start:
    if value in _WORDS:
        return _WORDS[value]
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(
            f"kafka source '{plain}': from={value} is neither earliest, latest nor a time;"
            " write a time as 2026-11-23T08:00:00+01:00 (UTC where no zone is given)"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _UNIX_EPOCH
    return max(0, since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000)
