"""What an HL7 acknowledgment means for a message (HL7 v2.5.1, 2.9.2): one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from dicom_node.deliver.private_words import without
from dicom_node.node.hl7_text import Message, NotHl7, parse_message


class Verdict(Enum):
    """ACCEPTED: the receiver has it. REFUSED: it will not take this message. LATER: not now."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    LATER = "later"


@dataclass(frozen=True)
class Acknowledged:
    """The meaning of one acknowledgment. `code`: MSA-1; `words`: what it says, and what to do."""

    verdict: Verdict
    code: str
    words: str


# MSA-1, HL7 table 0008. The C codes are those of the enhanced mode, which we do not ask for and some send.
_ACCEPTED: Final = ("AA", "CA")
_ERROR: Final = ("AE", "CE")
_REJECT: Final = ("AR", "CR")
# ERR-3, HL7 table 0357: rejects that do not pass, because message type, event, processing ID or version are not taken.
# All other rejects are for reasons that are not in the message: "system down, internal error" (2.9.2.2).
_NEVER_TAKEN: Final = ("200", "201", "202", "203")
_SET_UP: Final = "set it up for ORU^R01 of version 2.5.1, processing ID P"
# Of the patient: identifier, name and date of birth in PID; order numbers and accession number in OBR.
_OF_THE_PATIENT: Final = (("PID", 3), ("PID", 5), ("PID", 7), ("OBR", 2), ("OBR", 18))


def acknowledged(answer: bytes, sent: Message) -> Acknowledged:
    """What an answer says about the message that was sent.

    Raises:
        NotHl7: it is no acknowledgment, or one of another message.
    """
    message = parse_message(answer)
    said = message.first("MSA")
    code, control_id = said.component(1).upper(), said.component(2)
    if code not in (*_ACCEPTED, *_ERROR, *_REJECT):
        raise NotHl7("its answer is no acknowledgment: MSA-1 is none of AA, AE, AR")
    if control_id != sent.header.component(10):
        raise NotHl7("its acknowledgment is about another message: MSA-2 is not our control ID")
    words = without("; ".join(_words(message)), _secrets(sent))
    if code in _ACCEPTED:
        return Acknowledged(Verdict.ACCEPTED, code, words)
    if code in _ERROR:
        return Acknowledged(Verdict.REFUSED, code, words or "it found an error, and does not say which")
    if any(row.component(3) in _NEVER_TAKEN for row in message.all("ERR")):
        return Acknowledged(Verdict.REFUSED, code, f"{words}: {_SET_UP}")
    return Acknowledged(Verdict.LATER, code, words or "it cannot take messages now, and does not say why")


def _words(message: Message) -> Iterator[str]:
    """What a person may read: MSA-3, and of each ERR the code's words, the place, and the text for users."""
    found = dict.fromkeys([message.first("MSA").component(3)])
    for row in message.all("ERR"):
        place = row.field(2).replace("^", "-").strip("-")
        code = " ".join(part for part in (row.component(3), row.component(3, 2)) if part)
        found[f"{code} in {place}" if code and place else code] = None
        found[row.component(7)] = None  # diagnostic information
        found[row.component(8)] = None  # user message
    return (words for words in found if words)


def _secrets(sent: Message) -> list[str]:
    return [
        sent.first(name).component(number, part)
        for name, number in _OF_THE_PATIENT
        for part in range(1, 6)
        if sent.first(name).component(number, part)
    ]
