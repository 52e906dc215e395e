"""A confined child answers, or is lost with a reason; whatever it does, nothing is left of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.killed_child import KilledAgain

from dicom_node.node.confined.child import ConfinedChild, asked_twice
from dicom_node.node.confined.limits import Limits
from dicom_node.node.errors import ConfinedChildLost

pytestmark = pytest.mark.slow

_MEBIBYTE = 1024**2
_MODULE = """
import os, subprocess, sys, time
from dicom_node.node.confined.inside import serve

def answer(request):
    words = request.split()
    if words[0] == b"echo":
        return words[1:]
    if words[0] == b"grow":
        kept = []
        while True:
            kept.append([object() for _ in range(1000)])
    if words[0] == b"grow-elsewhere":
        subprocess.run([sys.executable, "-c", "kept = []\\nwhile True: kept.append(bytearray(1000000))"])
    if words[0] == b"turn":
        while True:
            pass
    if words[0] == b"sleep":
        time.sleep(1000)
    if words[0] == b"long":
        return [bytes(int(words[1]))]
    if words[0] == b"keep":
        globals()["kept"] = bytearray(b"x") * int(words[1])
        return [b"kept"]
    if words[0] == b"fail":
        raise NotImplementedError("Doe^Jane")
    os._exit(3)

serve("test", answer)
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ConfinedChild]]:
    """Makes children of a module that does what it is asked."""
    (tmp_path / "obedient_child.py").write_text(_MODULE)
    monkeypatch.setattr("dicom_node.node.confined.child.sys.executable", _python_that_finds(tmp_path))
    made: list[ConfinedChild] = []

    def child(
        memory: int = 200 * _MEBIBYTE, seconds: float = 600, answer: int = _MEBIBYTE, kept: int = 10**12
    ) -> ConfinedChild:
        made.append(ConfinedChild("obedient_child", Limits(memory, seconds, answer, kept)))
        return made[-1]

    yield child
    for child in made:
        child.close()


def _python_that_finds(folder: Path) -> str:
    """A child has no other way to find a module of a test's own."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexport PYTHONPATH="$PYTHONPATH:{folder}"\nexec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    return str(script)


def _family(child: ConfinedChild) -> list[psutil.Process]:
    process = psutil.Process(child.process_id)
    return [process, *process.children(recursive=True)]


def test_answers_come_whole(make: Callable[..., ConfinedChild]) -> None:
    """Parts of any length, also none, from one child that is kept."""
    child = make(answer=20 * _MEBIBYTE)
    assert child.ask(b"echo one two") == [b"one", b"two"]
    first = child.process_id
    assert child.ask(b"long 9000000") == [bytes(9000000)]
    assert child.ask(b"long 0") == [b""]
    assert child.ask(b"echo " + b"x" * 3_000_000) == [b"x" * 3_000_000]
    assert child.process_id == first


def test_a_child_that_was_started_ahead_answers(make: Callable[..., ConfinedChild]) -> None:
    """The first request does not wait for the start of a process; starting twice starts one."""
    child = make()
    child.start()
    first = child.process_id
    child.start()
    assert first is not None
    assert child.ask(b"echo ready") == [b"ready"]
    assert child.process_id == first


@pytest.mark.parametrize("request_", [b"grow", b"grow-elsewhere"])
def test_what_grows_is_ended(make: Callable[..., ConfinedChild], request_: bytes) -> None:
    """The child, or a program that it has started: all of them are gone, and the next request is answered."""
    child = make()
    child.ask(b"echo ready")
    (process,) = _family(child)
    with pytest.raises(ConfinedChildLost, match="200 MiB of memory") as caught:
        child.ask(request_)
    assert caught.value.took_too_much
    assert not process.is_running()
    assert child.process_id is None
    assert child.ask(b"echo again") == [b"again"]


def test_what_takes_too_long_is_ended(make: Callable[..., ConfinedChild]) -> None:
    """After the seconds of its limit, where it has computed in them: the request is to blame."""
    child = make(seconds=1.5)
    with pytest.raises(ConfinedChildLost, match=r"1\.5 s") as caught:
        asked_twice(child, b"turn")
    assert caught.value.took_too_much


def test_what_waits_too_long_is_ended_without_blame(make: Callable[..., ConfinedChild]) -> None:
    """Storage that is slow, or a machine that is busy: after twice that time, once, and the request is not to blame."""
    child = make(seconds=1.5)
    child.ask(b"echo ready")
    began = time.monotonic()
    with pytest.raises(ConfinedChildLost, match=r"no answer in 3.* the storage is slow") as caught:
        asked_twice(child, b"sleep")
    assert not caught.value.took_too_much
    assert 3 <= time.monotonic() - began < 6
    assert child.process_id is None


def test_an_answer_that_is_too_long_is_not_taken(make: Callable[..., ConfinedChild]) -> None:
    """This process keeps its memory, too."""
    with pytest.raises(ConfinedChildLost, match="1048576 bytes"):
        make().ask(b"long 2000000")


def test_a_child_that_ends_is_asked_twice(make: Callable[..., ConfinedChild]) -> None:
    """Once would be unfair to the request; and one that was killed between two requests is replaced unseen."""
    child = make()
    with pytest.raises(ConfinedChildLost, match="ended before it answered: exit code 3") as caught:
        asked_twice(child, b"die")
    assert not caught.value.took_too_much
    child.ask(b"echo ready")
    (process,) = _family(child)
    process.kill()
    assert asked_twice(child, b"echo again") == [b"again"]


def test_a_child_that_fails_quotes_nothing(
    make: Callable[..., ConfinedChild], capfd: pytest.CaptureFixture[str]
) -> None:
    """What its parser did not foresee is reported by kind and place; an error's text and traceback may hold a name."""
    with pytest.raises(ConfinedChildLost, match="exit code 1"):
        make().ask(b"fail")
    said = capfd.readouterr().err
    assert "unexpected NotImplementedError at obedient_child.py" in said
    assert "Doe" not in said
    assert "Traceback" not in said


def test_a_child_that_holds_much_is_replaced(make: Callable[..., ConfinedChild]) -> None:
    """Its answer counts, and the next one comes from another child."""
    child = make(kept=100 * _MEBIBYTE)
    assert child.ask(b"keep 120000000") == [b"kept"]
    assert child.process_id is None
    assert child.ask(b"echo again") == [b"again"]


def test_who_was_killed_is_not_to_blame(make: Callable[..., ConfinedChild]) -> None:
    """Killed from outside while it works, twice: reported clearly, and the request took nothing too much."""
    child = make()
    with KilledAgain(child) as killer, pytest.raises(ConfinedChildLost, match="killed, probably") as caught:
        asked_twice(child, b"sleep")
    assert killer.killed == 2
    assert not caught.value.took_too_much
