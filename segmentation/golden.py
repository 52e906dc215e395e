"""Golden predictions: what a bundle's networks must predict for a drawn head, on any machine and with any runtime.

`write_bundle` stores them, computed by Keras in float32 from the rounded weights; `segmentation.golden_check` compares
a compiled ensemble with them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.anatomy import PARTS, anatomy_images
from segmentation.errors import BadBundle
from segmentation.golden_head import draw_head
from segmentation.mirroring import mirrored_mean
from segmentation.networks.network_set import NetworkSet
from segmentation.npz import pack_arrays, parse_arrays
from segmentation.preprocessing.case import preprocess
from segmentation.preprocessing.settings import PreprocessingSettings

GOLDEN_NAME: Final = "golden.npz"


@dataclass(frozen=True)
class Golden:
    """The drawn head and the networks' predictions for it.

    Attributes:
        images: float32 (slice, size, size), networks' input, every value representable in float16.
        probability: float32, same shape: the members' mean, rounded to float16.
        ventricles: float32, same shape: the ventricle network's, rounded to float16; None without such a network.
        anatomy_images: float32 (slice, size, size), of the anatomy network's size: its input; None without one.
        anatomy: float32 (slice, part, size, size): what it says, rounded to float16.
    """

    images: NDArray[np.float32]
    probability: NDArray[np.float32]
    ventricles: NDArray[np.float32] | None
    anatomy_images: NDArray[np.float32] | None = None
    anatomy: NDArray[np.float32] | None = None


def golden_images(settings: PreprocessingSettings) -> NDArray[np.float32]:
    """The drawn head as networks' input (slice, size, size), rounded to what float16 holds."""
    return preprocess(draw_head(settings.size), settings).images.astype(np.float16).astype(np.float32)


def make_golden(
    settings: PreprocessingSettings,
    members: NetworkSet,
    ventricles: NetworkSet | None,
    mirrors_ventricles: bool = False,
    anatomy: NetworkSet | None = None,
) -> Golden:
    """Golden predictions by Keras, in float32 on the CPU.

    Args:
        settings: the input contract.
        members: with the weights as the bundle holds them, rounded.
        ventricles: the ventricle network, if there is one.
        mirrors_ventricles: it also sees mirror images.
        anatomy: the anatomy network, if there is one.
    """
    images = golden_images(settings)
    golden = Golden(images, _rounded(_mean_by_keras(members, images)), None)
    if ventricles is not None:
        predict = partial(_mean_by_keras, ventricles)
        marked = mirrored_mean(predict, images) if mirrors_ventricles else predict(images)
        golden = replace(golden, ventricles=_rounded(marked))
    if anatomy is not None:
        size = anatomy.specification.size
        heads = _rounded(anatomy_images(draw_head(settings.size), size)[0])
        parts = np.moveaxis(_by_keras(anatomy, 0, heads), -1, 1)
        golden = replace(golden, anatomy_images=heads, anatomy=_rounded(parts))
    return golden


def pack_golden(golden: Golden) -> bytes:
    """golden.npz as bytes, every array float16."""
    arrays = {field.name: getattr(golden, field.name) for field in fields(golden)}
    return pack_arrays({name: values.astype(np.float16) for name, values in arrays.items() if values is not None})


def parse_golden(content: bytes, slices: int, size: int, ventricles: bool, anatomy_size: int | None = None) -> Golden:
    """Golden predictions out of golden.npz.

    Args:
        content: what `pack_golden` gave.
        slices, size: shape of each array, (slices, size, size).
        ventricles: whether the bundle has a ventricle network.
        anatomy_size: rows and columns of the anatomy network's images; None without one.

    Raises:
        BadBundle: not such an archive, other arrays, or a probability outside 0..1.
    """
    names = ("images", "probability", "ventricles") if ventricles else ("images", "probability")
    expected: dict[str, tuple[int, ...]] = dict.fromkeys(names, (slices, size, size))
    if anatomy_size is not None:
        expected["anatomy_images"] = (slices, anatomy_size, anatomy_size)
        expected["anatomy"] = (slices, len(PARTS), anatomy_size, anatomy_size)
    arrays = parse_arrays(GOLDEN_NAME, content, expected, "the arrays are not those of golden predictions")
    for name in expected.keys() - {"images", "anatomy_images"}:
        if arrays[name].min() < 0 or arrays[name].max() > 1:
            raise BadBundle(f"{GOLDEN_NAME}, {name}: expected probabilities in 0..1")
    return Golden(**arrays) if "ventricles" in arrays else Golden(ventricles=None, **arrays)


def _mean_by_keras(networks: NetworkSet, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean probability (slice, row, column)."""
    found = [_by_keras(networks, member, images)[..., 0] for member in range(len(networks.weights))]
    return np.asarray(np.mean(found, axis=0, dtype=np.float64), np.float32)


def _by_keras(networks: NetworkSet, member: int, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """What one network says, (slice, row, column, output)."""
    import keras

    from segmentation.networks.rebuild import keras_network

    with keras.device("cpu:0"):  # a GPU may round its products to TF32
        model = keras_network(networks.specification, networks.graph, networks.weights[member])
        said = keras.ops.convert_to_numpy(model(images[..., np.newaxis], training=False))
    return np.asarray(said, np.float32)


def _rounded(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.astype(np.float16).astype(np.float32)
