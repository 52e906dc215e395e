"""A child process that decodes lossless and 12-bit JPEG with GDCM.

GDCM is the only decoder of these with a free licence that we have, and on some corrupt streams it ends the process it
runs in. So it runs in a separate one, started when first needed (about half a second) and kept for a series; if it
dies, the frame is unreadable and nothing else happens.

Protocol: the parent writes [index, path] as one line of JSON; the child answers with the line "<rows> <columns>
<dtype>" and the bytes of the frame (row, column), or with the line "error <kind>".
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from dicom_node.series.dicom.parsing import PARSER_ERRORS, read_object

# A frame of 4096 x 4096 takes about a second.
_SECONDS_PER_FRAME = 60.0
_DTYPES = frozenset({"|u1", "|i1", "<u2", "<i2", "<u4", "<i4"})


class JpegChild:
    """Context manager around the child; starts it at the first frame."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> JpegChild:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def decode(self, path: Path, index: int) -> NDArray[np.generic]:
        """Stored values (row, column) of one frame (0-based index).

        Raises:
            OSError: the child died, took too long, or could not decode.
        """
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        timer = threading.Timer(_SECONDS_PER_FRAME, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps([index, str(path.absolute())]).encode() + b"\n")
            process.stdin.flush()
            return _answer(process.stdout)
        except OSError:
            self._stop()
            raise
        finally:
            timer.cancel()

    def _start(self) -> subprocess.Popen[bytes]:
        # The child must find this very package, however the parent found it.
        room = Path(__file__).resolve().parents[3]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(room)},
        )
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _answer(stream: IO[bytes]) -> NDArray[np.generic]:
    words = stream.readline().decode("ascii", "replace").split()
    if len(words) != 3 or words[2] not in _DTYPES:
        raise OSError(f"the JPEG decoder failed: {' '.join(words) or 'it ended'}")
    rows, columns, dtype = int(words[0]), int(words[1]), np.dtype(words[2])
    expected = rows * columns * dtype.itemsize
    content = stream.read(expected)
    if len(content) != expected:
        raise OSError(f"the JPEG decoder ended after {len(content)} of {expected} bytes")
    return np.frombuffer(content, dtype).reshape(rows, columns)


def _catch_complaints() -> Callable[[], bool]:
    """Divert stderr to a file; the function returns whether anything was written since its last call.

    libjpeg decodes damaged data to noise and only prints "Corrupt JPEG data": for us that is an error.
    """
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
    os.dup2(spool.fileno(), 2)
    heard = 0

    def anything_new() -> bool:
        nonlocal heard
        before, heard = heard, os.fstat(spool.fileno()).st_size
        return heard > before

    return anything_new


def main(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until the parent closes the pipe."""
    from pydicom.pixels import pixel_array

    complaints = _catch_complaints()
    for request in requests:
        index, path = json.loads(request)
        try:
            instance = read_object(Path(path))
            frame = np.ascontiguousarray(pixel_array(instance, index=index, raw=True, decoding_plugin="gdcm"))
        except PARSER_ERRORS as error:
            answers.write(f"error {type(error).__name__}\n".encode())
        else:
            if complaints():
                answers.write(b"error CorruptData\n")
                answers.flush()
                continue
            rows, columns = frame.shape
            answers.write(f"{rows} {columns} {frame.dtype.str}\n".encode() + frame.tobytes())
        answers.flush()


if __name__ == "__main__":
    # Libraries print warnings on the C level; answers go through a duplicate of stdout that they do not know.
    _answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    main(sys.stdin.buffer, _answers)
