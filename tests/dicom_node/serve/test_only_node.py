"""One node on a storage folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dicom_node.node.errors import ConfigurationError
from dicom_node.serve.only_node import only_node

_HOLD = (
    "import sys,pathlib; from dicom_node.serve.only_node import only_node\n"
    "with only_node(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


def test_a_second_node_is_refused_and_hears_who_is_there(tmp_path: Path) -> None:
    """Another process that serves the folder is named; once it is gone, by kill -9 too, the folder is free."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdin is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(ConfigurationError, match=rf"process {holder.pid} on .*its own folder"),
            only_node(tmp_path),
        ):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    with only_node(tmp_path):
        assert f"process {os.getpid()}" in (tmp_path / "serve.lock").read_text()
