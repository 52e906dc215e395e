"""What was freed does not stay with the process."""

from __future__ import annotations

import subprocess
import sys

# Small blocks, every hundredth of which is kept: the C library gives none of the rest back by itself.
_PROGRAM = """
import os
from dicom_node.node.confined.resident import resident_bytes
from dicom_node.node.free_memory import give_back_free_memory
blocks = [bytearray(50_000) for _ in range(4_000)]
kept = blocks[::100]
del blocks
before = resident_bytes(os.getpid())
give_back_free_memory()
print(before - resident_bytes(os.getpid()))
"""


def test_freed_blocks_between_used_ones_are_given_back() -> None:
    """A process that has read a long series does not hold its memory until the next one."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100_000_000
