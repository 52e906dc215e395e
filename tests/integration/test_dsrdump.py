"""DCMTK's dsrdump prints the report."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from support.interop import NAMES, WrittenSet
from support.peers import peer

OnDisk = Callable[[str], WrittenSet]


@pytest.mark.peer("dsrdump")
@pytest.mark.parametrize("name", NAMES)
def test_dsrdump_prints_the_report(name: str, result_set_on_disk: OnDisk) -> None:
    """The whole content tree is read and the numbers are in it.

    DCMTK 3.6.7 refuses a report that refers to a Label Map Segmentation, a class that it does not know yet.
    """
    written = result_set_on_disk(name)
    for file in written.named("sr"):
        if "-labelmap" in file.name:
            continue
        done = subprocess.run([peer("dsrdump"), "+Pl", str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for volume in written.volumes_ml(file.name):
            assert any(f'"Volume")="{shown}"' in done.stdout for shown in _shown(volume)), volume
        assert done.stdout.count("Referenced Segment") == 4
        for words in ("Number of lesions", "Image Library", "Research use only", "Periventricular", "Deep"):
            assert words in done.stdout


def _shown(volume: float) -> tuple[str, str]:
    """As DS may write it; reports round volumes to what the method can resolve, 0.01 mL."""
    shortest = f"{volume:.2f}".rstrip("0").rstrip(".")
    return shortest, shortest if "." in shortest else f"{shortest}.0"
