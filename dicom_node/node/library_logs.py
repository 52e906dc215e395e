"""What libraries log and warn of: sent to stderr in our form, except what may quote a patient's values."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Final

# They quote values of elements ("Invalid value for VR PN: '...'"), which may be a patient's.
_LIBRARIES_THAT_QUOTE_VALUES: Final = ("pydicom", "pynetdicom", "highdicom", "gdcm")


def configure_libraries(formatter: logging.Formatter) -> None:
    """Let one handler on stderr write what libraries log.

    Args:
        formatter: of its lines.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    # On the handler, not on their loggers: pydicom sets its logger's level again when it is imported.
    handler.addFilter(_quotes_no_values)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for library in _LIBRARIES_THAT_QUOTE_VALUES:
        warnings.filterwarnings("ignore", module=rf"{library}(\..*)?")


def _quotes_no_values(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] not in _LIBRARIES_THAT_QUOTE_VALUES
