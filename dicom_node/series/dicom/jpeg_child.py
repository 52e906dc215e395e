"""A confined child that decodes lossless and 12-bit JPEG with GDCM.

GDCM is the only decoder of these with a free licence that we have, and on some corrupt streams it ends the process it
runs in. So it runs in a child of its own, started when first needed (about half a second) and kept for a series; if it
dies, the frame is unreadable and nothing else happens.

Request: JSON [index, path]. Reply: "<rows> <columns> <dtype>" and the bytes of the frame (row, column), or the kind of
error alone.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dicom_node.node.confined.child import ConfinedChild
from dicom_node.node.confined.inside import serve
from dicom_node.node.confined.limits import Limits
from dicom_node.node.errors import ConfinedChildLost
from dicom_node.series.dicom.parsing import PARSER_ERRORS, read_object

# A frame of 4096 x 4096 takes about a second.
_LIMITS: Final = Limits(memory_bytes=1024**3, seconds=60.0, answer_bytes=4 * 4096**2 + 64)
_DTYPES: Final = frozenset({"|u1", "|i1", "<u2", "<i2", "<u4", "<i4"})


class JpegChild:
    """Context manager around the child; starts it at the first frame."""

    def __init__(self) -> None:
        self._child = ConfinedChild(__name__, _LIMITS, own_session=False)

    def __enter__(self) -> JpegChild:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close()

    def decode(self, path: Path, index: int) -> NDArray[np.generic]:
        """Stored values (row, column) of one frame (0-based index).

        Raises:
            OSError: the child died, took too much, or could not decode.
        """
        try:
            head, *frame = self._child.ask(json.dumps([index, str(path.absolute())]).encode())
        except ConfinedChildLost as error:
            raise OSError(f"the JPEG decoder failed: {error}") from error
        words = head.decode("ascii", "replace").split()
        if len(words) != 3 or words[2] not in _DTYPES or len(frame) != 1:
            raise OSError(f"the JPEG decoder failed: {' '.join(words)}")
        return np.frombuffer(frame[0], words[2]).reshape(int(words[0]), int(words[1]))


def _catch_complaints() -> Callable[[], bool]:
    """Divert stderr to a file; the function returns whether anything was written since its last call.

    libjpeg decodes damaged data to noise and only prints "Corrupt JPEG data": for us that is an error.
    """
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
    os.dup2(spool.fileno(), 2)
    seen = 0

    def anything_new() -> bool:
        nonlocal seen
        before, seen = seen, os.fstat(spool.fileno()).st_size
        return seen > before

    return anything_new


def _decoder() -> Callable[[bytes], Sequence[bytes | memoryview]]:
    """What answers a request in the child."""
    from pydicom.pixels import pixel_array

    complaints = _catch_complaints()

    def decode(request: bytes) -> Sequence[bytes | memoryview]:
        index, path = json.loads(request)
        try:
            instance = read_object(Path(path))
            frame = np.ascontiguousarray(pixel_array(instance, index=index, raw=True, decoding_plugin="gdcm"))
        except PARSER_ERRORS as error:
            return [type(error).__name__.encode()]
        if complaints():
            return [b"CorruptData"]
        rows, columns = frame.shape
        return [f"{rows} {columns} {frame.dtype.str}".encode(), frame.tobytes()]

    return decode


if __name__ == "__main__":
    serve("jpeg", _decoder())
