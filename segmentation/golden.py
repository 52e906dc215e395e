"""Golden predictions: what a bundle's networks must predict for a drawn head, on any machine and with any runtime.

`write_bundle` stores them, computed by Keras in float32 from the rounded weights; `check_golden` compares a compiled
ensemble with them, so that a runtime, a driver or a CPU that computes something else is found before it makes a mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

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
    """

    images: NDArray[np.float32]
    probability: NDArray[np.float32]
    ventricles: NDArray[np.float32] | None


@dataclass(frozen=True)
class GoldenVerdict:
    """How far an ensemble is from its bundle's golden predictions.

    Attributes:
        max_difference: largest absolute difference of a probability, ventricles included.
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
) -> Golden:
    """Golden predictions by Keras, in float32 on the CPU.

    Args:
        settings: the input contract.
        members: with the weights as the bundle holds them, rounded.
        ventricles: the ventricle network, if there is one.
        mirrors_ventricles: it also sees mirror images.
    """
    images = golden_images(settings)
    probability = _rounded(_mean_by_keras(members, images))
    if ventricles is None:
        return Golden(images, probability, None)
    predict = partial(_mean_by_keras, ventricles)
    return Golden(
        images, probability, _rounded(mirrored_mean(predict, images) if mirrors_ventricles else predict(images))
    )


def pack_golden(golden: Golden) -> bytes:
    """golden.npz as bytes, every array float16."""
    arrays = {"images": golden.images, "probability": golden.probability}
    if golden.ventricles is not None:
        arrays["ventricles"] = golden.ventricles
    return pack_arrays({name: values.astype(np.float16) for name, values in arrays.items()})


def parse_golden(content: bytes, slices: int, size: int, ventricles: bool) -> Golden:
    """Golden predictions out of golden.npz.

    Args:
        content: what `pack_golden` gave.
        slices, size: shape of each array, (slices, size, size).
        ventricles: whether the bundle has a ventricle network.

    Raises:
        BadBundle: not such an archive, other arrays, or a probability outside 0..1.
    """
    names = ("images", "probability", "ventricles") if ventricles else ("images", "probability")
    expected = dict.fromkeys(names, (slices, size, size))
    arrays = parse_arrays(GOLDEN_NAME, content, expected, "the arrays are not those of golden predictions")
    for name in names[1:]:
        if arrays[name].min() < 0 or arrays[name].max() > 1:
            raise BadBundle(f"{GOLDEN_NAME}, {name}: expected probabilities in 0..1")
    return Golden(arrays["images"], arrays["probability"], arrays.get("ventricles"))


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
    return GoldenVerdict(
        max_difference=max(one.difference for one in comparisons),
        flipped=sum(one.flipped for one in comparisons),
        # NaN compares to False.
        passed=ensemble.members == bundle.members and all(one.difference <= one.tolerance for one in comparisons),
    )


def _tolerance(precision: str, members: int) -> float:
    """By precision; the errors of bfloat16 average out over members."""
    return _F32_TOLERANCE if precision == "f32" else _BF16_TOLERANCE_OF_ONE / float(members) ** 0.5


def _mean_by_keras(networks: NetworkSet, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean probability (slice, row, column)."""
    import keras

    from segmentation.networks.rebuild import keras_network

    found = []
    with keras.device("cpu:0"):  # a GPU may round its products to TF32
        for weights in networks.weights:
            model = keras_network(networks.specification, networks.graph, weights)
            found.append(keras.ops.convert_to_numpy(model(images[..., np.newaxis], training=False))[..., 0])
    return np.asarray(np.mean(found, axis=0, dtype=np.float64), np.float32)


def _rounded(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.astype(np.float16).astype(np.float32)
