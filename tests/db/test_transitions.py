"""The table of job states."""

from __future__ import annotations

import itertools
import re

import pytest

from db import transitions
from db.errors import IllegalTransition
from db.records import JobState
from db.transitions import TRANSITIONS, JobAction, require_transition


def _documented() -> set[tuple[str, str, str]]:
    rows = re.findall(r"^\| (\S.*?)\s*\| (\S.*?)\s*\| (\S+)\s*\| ", transitions.__doc__ or "", re.MULTILINE)
    return {
        (action, state.strip(), to)
        for action, before, to in rows
        if action not in {"action", "-" * 13} and not action.startswith("-")
        for state in before.split(",")
    }


def test_the_docstring_is_the_table() -> None:
    """The table that people read and the one that the program obeys are the same."""
    in_code = {
        (str(action), "(new)" if old is None else str(old), str(new))
        for action, ways in TRANSITIONS.items()
        for old, after in ways.items()
        for new in after
    }
    assert _documented() == in_code


@pytest.mark.parametrize("action", JobAction)
def test_every_way(action: JobAction) -> None:
    """What the table holds is allowed; all else is refused with the state it is in and those that were expected."""
    for old, new in itertools.product([None, *JobState], JobState):
        if new in TRANSITIONS[action].get(old, frozenset()):
            require_transition(1, action, old, new)
            continue
        with pytest.raises(IllegalTransition, match=f"cannot {action} job 1: it is {old}, expected "):
            require_transition(1, action, old, new)


def test_done_is_final() -> None:
    """Nothing leads out of done."""
    assert not any(JobState.DONE in ways for ways in TRANSITIONS.values())


def test_every_state_can_be_reached() -> None:
    """No state is there for nothing."""
    assert {new for ways in TRANSITIONS.values() for after in ways.values() for new in after} == set(JobState)
