from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segmentation.errors import BadBundle
from segmentation.graph import NetworkGraph, Node, Weights
from segmentation.weights import pack_weights, parse_weights

GRAPH = NetworkGraph(
    (
        Node(name="flair", operation="input", shape=(16, 16, 1)),
        Node(name="conv", operation="convolution", inputs=("flair",), strides=(1, 1), weights={"kernel": (3, 3, 1, 2)}),
        Node(name="bn", operation="batch_normalisation", inputs=("conv",), epsilon=1e-3, weights={"gamma": (2,)}),
    )
)
KERNELS = arrays(np.float32, (3, 3, 1, 2), elements=st.floats(-65504, 65504, width=32))
VECTORS = arrays(np.float32, (2,), elements=st.floats(allow_nan=False, allow_infinity=False, width=32))


def weights_of(kernel: float = 0.5, gamma: float = 1.0) -> dict[str, np.ndarray]:
    return {
        "conv/kernel": np.full((3, 3, 1, 2), kernel, np.float32),
        "bn/gamma": np.full(2, gamma, np.float32),
    }


def archive_of(change: Callable[[dict[str, np.ndarray]], Any]) -> bytes:
    values = weights_of()
    change(values)
    buffer = io.BytesIO()
    np.savez(buffer, **values)
    return buffer.getvalue()


@given(KERNELS, VECTORS)
def test_weights_come_back_in_their_number_formats(kernel: np.ndarray, gamma: np.ndarray) -> None:
    """Kernels come back rounded to float16, vectors bit for bit, whatever their values."""
    weights: Weights = {"conv/kernel": kernel, "bn/gamma": gamma}
    content = pack_weights(GRAPH, weights)
    found = parse_weights("member-1.npz", content, GRAPH)
    assert found["conv/kernel"].tobytes() == kernel.astype(np.float16).astype(np.float32).tobytes()
    assert found["bn/gamma"].tobytes() == gamma.tobytes()
    assert content == pack_weights(GRAPH, found), "packing what was unpacked changes nothing"


@pytest.mark.parametrize("variance", [1e-9, 1e6, 3e38])
def test_statistics_outside_half_precision_survive(variance: float) -> None:
    """A running variance of 1e-9 or 1e6 is kept: float16 would make it zero or infinite."""
    found = parse_weights("m", pack_weights(GRAPH, weights_of(gamma=variance)), GRAPH)
    np.testing.assert_array_equal(found["bn/gamma"], np.float32(variance))


@pytest.mark.parametrize(("value", "words"), [(65600.0, "float16"), (np.nan, "diverged"), (-np.inf, "diverged")])
def test_weights_that_no_file_can_hold_are_not_written(value: float, words: str) -> None:
    """A kernel that float16 cannot hold is refused at writing, not turned into infinity."""
    with pytest.raises(BadBundle, match=words):
        pack_weights(GRAPH, weights_of(kernel=value))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("bn/gamma"), "first difference: bn/gamma"),
        (lambda w: w.update(extra=np.zeros(1, np.float32)), "first difference: extra"),
        (lambda w: w.update({"bn/gamma": np.zeros(3, np.float32)}), r"bn/gamma: expected shape \(2,\).*got \(3,\)"),
        (lambda w: w.update({"bn/gamma": np.zeros((2, 1), np.float32)}), r"got \(2, 1\)"),
        (lambda w: w.update({"bn/gamma": np.zeros(2, np.int64)}), "expected float16 or float32, got int64"),
        (lambda w: w.update({"bn/gamma": np.full(2, np.inf, np.float32)}), "finite"),
        (lambda w: w.update({"conv/kernel": np.asfortranarray(np.zeros((3, 3, 1, 2), np.float32))}), "C order"),
    ],
)
def test_weights_must_be_those_of_the_network(change: Callable[[dict[str, np.ndarray]], Any], words: str) -> None:
    """Each weight is held to the network's names, shapes and number formats, and must be finite."""
    with pytest.raises(BadBundle, match=words):
        parse_weights("member-1.npz", archive_of(change), GRAPH)


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return pytest.fail, ("unpickled",)


def test_weights_are_never_unpickled() -> None:
    """An archive that holds Python objects is refused without running them."""
    content = archive_of(lambda w: w.update({"bn/gamma": np.asarray([Bomb(), Bomb()], dtype=object)}))
    with pytest.raises(BadBundle, match="got object"):
        parse_weights("member-1.npz", content, GRAPH)


def test_an_archive_that_unpacks_to_much_more_is_refused() -> None:
    """A zip bomb is refused before it is unpacked."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("bn/gamma.npy", "w", force_zip64=True) as entry,
    ):
        for _ in range(300):
            entry.write(bytes(2**20))
    with pytest.raises(BadBundle, match="at most"):
        parse_weights("member-1.npz", buffer.getvalue(), GRAPH)


def test_compressed_weights_are_refused() -> None:
    """Compression is refused, so that a bundle takes no more memory than its size on disk says."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **weights_of())
    with pytest.raises(BadBundle, match="without compression"):
        parse_weights("member-1.npz", buffer.getvalue(), GRAPH)


def test_a_header_that_promises_a_huge_array_is_refused() -> None:
    """The shape in an array's header is compared before memory is taken for it."""
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (2**40,)}
    with zipfile.ZipFile(buffer, "w") as archive:
        for key in ("conv/kernel", "bn/gamma"):
            entry = io.BytesIO()
            np.lib.format.write_array_header_1_0(entry, header)
            archive.writestr(f"{key}.npy", entry.getvalue())
    with pytest.raises(BadBundle, match="expected shape"):
        parse_weights("member-1.npz", buffer.getvalue(), GRAPH)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_words(content: bytes) -> None:
    """Bytes that are no archive are refused with a clear error, never with a traceback of another kind."""
    with pytest.raises(BadBundle):
        parse_weights("member-1.npz", content, GRAPH)


@given(st.data())
def test_a_damaged_archive_is_read_or_refused(data: st.DataObject) -> None:
    """An archive with changed bytes gives weights of the right shapes or BadBundle, and nothing else."""
    content = bytearray(pack_weights(GRAPH, weights_of()))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse_weights("member-1.npz", bytes(content), GRAPH)
    except BadBundle:
        return
    assert {key: values.shape for key, values in found.items()} == GRAPH.weight_shapes()
