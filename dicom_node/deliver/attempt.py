"""One attempt to send a result set: what may follow each status of the destination, and the outcome as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from db.engine.values import storable
from dicom_node.deliver.send import SendOutcome, StoreStatus, store_status_of
from dicom_node.node.profiles import REFERS_TO, ObjectKind, kind_of_file, kind_of_message


class Attempt:
    """Takes the answers as they come, and says after each whether sending goes on.

    An object that is not stored, whatever the answer, keeps nothing back but what refers to it: a PACS without SEG gets
    the pages that are made for it, and no report about a segmentation that it has not got. Only where there is no
    association the attempt ends.

    Args:
        files: of the result set, in sending order; what refers to others comes after them.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._going = True
        self.stored: list[Path] = []
        self.refused: list[SendOutcome] = []
        self.trouble: list[SendOutcome] = []  # what may pass: no answer, or one that says so

    def go_on(self, outcome: SendOutcome) -> bool:
        """Note the outcome of a file; False when nothing after it may be sent."""
        if not self._going:
            return False
        match store_status_of(outcome.status):
            # A duplicate is there already: our UIDs stand for the content (docs/adr/0004).
            case StoreStatus.STORED | StoreStatus.ALREADY_THERE:
                self.stored.append(outcome.path)
            case StoreStatus.REFUSED | StoreStatus.NOT_UNDERSTOOD:
                self.refused.append(outcome)
            case StoreStatus.TRY_AGAIN:
                self.trouble.append(outcome)
        self._going = not _never_asked(outcome) and not any(map(self._held_back, self._after(outcome.path)[:1]))
        return self._going

    def broke(self, words: str) -> None:
        """Sending raised an error."""
        self.trouble.append(SendOutcome(self._files[0], None, False, words))

    @property
    def sent(self) -> bool:
        """Whether the destination holds every file."""
        return not self.trouble and len(self.stored) == len(self._files)

    @property
    def is_partial(self) -> bool:
        """Whether the destination was asked for all that could be sent, and holds some files and not others."""
        not_stored = self.refused or self.trouble
        return bool(self.stored and not_stored) and not any(map(_never_asked, self.trouble))

    @property
    def may_pass(self) -> bool:
        """Whether something was not stored for a reason that may pass, or that many give who are in trouble."""
        return bool(self.trouble) or any(
            store_status_of(file.status) is StoreStatus.NOT_UNDERSTOOD for file in self.refused
        )

    def was_refused(self, tried_seconds: float, believed_after_seconds: float) -> bool:
        """Whether something was not stored, and that may be believed.

        A refusal is believed at once, unless there is other trouble. What may pass is believed after a while, and only
        of a destination that holds the other files: one in trouble says it of everything.

        Args:
            tried_seconds: for how long the set was tried.
            believed_after_seconds: how long what may pass is not believed.
        """
        if not self.may_pass:
            return bool(self.refused)
        return self.is_partial and tried_seconds >= believed_after_seconds

    @property
    def silent(self) -> bool:
        """Whether the attempt brought no answer at all."""
        answered = self.stored or self.refused or any(file.status is not None or file.answered for file in self.trouble)
        return bool(self.trouble) and not answered

    @property
    def wait_seconds(self) -> float:
        """For how long the destination asked to be left alone."""
        return max((file.wait_seconds for file in self.trouble), default=0.0)

    @property
    def report_out(self) -> bool:
        """Whether the destination has the report, or may have it: it was sent, and the answer was lost."""
        may_be_there = [*self.stored, *(file.path for file in self.trouble if file.lost)]
        return any(kind_of_file(file.name) is ObjectKind.SR or kind_of_message(file.name) for file in may_be_there)

    def words(self) -> str:
        """What was not stored and why, what was kept back for it, and what the destination has."""
        said = [_words(alike) for alike in _by_answer([*self.trouble, *self.refused])]
        tried = {*self.stored, *(file.path for file in [*self.refused, *self.trouble])}
        kept = [file for file in self._files if file not in tried]
        if kept and not any(map(_never_asked, self.trouble)):
            said.append(f"{_names(kept)} not sent, because it refers to an object that is not there")
        if self.stored and (self.refused or self.trouble):
            said.append(self._stored_words)
        return "; ".join(said)

    def is_as_before(self, words: str | None) -> bool:
        """Whether an attempt that ended with these words left the destination with the same objects, and without the
        same ones; the answers may differ: a peer may give another one each time to an object that it never takes."""
        return self.is_partial and words is not None and words.rpartition("; ")[2] == storable(self._stored_words)

    @property
    def _stored_words(self) -> str:
        return f"{_names(self.stored)} stored"

    def _after(self, file: Path) -> tuple[Path, ...]:
        return self._files[self._files.index(file) + 1 :]

    def _held_back(self, file: Path) -> bool:
        """Whether it refers to something that was not stored; a name that is none of ours may refer to anything."""
        kind = kind_of_file(file.name)
        missing = {kind_of_file(failed.path.name) for failed in [*self.refused, *self.trouble]}
        if kind is None or None in missing:
            return bool(missing)
        return bool(REFERS_TO[kind] & missing)


def _never_asked(outcome: SendOutcome) -> bool:
    """Whether the destination has not seen the object, or looked at it: no association, no login, no readable file."""
    return outcome.status is None and not outcome.lost


def _by_answer(outcomes: Iterable[SendOutcome]) -> list[list[SendOutcome]]:
    """Those with the same answer together, in the order of the first of them."""
    found: dict[tuple[int | None, str], list[SendOutcome]] = {}
    for outcome in outcomes:
        found.setdefault((outcome.status, outcome.detail), []).append(outcome)
    return list(found.values())


def _words(alike: Sequence[SendOutcome]) -> str:
    first = alike[0]
    if first.status is None and not first.answer:
        return f"{_names([file.path for file in alike])}: {_without_status(first)}"
    status = first.answer or f"status 0x{first.status:04X}"
    return f"{_names([file.path for file in alike])}: {status}" + (f" ({first.detail})" if first.detail else "")


def _without_status(outcome: SendOutcome) -> str:
    """A refused association is an answer, and no object was sent then: the detail says what there was."""
    if outcome.lost and not outcome.detail.startswith("no answer"):
        return f"no answer ({outcome.detail})" if outcome.detail else "no answer"
    return outcome.detail or "no answer"


def _names(files: Iterable[Path]) -> str:
    return ", ".join(file.name for file in files)
