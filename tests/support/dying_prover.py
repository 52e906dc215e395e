"""Sends what is due and asks for its proof, and kills itself with SIGKILL at a chosen step:

    python dying_prover.py STORAGE URL PORT COMMIT|VERIFY POINT WHEN

POINT is a step of `POINTS`; WHEN is `before` or `after` it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # before it: tests/ has folders of the packages' names

from support.clock import ManualClock
from support.proving import proving

from db.deliveries import DeliveryTable
from db.proofs import ProofTable
from dicom_node.node.destinations import Destination
from dicom_node.serve.peer_calls import PeerCalls

POINTS: dict[str, tuple[Any, str]] = {
    "stored there": (DeliveryTable, "sent"),
    "claim": (ProofTable, "claim"),
    "row of the question": (ProofTable, "begin"),
    "question": (PeerCalls, "ask"),
    "report": (ProofTable, "report"),
    "wait for a report": (ProofTable, "asked"),
    "look-up": (PeerCalls, "find_missing"),
    "listed": (ProofTable, "proven"),
}


def destination(port: int, proof: str) -> Destination:
    """The PACS, with its proof."""
    return Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port, **{proof: True})


def arm(point: str, when: str) -> None:
    """Replace a step by one that dies."""
    owner, name = POINTS[point]
    step: Callable[..., Any] = getattr(owner, name)

    def dying(*arguments: Any, **keywords: Any) -> Any:
        if when == "after":
            step(*arguments, **keywords)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dying)


if __name__ == "__main__":
    storage, url, port, proof, point, when = sys.argv[1:]
    arm(point, when)
    with proving(Path(storage), url, {"pacs": destination(int(port), proof)}, ManualClock()) as node:
        while node.deliverer.deliver_once():
            pass
        while node.prover.prove_once():
            pass
