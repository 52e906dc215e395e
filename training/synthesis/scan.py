"""One drawn scan of a coded head: planes through it, a contrast, an acquisition, and the truth on the same grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from training.synthesis.coded_head import CODES, CodedHead, Extra, Part
from training.synthesis.fields import smooth_field
from training.synthesis.lesions import LesionLibrary
from training.synthesis.patterns import CLASSES, draw_confounders, draw_patterns
from training.synthesis.tissues import FLAIR_BRIGHTNESS, Tissue

Generator = np.random.Generator
Array = NDArray[np.float32]

SIDE: Final = 256
_MARKED_FROM: Final = 0.45
_FINE_MM: Final = 1.6
_WHITE_MATTER_VALUE: Final = 400.0
_FREE_CONTRAST: Final = 0.15
# No reader outlines what is no brighter than cortex: in 20 real scans the median of the WMH, partial volume and all, is
# 1.14 to 1.43 times the brain's 85th percentile, about where cortex lies (docs/adr/0016).
_LEAST_OVER_CORTEX: Final = 1.3
_OUTSIDE: Final = (Tissue.SOFT_TISSUE, Tissue.MARROW, Tissue.SKULL, Tissue.MUCOSA)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Scan:
    """A drawn FLAIR scan and its truth, all (slice, row, column), rows to posterior, columns to the left.

    Attributes:
        flair: float32, white matter about 400.
        wmh: bool.
        parts: uint8, bits of `Part`.
        spacing_mm: (slice, row, column).
        is_stripped: all outside the brain is 0.
    """

    flair: Array
    wmh: NDArray[np.bool_]
    parts: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    is_stripped: bool


@dataclass(frozen=True)
class ScanProtocol:
    """How a scan is taken; lengths in mm.

    Attributes:
        pixel_mm, thickness_mm, spacing_mm: in plane, of a slice, between slice centres.
        angles_degrees: pitch, roll and yaw of the head.
        scale: size of the head along its axes.
        mirrored: left and right exchanged.
        first_mm: how far under the brain's lowest point the first slice lies; negative: the brain is cut.
        last_mm: how far above its highest point the last one lies.
        shift_mm: of the head in the plane, (column, row).
    """

    pixel_mm: float
    thickness_mm: float
    spacing_mm: float
    angles_degrees: tuple[float, float, float]
    scale: tuple[float, float, float]
    mirrored: bool
    first_mm: float
    last_mm: float
    shift_mm: tuple[float, float]


def draw_scan(head: CodedHead, library: LesionLibrary, seed: int) -> Scan:
    """Draw one scan; the same head and seed give the same scan."""
    generator = np.random.default_rng(seed)
    lesion = draw_patterns(head, library, generator)
    tissue = head.tissue.copy()
    draw_confounders(tissue, lesion, head, generator)
    protocol = draw_protocol(generator)
    cut = _cut(head, tissue, lesion, protocol, _palette(generator), generator)
    image = acquire(cut.flair, generator)
    is_stripped = bool(generator.random() < 0.25)
    if is_stripped:
        image = np.where(cut.flair_inside(image, generator), image, 0)
    return Scan(
        (image * _WHITE_MATTER_VALUE).astype(np.float32),
        cut.wmh,
        cut.parts,
        (protocol.spacing_mm, protocol.pixel_mm, protocol.pixel_mm),
        is_stripped,
    )


def draw_protocol(generator: Generator) -> ScanProtocol:
    """Clinical 2D protocols of 3 to 8 mm for the most part, from the chin or cut; some thin ones."""
    thin = generator.random() < 0.15
    thickness = generator.uniform(1.0, 2.0) if thin else generator.uniform(3.0, 7.5)
    spacing = generator.uniform(4.0, 6.0) if thin else thickness * generator.uniform(1.0, 1.3)
    angles = generator.normal(0, (8.0, 3.5, 5.0))
    if generator.random() < 0.15:  # along the orbits, or along the skull base
        angles[0] += generator.choice((-1, 1)) * generator.uniform(10, 20)
    first = generator.choice(
        (generator.uniform(-8, 18), generator.uniform(15, 95), generator.uniform(-45, -8)), p=(0.6, 0.25, 0.15)
    )
    pitch, roll, yaw = (float(angle) for angle in angles)
    return ScanProtocol(
        pixel_mm=generator.uniform(200, 270) / SIDE,
        thickness_mm=thickness,
        spacing_mm=spacing,
        angles_degrees=(pitch, roll, yaw),
        scale=(generator.uniform(0.9, 1.12), generator.uniform(0.9, 1.12), generator.uniform(0.9, 1.12)),
        mirrored=bool(generator.random() < 0.5),
        first_mm=float(first),
        last_mm=float(generator.uniform(-25, -3) if generator.random() < 0.12 else generator.uniform(2, 14)),
        shift_mm=(float(generator.normal(0, 6)), float(generator.normal(0, 8))),
    )


@dataclass(frozen=True, eq=False)
class _Cut:
    flair: Array
    wmh: NDArray[np.bool_]
    parts: NDArray[np.uint8]

    def flair_inside(self, image: Array, generator: Generator) -> NDArray[np.bool_]:
        """The brain of a stripped scan, its edge now a pixel further out, now further in."""
        return _grown((self.parts & Part.BRAIN) > 0, int(generator.integers(-1, 4)))


def _cut(
    head: CodedHead,
    tissue: NDArray[np.uint8],
    lesion: NDArray[np.uint8],
    protocol: ScanProtocol,
    palette: tuple[Array, Array, Array],
    generator: Generator,
) -> _Cut:
    """Sample the head along each slice's thickness: mean brightness, and the share of every truth."""
    means, textures, ratios = palette
    bottom, top = head.brain
    height = (top - bottom) * protocol.scale[2] + protocol.first_mm + protocol.last_mm
    count = max(6, round(height / protocol.spacing_mm))
    fine = max(1, round(protocol.thickness_mm / _FINE_MM))
    inner = (np.arange(fine) - (fine - 1) / 2) * protocol.thickness_mm / fine
    lowest = -(top - bottom) / 2 * protocol.scale[2] - protocol.first_mm
    side = (np.arange(SIDE) - (SIDE - 1) / 2) * protocol.pixel_mm
    turn = Rotation.from_euler("xyz", protocol.angles_degrees, degrees=True).as_matrix()
    mirror = -1.0 if protocol.mirrored else 1.0
    to_head = (np.diag(1 / np.asarray(protocol.scale)) @ turn @ np.diag([-mirror, -1.0, 1.0])).astype(np.float32)
    centre = np.array([*head.cerebrum[:2].mean(axis=1), (bottom + top) / 2], np.float32)
    columns, rows = (side + shift for shift in protocol.shift_mm)
    grid = (
        to_head[:, 0, None, None] * columns.astype(np.float32)[None, None, :]
        + to_head[:, 1, None, None] * rows.astype(np.float32)[None, :, None]
    )
    shape, flat = np.array(head.tissue.shape), (tissue.reshape(-1), lesion.reshape(-1), head.parts.reshape(-1))
    image = np.zeros((count, SIDE, SIDE), np.float32)
    shares = np.zeros((count, 1 + len(Part), SIDE, SIDE), np.uint8)
    for index in range(count):
        noise = _texture(generator)
        for offset in inner:
            z = np.float32(lowest + index * protocol.spacing_mm + offset)
            places = np.rint(grid + (to_head[:, 2] * z + centre)[:, None, None]).astype(np.int32)
            inside = ((places >= 0) & (places < shape[:, None, None])).all(axis=0)
            places = np.clip(places, 0, (shape - 1)[:, None, None])
            where = (places[0] * shape[1] + places[1]) * shape[2] + places[2]
            kind, spot, part = (array[where] for array in flat)
            kind, spot, part = (np.where(inside, array, 0) for array in (kind, spot, part))
            image[index] += np.maximum(means[kind] + textures[kind] * noise, 0) * ratios[spot]
            shares[index, 0] += spot > 0
            for bit, kind_of_part in enumerate(Part):
                shares[index, 1 + bit] += (part & kind_of_part.value) > 0
    parts = np.zeros((count, SIDE, SIDE), np.uint8)
    for bit, kind_of_part in enumerate(Part):
        parts[shares[:, 1 + bit] >= fine / 2] |= kind_of_part.value
    return _Cut((image / fine).astype(np.float32), shares[:, 0] >= _MARKED_FROM * fine, parts)


def _texture(generator: Generator) -> Array:
    noise = generator.standard_normal((SIDE, SIDE), np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), float(generator.uniform(0.7, 2.0)))
    coarse = cv2.resize(generator.standard_normal((14, 14), np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(0.7 * noise / max(float(noise.std()), 1e-6) + 0.7 * coarse, np.float32)


def _palette(generator: Generator) -> tuple[Array, Array, Array]:
    """Brightness and texture of every code, and what each lesion class multiplies it by (0: nothing)."""
    means, textures = np.zeros(CODES, np.float32), np.zeros(CODES, np.float32)
    for tissue in Tissue:
        means[tissue] = generator.uniform(FLAIR_BRIGHTNESS[tissue].low, FLAIR_BRIGHTNESS[tissue].high)
        textures[tissue] = FLAIR_BRIGHTNESS[tissue].texture
    if generator.random() < _FREE_CONTRAST:
        for tissue in Tissue:
            if tissue not in (Tissue.AIR, Tissue.WHITE_MATTER):
                means[tissue] *= np.exp(generator.normal(0, 0.25))
    if generator.random() < 0.4:  # fat saturation
        for tissue in _OUTSIDE:
            means[tissue] *= generator.uniform(0.1, 0.5)
    if generator.random() < 0.15:  # contrast agent: vessels, plexus, mucosa, meninges
        for tissue in (Tissue.VESSEL, Tissue.CHOROID_PLEXUS, Tissue.MUCOSA):
            means[tissue] = generator.uniform(1.4, 3.0)
        means[Tissue.CSF] *= generator.uniform(1.0, 1.8)
    means[Extra.INFARCT] = generator.uniform(1.2, 2.2)
    means[Extra.CAVITY] = means[Tissue.CSF] * generator.uniform(0.7, 1.3)
    means[Extra.RIM_OF_CAVITY] = generator.uniform(1.0, 1.6)
    means[Extra.FLOW] = means[Tissue.CSF] + generator.uniform(0.2, 0.9)
    means[Extra.HALO] = generator.uniform(1.02, 1.15)
    textures[[*Extra]] = 0.08
    ratio = generator.triangular(1.2, 1.5, 2.3)
    ratios = np.ones(1 + CLASSES, np.float32)
    least = max(1.15, _LEAST_OVER_CORTEX * float(means[Tissue.CORTEX]))
    ratios[1:] = np.maximum(least, 1 + (ratio - 1) * generator.uniform(0.55, 1.15, CLASSES))
    return means, (textures * generator.uniform(0.3, 1.5)).astype(np.float32), ratios


def _grown(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """The mask with its edge moved outwards in each slice, inwards where `pixels` is negative."""
    if pixels == 0:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1,) * 2)
    change = cv2.dilate if pixels > 0 else cv2.erode
    return np.stack([change(plane.astype(np.uint8), kernel) > 0 for plane in mask])


def acquire(image: Array, generator: Generator) -> Array:
    """Resolution, motion, PROPELLER streaks, shading, slices of unlike brightness, Rician noise up to low field."""
    out = np.stack([cv2.GaussianBlur(plane, (0, 0), float(generator.uniform(0.3, 1.1))) for plane in image])
    if generator.random() < 0.35:
        out = _coarser(out, generator.uniform(0.45, 0.9), generator.uniform(0.45, 0.9))
    if generator.random() < 0.15:
        out += np.float32(generator.uniform(0.01, 0.06)) * np.roll(out, int(generator.integers(15, 90)), axis=1)
    if generator.random() < 0.12:
        out = _turned(out, generator)
    out *= np.exp(smooth_field(out.shape, (3, 4, 4), generator) * generator.uniform(0.0, 0.25))
    if generator.random() < 0.2:  # interleaved slices, cross-talk
        out *= np.exp(generator.normal(0, 0.04, (len(out), 1, 1))).astype(np.float32)
    level = generator.uniform(0.004, 0.06) if generator.random() < 0.85 else generator.uniform(0.06, 0.15)
    real = out + level * generator.standard_normal(out.shape, np.float32)
    imaginary = level * generator.standard_normal(out.shape, np.float32)
    return np.asarray(np.hypot(real, imaginary), np.float32)


def _coarser(image: Array, down: float, across: float) -> Array:
    shape = (max(16, round(SIDE * across)), max(16, round(SIDE * down)))
    return np.stack(
        [
            cv2.resize(
                cv2.resize(plane, shape, interpolation=cv2.INTER_AREA), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
            )
            for plane in image
        ]
    ).clip(0)


def _turned(image: Array, generator: Generator) -> Array:
    """Blades of PROPELLER taken at other poses of the head: faint copies, turned a little."""
    share = np.float32(generator.uniform(0.1, 0.3))
    angle, shift = generator.uniform(1, 5), generator.uniform(-2, 2, 2)
    move = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), float(angle), 1.0)
    move[:, 2] += shift
    return np.stack([(1 - share) * plane + share * cv2.warpAffine(plane, move, (SIDE, SIDE)) for plane in image])
