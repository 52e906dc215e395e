"""One member's weights as bytes: a NumPy archive (.npz) of plain arrays, never pickled.

Kernels are float16, which halves the file; vectors (biases, batch normalisation) are float32, because a running
variance may lie outside what float16 can hold. The archive is read without trust: names, number formats, shapes and
sizes are compared with those of the network before any array is made.
"""

from __future__ import annotations

import io
import struct
import tokenize
import zipfile
import zlib
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from segmentation.errors import BadBundle
from segmentation.graph import NetworkGraph, Weights

MAX_BYTES: Final = 256 * 2**20

_FLOAT16_MAX: Final = float(np.finfo(np.float16).max)
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


def pack_weights(graph: NetworkGraph, weights: Weights) -> bytes:
    """Weights of one member as bytes; the same weights give the same bytes.

    Raises:
        BadBundle: a weight of another shape, not finite, or too large for float16.
    """
    packed: dict[str, NDArray[Any]] = {}
    for key, shape in graph.weight_shapes().items():
        values = weights[key]
        if values.shape != shape:
            raise BadBundle(f"{key}: expected shape {shape}, got {values.shape}")
        if not np.isfinite(values).all():
            raise BadBundle(f"{key}: expected finite weights, got NaN or infinity: the training diverged")
        if values.ndim > 1 and np.abs(values).max(initial=0.0) > _FLOAT16_MAX:
            raise BadBundle(f"{key}: expected weights within ±{_FLOAT16_MAX:.0f} (float16), got {np.abs(values).max()}")
        packed[key] = values.astype(np.float16 if values.ndim > 1 else np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, **packed)  # type: ignore[arg-type]
    return buffer.getvalue()


def parse_weights(name: str, content: bytes, graph: NetworkGraph) -> Weights:
    """Weights of one member as float32, checked against the network.

    Args:
        name: file name, for the error.
        content: what `pack_weights` gave.
        graph: the network that they belong to.

    Raises:
        BadBundle: not such an archive, or not the weights of this network.
    """
    expected = graph.weight_shapes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # Checked before anything is unpacked: a small archive may unpack to any size.
            unpacked = sum(info.file_size for info in archive.infolist())
            if unpacked > MAX_BYTES:
                raise BadBundle(f"{name}: expected weights of at most {MAX_BYTES} bytes, got {unpacked}")
            found = {entry.removesuffix(_SUFFIX) for entry in archive.namelist()}
            if odd := sorted(found ^ expected.keys()):
                raise BadBundle(f"{name}: the weights are not those of the network; first difference: {odd[0]}")
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
        raise BadBundle(f"{where}: expected finite weights, got NaN or infinity")
    return values.astype(np.float32).reshape(shape)
