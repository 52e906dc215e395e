"""The command as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.node import run_cli

from dicom_node.cli.main import COMMANDS


def test_help_lists_every_command() -> None:
    """`wmh-node --help` names all commands with a line on each."""
    text = run_cli("--help").stdout
    for mount in COMMANDS:
        assert f" {mount.name} " in text


@pytest.mark.parametrize("name", [mount.name for mount in COMMANDS])
def test_every_command_explains_itself(name: str) -> None:
    """Every command has a help page."""
    assert "Usage" in run_cli(name, "--help").stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    """A typing error ends with exit 2."""
    assert "sreve" in run_cli("sreve", code=2).stderr


def test_version() -> None:
    """`--version` prints the version and nothing else."""
    assert run_cli("--version").stdout.startswith("wmh-node ")


@pytest.mark.parametrize("role", ["receive", "deliver", "serve"])
def test_light_roles_load_nothing_heavy(role: str) -> None:
    """Only the worker's process loads a network's runtime."""
    program = (
        "import sys\n"
        f"from dicom_node.cli.main import build_app\nbuild_app({role!r})\n"
        "import dicom_node.receiving.run, dicom_node.delivering.run, dicom_node.serving.supervisor\n"
        "heavy = {'tensorflow', 'keras', 'openvino', 'highdicom', 'scipy', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
