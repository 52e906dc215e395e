"""What each action of the audit trail is in DICOM's words (PS3.15 A.5.3), as a table.

| column | meaning |
|---|---|
| event | EventID, DCM (PS3.16 CID 400) |
| kind | EventTypeCode, DCM (CID 401); none where DICOM has none |
| does | EventActionCode: C create, R read, U update, D delete, E execute |
| outcome | EventOutcomeIndicator: 0 success, 4 minor failure, 8 serious failure |

Actions that DICOM has no event for go out under our own scheme, 99WMHNODE, with the action as the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from db.audit import BACKUP, RECEIVED, ROLE_ENDED, ROLE_STARTED, SENT


@dataclass(frozen=True)
class Code:
    """A coded value."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class Event:
    """One row of the table."""

    event: Code
    kind: Code | None
    does: Literal["C", "R", "U", "D", "E"]
    outcome: Literal[0, 4, 8] = 0


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


_ACTIVITY: Final = _dcm("110100", "Application Activity")
_ACCESSED: Final = _dcm("110103", "DICOM Instances Accessed")
_TRANSFERRED: Final = _dcm("110104", "DICOM Instances Transferred")
_EXPORT: Final = _dcm("110106", "Export")
_ALERT: Final = _dcm("110113", "Security Alert")
_AUTHENTICATION: Final = _dcm("110114", "User Authentication")
_LOGIN: Final = _dcm("110122", "Login")
_ROLES_CHANGED: Final = _dcm("110136", "Security Roles Changed")
_USERS_CHANGED: Final = _dcm("110137", "User security Attributes Changed")
_SOFTWARE: Final = _dcm("110131", "Software Configuration")

EVENTS: Final[Mapping[str, Event]] = {
    ROLE_STARTED: Event(_ACTIVITY, _dcm("110120", "Application Start"), "E"),
    ROLE_ENDED: Event(_ACTIVITY, _dcm("110121", "Application Stop"), "E"),
    RECEIVED: Event(_TRANSFERRED, None, "C"),
    SENT: Event(_TRANSFERRED, None, "C"),
    "look at images": Event(_ACCESSED, None, "R"),
    "look at patient": Event(_ACCESSED, None, "R"),
    "withdraw results": Event(_ACCESSED, None, "U"),
    BACKUP: Event(_EXPORT, None, "R"),
    "log in": Event(_AUTHENTICATION, _LOGIN, "E"),
    "log out": Event(_AUTHENTICATION, _dcm("110123", "Logout"), "E"),
    "account locked": Event(_AUTHENTICATION, _LOGIN, "E", 8),
    "add account": Event(_ALERT, _USERS_CHANGED, "E"),
    "change account": Event(_ALERT, _ROLES_CHANGED, "E"),
    "remove account": Event(_ALERT, _USERS_CHANGED, "E"),
    "unlock account": Event(_ALERT, _USERS_CHANGED, "E"),
    "add token": Event(_ALERT, _USERS_CHANGED, "E"),
    "remove token": Event(_ALERT, _USERS_CHANGED, "E"),
    "add model": Event(_ALERT, _SOFTWARE, "E"),
    "promote model": Event(_ALERT, _SOFTWARE, "E"),
    "roll back model": Event(_ALERT, _SOFTWARE, "E"),
    "live model not loaded": Event(_ALERT, _SOFTWARE, "E", 8),
}


def event_of(action: str) -> Event:
    """The row of an action, or one of our own scheme."""
    return EVENTS.get(action) or Event(Code(action.replace(" ", "-")[:64], "99WMHNODE", action), None, "E")
