"""The command as a whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from support.models import tiny_bundle
from support.node import run_cli
from typer.testing import CliRunner

from db.engine.migrate import upgrade
from dicom_node.cli.main import COMMANDS, build_app


def test_help_lists_every_command() -> None:
    """`wmh-node --help` names all commands with a line on each."""
    text = run_cli("--help").stdout
    for mount in COMMANDS:
        assert f" {mount.name} " in text


def test_every_command_explains_itself() -> None:
    """Every command has a help page."""
    app = build_app()
    for mount in COMMANDS:
        assert "Usage" in CliRunner().invoke(app, [mount.name, "--help"]).stdout, mount.name


def test_overview_says_what_each_command_says_of_itself() -> None:
    """The table that `--help` prints without loading a command agrees with each command's own help."""
    commands = typer.main.get_command(build_app()).commands  # type: ignore[attr-defined]
    for mount in COMMANDS:
        assert (commands[mount.name].help or "").startswith(mount.summary), mount.name


def test_help_loads_no_command() -> None:
    """`wmh-node --help` answers without importing any command's module."""
    program = (
        "import sys\nfrom dicom_node.cli.main import COMMANDS, build_app, build_overview\nbuild_overview()\n"
        "assert not {mount.module for mount in COMMANDS} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# What a command that asks the database has no use for, and what costs more than a tenth of its start.
_NOT_FOR_QUESTIONS = (
    "tensorflow", "keras", "openvino", "numpy", "scipy", "cv2", "highdicom", "pydicom", "pynetdicom", "gdcm",
    "reportlab", "alembic", "structlog", "httpx2", "starlette", "jinja2",
    "sqlalchemy.dialects.postgresql", "psycopg", "segmentation", "training",
)  # fmt: skip


# What a list of jobs does not name.
_NOT_FOR_LISTS = ("db.retention", "db.feedback", "db.reviews", "dicom_node.cli.feedback_words")


_SPY = """
import gc, sys
from dicom_node.cli.__main__ import run

class Spy:
    def find_spec(self, name, *_):
        if name in ("typer", "pydantic", "sqlalchemy"):
            print(gc.isenabled(), file=sys.stderr)

sys.meta_path.insert(0, Spy())
sys.argv = ["wmh-node", "jobs", "--help"]
try:
    run()
except SystemExit:
    print(gc.isenabled(), file=sys.stderr)
"""


def test_no_garbage_is_looked_for_while_a_command_is_loaded() -> None:
    """The collector takes a tenth of a start: it is off while modules are loaded, and on afterwards."""
    done = subprocess.run([sys.executable, "-c", _SPY], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["False", "False", "False", "True"]


def test_a_list_of_jobs_loads_nothing_of_removals_and_corrections() -> None:
    """Each part of the database's code costs some hundredths of a start."""
    program = (
        "import sys\nfrom dicom_node.cli.main import build_app\nbuild_app('jobs')\n"
        f"print(*sorted(set({_NOT_FOR_LISTS}) & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("arguments", [("--help",), ("jobs", "list"), ("jobs", "list", "--json"), ("status",)])
def test_a_question_loads_only_what_answers_it(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Commands that show something start fast: neither network, nor DICOM, nor log, nor the other database."""
    environment = {**os.environ, "WMH_NODE_STORAGE": str(tmp_path)}
    program = (
        "import atexit, sys\nfrom dicom_node.cli.main import main\n"
        f"atexit.register(lambda: print(*sorted(set({_NOT_FOR_QUESTIONS}) & set(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['wmh-node', *{arguments}]\nmain()\n"
    )
    upgrade(f"sqlite:///{tmp_path / 'node.sqlite'}")
    done = subprocess.run(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, env=environment, check=False
    )
    assert done.stderr.strip() == ""


def test_an_unknown_command_is_a_usage_error_with_a_suggestion() -> None:
    """A typing error ends with exit 2 and names the command that was meant."""
    assert "'serve'" in run_cli("sreve", code=2).stderr


def test_version() -> None:
    """`--version` prints the version and nothing else."""
    assert run_cli("--version").stdout.startswith("wmh-node ")


@pytest.mark.slow
def test_what_commands_write_is_kept_from_others(tmp_path: Path) -> None:
    """Images, results and their folders are for the user and the group, whatever the umask of the shell."""
    model = tiny_bundle(tmp_path / "model")
    images, results = tmp_path / "images", tmp_path / "results"
    before = os.umask(0o022)
    try:
        run_cli("phantom", "--out", images, "--slices", 12, "--matrix", 128)
        run_cli("segment", images, "--out", results, "--model", model)
    finally:
        os.umask(before)
    written = [images, *images.rglob("*"), results, *results.rglob("*")]
    assert {"seg.dcm", "measurements.json", "overlay.png"} <= {path.name for path in written}
    assert [str(path) for path in written if path.stat().st_mode & 0o007] == []


@pytest.mark.parametrize("role", ["receive", "deliver", "serve"])
@pytest.mark.slow
def test_light_roles_load_nothing_heavy(role: str) -> None:
    """Only the worker's process loads a network's runtime."""
    program = (
        "import sys\n"
        f"from dicom_node.cli.main import build_app\nbuild_app({role!r})\n"
        "import dicom_node.receive.run, dicom_node.serve.deliver_role, dicom_node.serve.supervisor\n"
        "heavy = {'tensorflow', 'keras', 'openvino', 'highdicom', 'scipy', 'cv2', 'alembic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
