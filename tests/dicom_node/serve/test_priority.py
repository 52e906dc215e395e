"""A worker beside a receiver leaves it the processor; a worker on its own machine keeps its priority."""

import os
import subprocess
import sys

import pytest

from dicom_node.serve.role import SUPERVISED_VARIABLE

_PROGRAM = (
    "import os; from dicom_node.serve.role import give_way_to_the_receiver as give_way;"
    "before = os.nice(0); give_way(); print(os.nice(0) - before)"
)


@pytest.mark.parametrize(("supervised", "lowered"), [("1", True), ("", False)])
def test_only_a_supervised_worker_gives_way(supervised: str, lowered: bool) -> None:
    """The priority drops under `serve` and nowhere else."""
    environment = os.environ | {SUPERVISED_VARIABLE: supervised}
    out = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    assert (int(out.stdout) > 0) is lowered
