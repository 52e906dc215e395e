"""The logger of every module, which loads structlog with its first line.

structlog brings rich's tracebacks and costs a fifth of a command's start; most commands write no line.
"""

from __future__ import annotations

import logging
from typing import Any

from dicom_node.node.library_logs import configure_libraries


class _Logger:
    """structlog's logger: `log.info("series complete", series=uid)`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_loaded(), name)


def get_logger() -> Any:
    """A logger for a module; configured by `dicom_node.node.logs`, whether before or after this call."""
    return _Logger()


def _loaded() -> Any:
    import structlog  # with the first line, not before: see above

    if _is_late():
        _configure_now()
    return structlog.get_logger()


def configure_logs_late() -> None:
    """As `configure_logs("warning")`, whose work is put off until there is a line to write."""
    configure_libraries(_LateFormatter())


class _LateFormatter(logging.Formatter):
    """Configures the log at its first record, and has the formatter that is then in place do the work."""

    def format(self, record: logging.LogRecord) -> str:
        _configure_now()
        return logging.getLogger().handlers[0].format(record)


def _is_late() -> bool:
    return any(isinstance(handler.formatter, _LateFormatter) for handler in logging.getLogger().handlers)


def _configure_now() -> None:
    from dicom_node.node.logs import configure_logs  # which loads structlog

    configure_logs("warning")
