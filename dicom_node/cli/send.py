"""`wmh-node send PATH... --to AET@HOST:PORT`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from dicom_node.cli.context import (
    ConfigOption,
    ExitCode,
    JsonOption,
    complain,
    exit_codes,
    out,
    print_json,
    settings_or_exit,
)
from dicom_node.cli.progress import one_bar
from dicom_node.deliver.send import SendOutcome, send_files
from dicom_node.node.destinations import AeTitle, Destination
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import Settings, parse_destination

_MAGIC_AT = 128  # PS3.10 7.1: preamble, then "DICM"
_MOST_LINES = 20


def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders that are searched for them.")],
    to: Annotated[str, typer.Option("--to", help="AET@HOST:PORT (+tls: over TLS), or the name of a destination.")],
    calling: Annotated[
        str | None, typer.Option("--from", metavar="AET", help="The AE title that we call as; AE_TITLE by default.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send DICOM objects to a peer by C-STORE."""
    settings = settings_or_exit(config)
    with exit_codes():
        destination = _resolve(to, settings)
        title = settings.ae_title if calling is None else _title(calling)
        files = [file for path in paths for file in find_dicom_files(path)]
        if not files:
            raise ConfigurationError("no DICOM file (part 10, with preamble) found under the given paths")
        with one_bar("sending") as progress:
            tls = settings.client_tls(destination)
            outcomes = send_files(files, destination, progress, calling_ae_title=title, tls=tls)
    failed = [outcome for outcome in outcomes if not outcome.ok]
    if as_json:
        print_json(
            {
                "destination": str(destination),
                "sent": len(outcomes) - len(failed),
                "failed": [
                    {"path": outcome.path, "status": outcome.status, "detail": outcome.detail} for outcome in failed
                ],
            }
        )
    else:
        out.print(f"{len(outcomes) - len(failed)} of {len(outcomes)} sent to {destination}", markup=False)
        for words in _complaints(failed):
            complain(words)
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def _complaints(failed: Sequence[SendOutcome]) -> Iterator[str]:
    """One line for each answer, with its first file: a refused association is the answer to every file."""
    alike: dict[str, list[SendOutcome]] = {}
    for outcome in failed:
        status = "" if outcome.status is None else f"0x{outcome.status:04X} "
        alike.setdefault(f"{status}{outcome.detail}", []).append(outcome)
    for words, outcomes in list(alike.items())[:_MOST_LINES]:
        more = f" and {len(outcomes) - 1} more" if len(outcomes) > 1 else ""
        yield f"{outcomes[0].path}{more}: {words}"
    if len(alike) > _MOST_LINES:
        yield f"and {len(alike) - _MOST_LINES} other answers; --json lists each file"


def _title(calling: str) -> str:
    try:
        return TypeAdapter(AeTitle).validate_python(calling)
    except ValidationError as error:
        raise ConfigurationError(
            f"--from: {error.errors()[0]['msg'].removeprefix('Value error, ')}, got {calling!r}"
        ) from None


def find_dicom_files(path: Path) -> Iterator[Path]:
    """The DICOM files under a path, in a fixed order; DICOMDIR is no object to send.

    Raises:
        ConfigurationError: there is nothing at the path, or it is a file but no DICOM.
    """
    if path.is_dir():
        yield from (file for file in sorted(path.rglob("*")) if file.is_file() and _is_dicom(file))
    elif not path.exists():
        raise ConfigurationError(f"{path} does not exist")
    elif _is_dicom(path):
        yield path
    else:
        raise ConfigurationError(f"{path} is not a DICOM file: expected 'DICM' at byte {_MAGIC_AT}")


def _is_dicom(file: Path) -> bool:
    if file.name == "DICOMDIR":
        return False
    with file.open("rb") as stream:
        stream.seek(_MAGIC_AT)
        return stream.read(4) == b"DICM"


def _resolve(to: str, settings: Settings) -> Destination:
    found = settings.destination(to)
    if found is None:
        return parse_destination(to)
    if not isinstance(found, Destination):
        raise ConfigurationError(f"--to: {found.name} is no DICOM peer, and `send` speaks DICOM: give AET@HOST:PORT")
    return found
