"""What is known of a case without its voxels: enough to plan a training of thousands of cases in little memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from segmentation.volume import FlairVolume

Target = Literal["wmh", "ventricles"]
_IMAGE = "image"


@dataclass(frozen=True)
class CaseFacts:
    """Facts of one case.

    Attributes:
        shape: of the volume and its masks, (slice, row, column).
        spacing_mm: of the voxels, the same order.
        wmh_ml: manual WMH volume.
        marked: target -> whether any voxel is marked; a target whose mask was not drawn is not in it.
        digests: `image`, and each mask that is there -> sha256 of its voxels and shape.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    wmh_ml: float
    marked: Mapping[str, bool]
    digests: Mapping[str, str]

    @classmethod
    def of(cls, volume: FlairVolume, masks: Mapping[str, NDArray[np.bool_]]) -> Self:
        """Of a case in memory.

        Args:
            volume: the FLAIR.
            masks: name -> mask on its grid, `wmh` among them; those that were not drawn are not in it.
        """
        slices, rows, columns = volume.voxels.shape
        return cls(
            shape=(slices, rows, columns),
            spacing_mm=volume.spacing_mm,
            wmh_ml=float(masks["wmh"].sum()) * volume.voxel_volume_ml,
            marked={name: bool(masks[name].any()) for name in ("wmh", "ventricles") if name in masks},
            digests={_IMAGE: volume.voxels_digest, **{name: _digest(mask) for name, mask in masks.items()}},
        )

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """From what `as_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it is not that.
        """
        slices, rows, columns = (int(length) for length in document["shape"])
        deep, high, wide = (float(length) for length in document["spacing_mm"])
        return cls(
            (slices, rows, columns),
            (deep, high, wide),
            float(document["wmh_ml"]),
            {str(name): bool(is_marked) for name, is_marked in document["marked"].items()},
            {str(name): str(digest) for name, digest in document["digests"].items()},
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @property
    def image_digest(self) -> str:
        """That of `FlairVolume.voxels_digest`."""
        return self.digests[_IMAGE]

    @property
    def digest(self) -> str:
        """Of the image, its spacing and all its masks."""
        return hashlib.sha256(repr((self.spacing_mm, sorted(self.digests.items()))).encode()).hexdigest()


def _digest(mask: NDArray[np.bool_]) -> str:
    shape = ",".join(str(length) for length in mask.shape)
    return hashlib.sha256(shape.encode() + np.packbits(mask).tobytes()).hexdigest()
