"""``watch:DIR``: the audio files of a folder as they become whole, as one stream that never ends.

Which file is next is decided by ``connectors.settle`` from what ``connectors.lookout`` sees; it
is read as a file of any folder is (``connectors.files``), 10 s after the one before.

Invariant: what was decided is numbered and written down, and every mark says how many decisions
lie before it; so a later run repeats exactly those that follow, in the order they were made,
whatever became of the folder meanwhile.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from connectors.chunks import Break, Chunk, Clock, RawItem, ReadOptions, Resume, State
from connectors.decode import DecodeError
from connectors.files import Files
from connectors.folder import suffixes
from connectors.lookout import LOOK_EVERY_S, Lookout
from connectors.settle import EMPTY_S, SETTLE_S, Finding, Look, Settling
from operators.records import SourceCondition, SourceState

ASK_AGAIN_NS = 20_000_000
MOST_DECISIONS = 256
"""Written down: far more than can lie between a mark and what was decided last."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How a folder is watched.

    Attributes:
        settle_s: how long a file must have stood still before it is taken as whole.
        every_s: seconds between two listings.
    """

    settle_s: float = SETTLE_S
    every_s: float = LOOK_EVERY_S


def derived_name(target: str) -> str:
    """Stream id where nobody gave one: the name of the folder.

    Raises:
        ValueError: no folder is named.
    """
    path = _folder(target)
    name = path.name if path.name not in ("", "..") else path.absolute().resolve().name
    if not target.partition(":")[2] or not name:
        raise ValueError(
            f"source '{target}': no folder whose name the stream could have;"
            " name the stream and the folder, as in: day=watch:/data/in"
        )
    return name


class Watch(Files):
    """Source of the one stream of a watched folder (see ``connectors.chunks.Source``)."""

    live: ClassVar[bool] = False
    resumes: ClassVar[bool] = True
    ends: ClassVar[bool] = False
    divides: ClassVar[bool] = False

    def __init__(
        self, name: str, target: str, options: ReadOptions, resume: Resume | None = None
    ) -> None:
        mark = resume.marks.get(name, {}) if resume else {}
        self._watched = Watched(
            _folder(target),
            options.of("watch", WatchOptions),
            options.clock,
            resume.source.get("watched") if resume else None,
            mark.get("decided", 0),
        )
        super().__init__(name, target, options, resume)

    def _open_catalogue(self, target: str, mark: State, state: State) -> "Watched":
        del target, mark, state
        return self._watched

    def next(self) -> list[RawItem]:
        """How the folder is, where that changed, and a piece of work as in any folder."""
        items = [self._numbered(item) for item in super().next()]
        states = self._watched.states()
        return [*(SourceState(self._stream, state, said) for state, said in states), *items]

    def _numbered(self, item: RawItem) -> RawItem:
        """A mark within a file repeats the decision to hear it; one behind it does not."""
        if not isinstance(item, Chunk | Break) or not item.mark:
            return item
        decided = self._watched.decided - isinstance(item, Chunk)
        return replace(item, mark={**item.mark, "decided": decided})


class Watched:
    """The catalogue of a folder that is watched (see ``connectors.files.Catalogue``).

    Args:
        folder: the folder.
        own: how it is watched.
        clock: dates what is seen.
        state: what ``snapshot`` returned in an earlier run.
        decided: decisions before the mark from which to go on.

    Attributes:
        decided: decisions that were handed over.
        complete: there is no such folder.

    Raises:
        ValueError: ``state`` is of another version, or does not go back as far as the mark.
    """

    known: list[Path] | None = None
    wait_ns = ASK_AGAIN_NS

    def __init__(
        self,
        folder: Path,
        own: WatchOptions,
        clock: Clock,
        state: Mapping[str, State] | None,
        decided: int,
    ) -> None:
        self.decided = decided
        self.complete = False
        self._folder = folder
        self._own = own
        self._clock = clock
        self._settling = Settling(own.settle_s, state["settling"] if state else None)
        log: State = state["log"] if state else {"first": 0, "decisions": []}
        self._first: int = log["first"]
        self._log = deque(Finding(verdict, name) for verdict, name in log["decisions"])
        if not self._first <= decided <= self._first + len(self._log):
            raise ValueError(f"a state that does not go back to where {folder} was heard")
        self._found = state is not None
        self._away = False
        self._states: list[tuple[SourceCondition, str]] = []
        self._lookout: Lookout | None = None

    def next(self) -> Path | None:
        """The whole file that is next; None where there is none now.

        Raises:
            DecodeError: something is to be said of the folder or a file in it.
        """
        if self.decided == self._first + len(self._log):
            self._decide()
        at = self.decided - self._first
        if at == len(self._log):
            return None
        self.decided += 1
        finding = self._log[at]
        if finding.verdict != "whole":
            raise _remark(self._folder / finding.name, finding)
        return self._folder / finding.name

    def states(self) -> list[tuple[SourceCondition, str]]:
        """How the folder is, where that changed since this was asked last."""
        states, self._states = self._states, []
        return states

    def snapshot(self) -> State:
        """What was heard, and the latest decisions."""
        log = [[finding.verdict, finding.name] for finding in self._log]
        return {
            "watched": {
                "settling": self._settling.snapshot(),
                "log": {"first": self._first, "decisions": log},
            }
        }

    def close(self) -> None:
        """No longer look."""
        if self._lookout is not None:
            self._lookout.close()

    def _decide(self) -> None:
        """Take in what was seen, and write down what is to be done next."""
        if self._lookout is None:
            known = self._settling.heard
            self._lookout = Lookout(self._folder, _audible, self._clock, known, self._own.every_s)
        look = self._lookout.take()
        if isinstance(look, OSError):
            self._miss(look)
        elif look is not None:
            self._find(look)
        if (finding := self._settling.next()) is not None:
            self._log.append(finding)
            if len(self._log) > MOST_DECISIONS:
                self._log.popleft()
                self._first += 1

    def _find(self, look: Look) -> None:
        if self._away:
            self._states.append(("live", f"{self._folder}: is there again"))
        self._found, self._away = True, False
        self._settling.show(look)

    def _miss(self, error: OSError) -> None:
        """A folder that was never there is an error; one that went away is waited for."""
        if not self._found:
            self.complete = True
            reason = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
            raise DecodeError(
                reason,
                f"{self._folder}: cannot be watched ({error.strerror})",
                "name a folder that exists and may be read",
            )
        if not self._away:
            detail = f"{self._folder}: cannot be listed ({error.strerror}); watched for its return"
            self._states.append(("degraded", detail))
        self._away = True


_REMARKS: Mapping[str, tuple[str, str]] = {
    "changed": (
        "changed after it was taken as whole, and is not heard again",
        "let what writes it use a hidden name, or one ending in .part, and rename it at the end",
    ),
    "empty": (
        f"has stayed at 0 bytes for {EMPTY_S:.0f} s",
        "check what writes it; it is heard once there is something in it",
    ),
}


def _remark(path: Path, finding: Finding) -> DecodeError:
    said, remedy = _REMARKS[finding.verdict]
    return DecodeError(finding.verdict, f"{path}: {said}", remedy)


def _folder(target: str) -> Path:
    return Path(target.partition(":")[2])


def _audible(name: str) -> bool:
    """Whether a file is audio by its name; others are passed over, as in any folder."""
    return name.rpartition(".")[2].lower() in suffixes()
