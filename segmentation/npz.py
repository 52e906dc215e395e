"""Named arrays as bytes: a NumPy archive (.npz) of plain arrays, never pickled, read without trust.

Names, number formats, shapes and sizes are compared with what is expected before any array is made.
"""

from __future__ import annotations

import io
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from segmentation.errors import BadBundle

MAX_BYTES: Final = 256 * 2**20
"""Of one file, packed and unpacked."""

_SUFFIX: Final = ".npy"
# What zipfile, zlib and NumPy raise on damaged bytes.
_DAMAGE: Final = (
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as one archive; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def parse_arrays(
    name: str, content: bytes, expected: Mapping[str, tuple[int, ...]], owner: str
) -> dict[str, NDArray[np.float32]]:
    """Arrays out of an archive, as float32.

    Args:
        name: file name, for the error.
        content: from `pack_arrays`, or from an attacker.
        expected: name -> shape of every array that must be there, and no other may.
        owner: whose arrays they are, for the error: "the weights are not those of the network".

    Raises:
        BadBundle: not such an archive, compressed, or other arrays than expected.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            # Checked before anything is unpacked: a small archive may unpack to any size.
            unpacked = sum(info.file_size for info in entries)
            if unpacked > MAX_BYTES:
                raise BadBundle(f"{name}: expected arrays of at most {MAX_BYTES} bytes, got {unpacked}")
            if any(info.compress_type != zipfile.ZIP_STORED for info in entries):
                raise BadBundle(f"{name}: expected an archive without compression: write it with `numpy.savez`")
            found = {info.filename.removesuffix(_SUFFIX) for info in entries}
            if odd := sorted(found ^ expected.keys()):
                raise BadBundle(f"{name}: {owner}; first difference: {odd[0]}")
            return {
                key: _parse_array(f"{name}, {key}", archive.read(key + _SUFFIX), shape)
                for key, shape in expected.items()
            }
    except _DAMAGE as error:
        raise BadBundle(f"{name}: expected a NumPy archive of plain arrays ({type(error).__name__})") from error


def _parse_array(where: str, content: bytes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    stream = io.BytesIO(content)
    version = npy.read_magic(stream)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    found, fortran, dtype = read_header(stream)
    if dtype not in (np.float16, np.float32):
        raise BadBundle(f"{where}: expected float16 or float32, got {dtype}")
    if found != shape or fortran:
        raise BadBundle(f"{where}: expected shape {shape} in C order, got {found}")
    values = np.frombuffer(content, dtype, offset=stream.tell())
    if not np.isfinite(values).all():
        raise BadBundle(f"{where}: expected finite values, got NaN or infinity")
    return values.astype(np.float32).reshape(shape)
