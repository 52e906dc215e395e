"""One attempt to send a result set: what may follow each answer of the destination, and what came of it in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from dicom_node.deliver.patience import BELIEVED_AFTER_SECONDS
from dicom_node.deliver.send import SendOutcome, StoreStatus, store_status_of
from dicom_node.node.profiles import REFERS_TO, ObjectKind, kind_of_file


class Attempt:
    """Takes the answers as they come, and says after each whether sending goes on.

    An object that is refused keeps nothing back but what refers to it: a PACS without SEG gets the pages that
    are made for it, and no report about a segmentation that it has not got. Any other trouble ends the attempt.

    Args:
        files: of the result set, in sending order; what refers to others comes after them.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._going = True
        self.stored: list[Path] = []
        self.refused: list[SendOutcome] = []
        self.trouble: SendOutcome | None = None

    def go_on(self, outcome: SendOutcome) -> bool:
        """Note what became of a file; False when nothing after it may be sent, and of what was not tried for that."""
        if not self._going:
            return False
        match store_status_of(outcome.status):
            # A duplicate is there already: our UIDs stand for the content (docs/adr/0004).
            case StoreStatus.STORED | StoreStatus.ALREADY_THERE:
                self.stored.append(outcome.path)
            case StoreStatus.REFUSED | StoreStatus.NOT_UNDERSTOOD:
                self.refused.append(outcome)
            case StoreStatus.TRY_AGAIN:
                self.trouble = outcome
        self._going = self.trouble is None and not any(map(self._held_back, self._after(outcome.path)[:1]))
        return self._going

    def broke(self, words: str) -> None:
        """Sending raised an error."""
        self.trouble = SendOutcome(self._files[0], None, False, words)

    @property
    def sent(self) -> bool:
        """Whether the destination holds every file."""
        return self.trouble is None and len(self.stored) == len(self._files)

    def was_refused(self, waited_seconds: float) -> bool:
        """Whether something was refused, and that may be believed.

        Not beside other trouble, which may pass; nor sooner than `BELIEVED_AFTER_SECONDS` says. Nor "cannot understand"
        from one that holds no file of the set: a destination in trouble says that of everything.

        Args:
            waited_seconds: since the set was first due.
        """
        if self.trouble is not None or not self.refused:
            return False
        said = {store_status_of(one.status) for one in self.refused}
        if any(waited_seconds < BELIEVED_AFTER_SECONDS[answer] for answer in said):
            return False
        return bool(self.stored) or said == {StoreStatus.REFUSED}

    @property
    def silent(self) -> bool:
        """Whether the attempt ended without an answer."""
        return self.trouble is not None and self.trouble.status is None

    @property
    def report_out(self) -> bool:
        """Whether the destination has the report, or may have it: it was sent, and the answer was lost."""
        answered = [*self.stored, *(one.path for one in self.refused)]
        next_one = [file for file in self._files if file not in answered][:1]
        may_be_there = [*self.stored, *(next_one if self.silent else [])]
        return any(kind_of_file(file.name) is ObjectKind.SR for file in may_be_there)

    def words(self) -> str:
        """What was not stored and why, what was kept back for it, and what is there all the same."""
        said = [] if self.trouble is None else [_words([self.trouble])]
        said += [_words(alike) for alike in _by_answer(self.refused)]
        tried = {*self.stored, *(one.path for one in self.refused)}
        if self.trouble is None and (kept := [file for file in self._files if file not in tried]):
            said.append(f"{_names(kept)} not sent, since it refers to what was refused")
        if self.refused and self.stored:
            said.append(f"{_names(self.stored)} stored")
        return "; ".join(said)

    def _after(self, file: Path) -> tuple[Path, ...]:
        return self._files[self._files.index(file) + 1 :]

    def _held_back(self, file: Path) -> bool:
        """Whether it refers to something that was refused; a name that is none of ours may refer to anything."""
        kind = kind_of_file(file.name)
        refused = {kind_of_file(one.path.name) for one in self.refused}
        if kind is None or None in refused:
            return bool(refused)
        return bool(REFERS_TO[kind] & refused)


def _by_answer(outcomes: Iterable[SendOutcome]) -> list[list[SendOutcome]]:
    """Those with the same answer together, in the order of the first of them."""
    found: dict[tuple[int | None, str], list[SendOutcome]] = {}
    for outcome in outcomes:
        found.setdefault((outcome.status, outcome.detail), []).append(outcome)
    return list(found.values())


def _words(alike: Sequence[SendOutcome]) -> str:
    first = alike[0]
    status = "no answer" if first.status is None else f"status 0x{first.status:04X}"
    return f"{_names([one.path for one in alike])}: {status}" + (f" ({first.detail})" if first.detail else "")


def _names(files: Iterable[Path]) -> str:
    return ", ".join(file.name for file in files)
