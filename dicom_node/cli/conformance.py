"""`wmh-node conformance`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.context import ConfigOption, exit_codes, settings_or_exit
from dicom_node.conformance.markdown import as_markdown
from dicom_node.conformance.statement import conformance_statement
from dicom_node.node.files import write_whole


class Form(StrEnum):
    """The form of the document."""

    MARKDOWN = "markdown"
    PDF = "pdf"


def conformance(
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; its ending .md or .pdf decides. Default: stdout.")
    ] = None,
    form: Annotated[
        Form | None, typer.Option("--format", help="markdown or pdf, where the file name is no help.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write the DICOM conformance statement (PS3.2) of this version with these settings, as Markdown or PDF."""
    settings = settings_or_exit(config)
    with exit_codes():
        document = conformance_statement(settings, datetime.now(UTC).date())
        if form is Form.PDF or (form is None and out is not None and out.suffix.lower() == ".pdf"):
            from dicom_node.conformance.pdf import as_pdf  # ReportLab, which Markdown does not need

            content = as_pdf(document)
        else:
            content = as_markdown(document).encode()
        if out is None:
            sys.stdout.buffer.write(content)
        else:
            write_whole(out, content)
