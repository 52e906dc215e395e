"""The logger of every module, which loads structlog with its first line.

structlog brings rich's tracebacks and costs a fifth of a command's start; most commands write no line.
"""

from __future__ import annotations

import logging
import sys
import warnings
from functools import cache
from typing import Any, Final

# They quote values of elements ("Invalid value for VR PN: '...'"), which may be a patient's.
_LIBRARIES_THAT_QUOTE_VALUES: Final = ("pydicom", "pynetdicom", "highdicom", "gdcm")


class _Logger:
    """structlog's logger: `log.info("series complete", series=uid)`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_loaded(), name)


def get_logger() -> Any:
    """A logger for a module; configured by `dicom_node.node.logs`, whether before or after this call."""
    return _Logger()


@cache
def _loaded() -> Any:
    import structlog

    if _is_late():
        _configure_now()
    return structlog.get_logger()


def configure_logs_late() -> None:
    """As `configure_logs("warning")`, whose work is put off until there is a line to write."""
    configure_libraries(_LateFormatter())


def configure_libraries(formatter: logging.Formatter) -> None:
    """Send what libraries log to stderr in our form, except what may quote a patient's values."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    # On the handler, not on their loggers: pydicom sets its logger's level again when it is imported.
    handler.addFilter(_quotes_no_values)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for library in _LIBRARIES_THAT_QUOTE_VALUES:
        warnings.filterwarnings("ignore", module=rf"{library}(\..*)?")
    _loaded.cache_clear()  # structlog's loggers keep the configuration of their first line


class _LateFormatter(logging.Formatter):
    """Configures the log at its first record, and has the formatter that is then in place do the work."""

    def format(self, record: logging.LogRecord) -> str:
        _configure_now()
        return logging.getLogger().handlers[0].format(record)


def _is_late() -> bool:
    return any(isinstance(handler.formatter, _LateFormatter) for handler in logging.getLogger().handlers)


def _configure_now() -> None:
    from dicom_node.node.logs import configure_logs

    configure_logs("warning")


def _quotes_no_values(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] not in _LIBRARIES_THAT_QUOTE_VALUES
