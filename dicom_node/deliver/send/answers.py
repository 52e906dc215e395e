"""Answers reach the one who asked.

pynetdicom's association thread looks for messages of the peer as well. `send_c_store` pauses it, but the flag that says
so lags: on a busy machine the thread, woken after the last object, reads on during the next one. It then takes that
object's answer for an unexpected message and drops it, and the object waits until its timeout.
"""

from __future__ import annotations

from queue import Empty
from typing import Any

from pynetdicom.dimse import DIMSEServiceProvider


class AnswersForTheAsker(DIMSEServiceProvider):  # type: ignore[misc]
    """The messages of an association in which only we ask: the association's thread gets none of them."""

    def get_msg(self, block: bool = False) -> tuple[Any, Any]:
        """The next (presentation context ID, message), for who waits; (None, None) for who only looks, or in vain."""
        return super().get_msg(block=True) if block else (None, None)

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Ask; what came before, without a question, is not the answer to this one."""
        self._drop_unasked()
        super().send_msg(primitive, context_id)

    def _drop_unasked(self) -> None:
        try:
            while self.msg_queue.get_nowait() != (None, None):
                pass
        except Empty:
            return
        self.msg_queue.put((None, None))  # the connection's end: who asks now must not wait
