"""Where the white matter is abnormal: lesions of real patients, of the head itself, and drawn caps, bands and spots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.errors import BadCohort
from training.synthesis.fields import smooth_field
from training.synthesis.heads import Head
from training.synthesis.tissues import Tissue

# First and last voxel of the cerebrum in MNI152 at 1 mm (i to the left, j to anterior, k to superior).
MNI_CEREBRUM = np.array([[20, 160], [21, 199], [24, 151]])
LARGEST_SINGLE_VOXELS = 20_000  # the library's largest single "lesions" fill whole hemispheres
_SEPTUM_MM = 5  # septum, fornix and callosum near the middle stay as they are
_MAPS = "openms_lesion_maps_mni_1mm.npz"
_SINGLES = "csim_single_lesions_mni152_1mm.npz"


@dataclass(frozen=True)
class LesionShapes:
    """Sparse masks in MNI152 space: `voxels[offsets[i]:offsets[i + 1]]` is shape i."""

    voxels: NDArray[np.int16]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def shape(self, index: int) -> NDArray[np.int16]:
        """Voxels (n, 3) of one shape."""
        return self.voxels[self.offsets[index] : self.offsets[index + 1]]


@dataclass(frozen=True)
class LesionLibrary:
    """Lesion maps of whole patients, and single lesions."""

    patients: LesionShapes
    singles: LesionShapes


def load_library(folder: Path) -> LesionLibrary:
    """Read `folder/lesions`.

    Raises:
        BadCohort: a file is missing.
    """
    shapes = []
    for name in (_MAPS, _SINGLES):
        path = folder / "lesions" / name
        if not path.exists():
            raise BadCohort(f"expected {name} in {folder.name}/lesions/: name the label-maps folder")
        with np.load(path, allow_pickle=False) as file:
            shapes.append(LesionShapes(file["voxels"], file["offsets"]))
    return LesionLibrary(*shapes)


def draw_lesions(head: Head, library: LesionLibrary, generator: np.random.Generator) -> NDArray[np.float32]:
    """Fraction 0..1 of each voxel that is lesion; inside white matter only. One scan in twelve has none."""
    share = np.zeros(head.tissue.shape, np.float32)
    if generator.random() < 1 / 12:
        return share
    if generator.random() < 0.6:
        share[head.lesions] = 1
    if generator.random() < 0.55:
        _stamp(share, head, library.patients.shape(int(generator.integers(len(library.patients)))), 5.0, generator)
    if generator.random() < 0.6:
        for _ in range(int(generator.integers(1, 30))):
            shape = library.singles.shape(int(generator.integers(len(library.singles))))
            if len(shape) <= LARGEST_SINGLE_VOXELS:
                _stamp(share, head, shape, 10.0, generator)
    if generator.random() < 0.65:
        _add_caps(share, head, generator)
    if generator.random() < 0.7:
        _add_spots(share, head, generator)
    share *= head.is_tissue(Tissue.WHITE_MATTER)
    return np.asarray(ndimage.gaussian_filter(share, 0.5), np.float32)


def _stamp(
    share: NDArray[np.float32], head: Head, shape: NDArray[np.int16], jitter_mm: float, generator: np.random.Generator
) -> None:
    """Set the voxels of one shape, its cerebrum stretched onto the head's."""
    sides = np.diff(head.cerebrum, axis=1)[:, 0] / np.diff(MNI_CEREBRUM, axis=1)[:, 0]
    relative = shape.astype(np.float32) - MNI_CEREBRUM[:, 0]
    if generator.random() < 0.5:  # MNI's i runs to the left; either side is as good
        relative[:, 0] = np.diff(MNI_CEREBRUM[0])[0] - relative[:, 0]
    places = relative * sides + head.cerebrum[:, 0] + generator.normal(size=3) * jitter_mm / 2
    # A stretch leaves holes between voxels: each also fills its neighbour towards the higher indices.
    for step in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
        index = np.rint(places + np.array(step) * 0.6).astype(int)
        inside = ((index >= 0) & (index < share.shape)).all(axis=1)
        share[tuple(index[inside].T)] = 1


def _add_caps(share: NDArray[np.float32], head: Head, generator: np.random.Generator) -> None:
    """Periventricular caps and bands: everything nearer to the ventricles than a reach that changes along them."""
    mean, spread = generator.uniform(1.0, 9.0), generator.uniform(1.5, 6.0)
    reach = mean + spread * smooth_field(share.shape, (7, 9, 7), generator)
    near = (head.to_ventricles_mm < reach) & (head.to_ventricles_mm > 0) & (reach > 2.0)
    middle = round(float(head.cerebrum[0].mean()))
    near[middle - _SEPTUM_MM : middle + _SEPTUM_MM + 1] = False
    share[near] = 1


def _add_spots(share: NDArray[np.float32], head: Head, generator: np.random.Generator) -> None:
    """Rounded deep lesions of 2 to 12 mm."""
    white = np.argwhere(head.is_tissue(Tissue.WHITE_MATTER)[::2, ::2, ::2]) * 2
    for _ in range(int(generator.integers(1, 35))):
        centre = white[generator.integers(len(white))]
        radii = np.exp(generator.uniform(np.log(1.3), np.log(7.0))) * generator.uniform(0.7, 1.4, 3)
        low = np.maximum(centre - 10, 0)
        high = np.minimum(centre + 11, share.shape)
        axes = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, centre, radii, strict=True)) < 1
        share[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][inside] = 1
