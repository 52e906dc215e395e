"""Answers when pynetdicom's own threads run late, as they do on a busy machine."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from support.dcmtk import storescp
from support.mr import mr_series
from support.processes import free_port

from dicom_node.deliver.send import echo, send_files
from dicom_node.deliver.send.answers import AnswersForTheAsker
from dicom_node.deliver.send.scu import Timeouts

pytestmark = pytest.mark.peer("storescp")

_FAST = Timeouts(connection=5, acse=5, dimse=2, network=10)
_PATIENCE_SECONDS = 10


class Unpaused(threading.Event):
    """The association thread's checkpoint, seen too late every time: it never stops there. Counts its turns."""

    turns = 0

    def wait(self, timeout=None):
        self.turns += 1
        time.sleep(0.001)
        return True


def until(holds):
    """Wait for it; a test that asks for more says so by failing."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "the association thread stands still"
        time.sleep(0.001)


@pytest.fixture
def late(monkeypatch):
    """We come to an answer only after the association thread, which nothing pauses, has looked for messages."""
    begin, ask, receive = Association.__init__, DIMSEServiceProvider.send_msg, DIMSEServiceProvider.receive_primitive
    answered = threading.Event()

    def begin_unpaused(association, *arguments, **options):
        begin(association, *arguments, **options)
        association._reactor_checkpoint = Unpaused()

    def receive_and_tell(provider, primitive):
        receive(provider, primitive)
        answered.set()

    def ask_and_dawdle(provider, primitive, context_id):
        answered.clear()
        ask(provider, primitive, context_id)
        assert answered.wait(_PATIENCE_SECONDS)
        checkpoint = provider.assoc._reactor_checkpoint
        turns = checkpoint.turns
        until(lambda: checkpoint.turns >= turns + 2)

    monkeypatch.setattr(Association, "__init__", begin_unpaused)
    monkeypatch.setattr(DIMSEServiceProvider, "receive_primitive", receive_and_tell)
    monkeypatch.setattr(DIMSEServiceProvider, "send_msg", ask_and_dawdle)


@pytest.mark.usefixtures("late")
def test_an_answer_is_not_lost_to_pynetdicoms_thread(tmp_path):
    """Its thread looks first, whatever was paused: every object and a C-ECHO still get their answers."""
    port, files = free_port(), mr_series(tmp_path / "series", 3)
    with storescp(tmp_path / "pacs", port, tmp_path / "storescp.log"):
        destination = SimpleNamespace(ae_title="PACS", host="127.0.0.1", port=port)
        assert [one.status for one in send_files(files, destination, timeouts=_FAST)] == [0, 0, 0]
        echo(destination, timeouts=_FAST)


@pytest.fixture
def asked(monkeypatch):
    """A provider without a peer, right after it asked with these (presentation context ID, message) in its queue."""
    monkeypatch.setattr(DIMSEServiceProvider, "send_msg", lambda *_: None)

    def ask(*queued):
        provider = AnswersForTheAsker(SimpleNamespace(dimse_timeout=0.01))
        for item in queued:
            provider.msg_queue.put(item)
        provider.send_msg(None, 1)
        return provider

    return ask


def test_a_message_that_nobody_asked_for_answers_nothing(asked):
    """It came before the question; the answer is what comes after."""
    provider = asked((1, "unasked"), (1, "unasked too"))
    provider.msg_queue.put((1, "answer"))
    assert provider.get_msg(block=True) == (1, "answer")


def test_the_connections_end_is_not_forgotten(asked):
    """It came before the question: who asks hears of it at once."""
    assert asked((1, "unasked"), (None, None)).msg_queue.get_nowait() == (None, None)
