"""Golden predictions: what a bundle's networks must predict for a drawn head, on any machine and with any runtime.

`write_bundle` stores them, computed by Keras in float32 from the rounded weights; `check_golden` compares a compiled
ensemble with them, so that a runtime, a driver or a CPU that computes something else is found before it makes a mask.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.anatomy import PART_THRESHOLD, PARTS, anatomy_images
from segmentation.errors import BadBundle
from segmentation.golden_head import draw_head
from segmentation.mirroring import mirrored_mean
from segmentation.networks.network_set import NetworkSet
from segmentation.npz import pack_arrays, parse_arrays
from segmentation.preprocessing.case import preprocess
from segmentation.preprocessing.settings import PreprocessingSettings

if TYPE_CHECKING:
    from segmentation.bundle import ModelBundle
    from segmentation.ensemble import Ensemble

GOLDEN_NAME: Final = "golden.npz"

# Largest difference of the members' mean that is still the same network. In float32 two orders of summation differ by
# under 0.001 with real weights. In bfloat16 one member of the first reference bundle was off by up to 0.12 where a
# lesion ends, the mean of its five by 0.03; a missing member moved the mean by 0.18, a swapped weight by 0.2.
_F32_TOLERANCE: Final = 0.01
_BF16_TOLERANCE_OF_ONE: Final = 0.25


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


@dataclass(frozen=True)
class GoldenVerdict:
    """How far an ensemble is from its bundle's golden predictions.

    Attributes:
        max_difference: largest absolute difference of a probability, ventricles and parts of the head included.
        flipped: pixels that change sides of a threshold.
        passed: whether this is the bundle's model: as many members, and no difference beyond what the ensemble's
            precision explains.
    """

    max_difference: float
    flipped: int
    passed: bool


@dataclass(frozen=True, eq=False)
class _Comparison:
    expected: NDArray[Any]
    found: NDArray[Any]
    threshold: float
    tolerance: float

    @property
    def difference(self) -> float:
        return float(np.abs(self.found - self.expected).max())

    @property
    def flipped(self) -> int:
        return int(np.count_nonzero((self.found >= self.threshold) ^ (self.expected >= self.threshold)))


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


def check_golden(bundle: ModelBundle, ensemble: Ensemble) -> GoldenVerdict:
    """Compare a compiled ensemble with the golden predictions of a bundle.

    Args:
        bundle: has golden predictions.
        ensemble: what was opened from it.

    Raises:
        BadBundle: the bundle has no golden predictions.
    """
    golden = bundle.golden
    if golden is None:
        raise BadBundle(
            f"{bundle.identity.name} {bundle.identity.version} has no golden predictions to compare with: write it "
            f"again with this version of wmh-node"
        )
    found = ensemble.predict(golden.images).mean(axis=0, dtype=np.float64)
    tolerance = _tolerance(ensemble.precision, bundle.members)
    comparisons = [_Comparison(golden.probability, found, bundle.threshold, tolerance)]
    if golden.ventricles is not None and bundle.ventricles is not None:
        ventricles = ensemble.predict_ventricles(golden.images)
        comparisons.append(
            _Comparison(
                golden.ventricles,
                np.full_like(golden.images, np.nan) if ventricles is None else ventricles,
                bundle.ventricles.threshold,
                _tolerance(ensemble.precision, 1),
            )
        )
    if golden.anatomy is not None and golden.anatomy_images is not None:
        parts = ensemble.predict_parts(golden.anatomy_images)
        missing = np.full_like(golden.anatomy, np.nan)
        said = missing if parts is None else np.moveaxis(parts, 0, 1)
        comparisons.append(_Comparison(golden.anatomy, said, PART_THRESHOLD, _tolerance(ensemble.precision, 1)))
    return GoldenVerdict(
        max_difference=max(comparison.difference for comparison in comparisons),
        flipped=sum(comparison.flipped for comparison in comparisons),
        # NaN compares to False.
        passed=ensemble.members == bundle.members
        and all(comparison.difference <= comparison.tolerance for comparison in comparisons),
    )


def _tolerance(precision: str, members: int) -> float:
    """By precision; the errors of bfloat16 average out over members."""
    return _F32_TOLERANCE if precision == "f32" else _BF16_TOLERANCE_OF_ONE / float(members) ** 0.5


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
