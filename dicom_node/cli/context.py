"""What every command needs: the settings, output as text or JSON, and errors turned into exit codes.

Exit codes: 0 done, 2 usage, 3 input not analysable (reason on stderr), 1 any other failure.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dicom_node.node.errors import ConfigurationError, NotAnalysable, WmhNodeError
from dicom_node.node.settings import Settings, load_settings


class ExitCode(IntEnum):
    """The exit code for the caller."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_ANALYSABLE = 3


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="WMH_NODE_CONFIG", help="TOML file with settings; WMH_NODE_... variables win over it."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for scripts.")]

# Reports go to stdout, everything for the person at the keyboard (progress, notes, errors) to stderr.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_ONE_LINE = 10_000  # characters, more than any line of a table has


def print_table(table: Table | str) -> None:
    """Print a table, or the words where there is none. Into a pipe each row is one line, however long, to grep."""
    console = out if out.is_terminal else Console(width=_ONE_LINE, highlight=False)
    console.print(table)


def settings_or_exit(config: Path | None = None, **overrides: Any) -> Settings:
    """Settings, or exit 2 with the setting's name, what was expected and what was found."""
    try:
        return load_settings(config, **overrides)
    except ConfigurationError as error:
        complain(str(error))
        raise typer.Exit(ExitCode.USAGE) from error


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn our own errors into one line on stderr and its exit code."""
    try:
        yield
    except NotAnalysable as error:
        complain(f"not analysable: {error.reason} [{error.code}]")
        raise typer.Exit(ExitCode.NOT_ANALYSABLE) from error
    except ConfigurationError as error:
        complain(str(error))
        raise typer.Exit(ExitCode.USAGE) from error
    except WmhNodeError as error:
        complain(str(error))
        raise typer.Exit(ExitCode.FAILED) from error
    except ModuleNotFoundError as error:
        complain(_missing_extra(error))
        raise typer.Exit(ExitCode.FAILED) from error
    except OSError as error:
        complain(f"{type(error).__name__}: {error}")
        raise typer.Exit(ExitCode.FAILED) from error
    except _bad_input_of_training() as error:
        complain(str(error))
        raise typer.Exit(ExitCode.NOT_ANALYSABLE) from error
    except _errors_of_other_rooms() as error:
        complain(str(error))
        raise typer.Exit(ExitCode.FAILED) from error


_TRAINING_PACKAGES = frozenset(
    {"h5py", "jax", "keras", "matplotlib", "pandas", "statsmodels", "tensorboard", "tensorflow"}
)


def _missing_extra(error: ModuleNotFoundError) -> str:
    """What to install; a module that no extra brings is a fault of ours and stays an exception."""
    package = (error.name or "").partition(".")[0]
    if package not in _TRAINING_PACKAGES:
        raise error
    return (
        f"this command needs the package {package}, which an installation for serving does not have: install the "
        "extra `train` (or `gpu` with an NVIDIA GPU), for example: pip install 'wmh-node[train]'"
    )


def complain(message: str) -> None:
    """One line on stderr."""
    err.print(f"wmh-node: {message}", markup=False)


def print_json(value: Any) -> None:
    """The whole answer as one JSON document on stdout; times as ISO 8601, paths as text."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode())


def _errors_of_other_rooms() -> tuple[type[Exception], ...]:
    """Roots of the rooms that are loaded already; asking for the others here would import them into the receiver."""
    roots = []
    for module, name in (
        ("db.errors", "DatabaseError"),
        ("segmentation.errors", "SegmentationError"),
        ("training.errors", "TrainingError"),
    ):
        if module in sys.modules:
            roots.append(getattr(sys.modules[module], name))
    return tuple(roots)


def _bad_input_of_training() -> tuple[type[Exception], ...]:
    """Faults in the cases that a person must correct; imported late too."""
    module = sys.modules.get("training.errors")
    return () if module is None else (module.BadInput,)
