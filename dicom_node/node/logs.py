"""Logging for every role: one line per event on stderr, as text or as JSON.

Events are words ("series complete"), facts are keyword arguments, identifiers are UIDs and our own ids: patient names
and IDs never reach a log. Libraries may quote element values in their warnings, so those are silenced here.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from typing import Any, Literal

import structlog
from structlog.types import Processor

from dicom_node.node.library_logs import configure_libraries

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(level: str = "info", style: Literal["text", "json"] = "text", **context: Any) -> None:
    """Set up structlog and the standard library's logging for this process.

    Args:
        level: debug, info, warning or error.
        style: "text" for people, "json" for collectors (one object per line).
        context: bound to every line of this process, e.g. role="worker".
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _adder(context),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, _renderer(style)],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    configure_libraries(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(style)],
        )
    )


def _adder(context: dict[str, Any]) -> Processor:
    def add(_logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        for key, value in context.items():
            event.setdefault(key, value)
        return event

    return add


def _renderer(style: str) -> Processor:
    if style == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=32, exception_formatter=_plain)


def _plain(stream: Any, exc_info: Any) -> None:
    structlog.dev.plain_traceback(stream, exc_info)


def describe_error(error: BaseException) -> str:
    """An unexpected error as text that is safe to keep: its type and where it was raised.

    Its message is left out, because libraries quote element values there and those may be a patient's.
    """
    place = ""
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}"
        ours = [frame for frame in frames if "site-packages" not in frame.filename]
        if ours and ours[-1] is not frames[-1]:
            place += f", called from {Path(ours[-1].filename).name}:{ours[-1].lineno}"
    return f"unexpected {type(error).__name__}{place}"
