"""The head: which tissue lies where, from a handful of solids and random folds.

Sizes are those of an adult head (brain about 135 x 172 x 130 mm). The cortex winds because its sulci are the sheets on
which a random field, drawn on the brain's surface and continued inwards, changes its sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicom_node.demo.phantom.shapes import Field, Points, Triple, ellipsoid, inside, meet, tube, union
from dicom_node.demo.phantom.texture import noise_lattice, sheet_distance

# Left lateral ventricle as knots (x, y, z, radius) in mm: frontal horn, body, atrium, occipital horn; temporal horn.
_LATERAL_VENTRICLE = (
    (13.0, -40.0, 4.0, 2.0),
    (9.0, -31.0, 9.0, 5.0),
    (6.5, -14.0, 15.0, 5.0),
    (8.0, 4.0, 20.0, 5.0),
    (15.0, 21.0, 19.0, 6.0),
    (22.0, 32.0, 11.0, 7.0),
    (25.0, 45.0, 6.0, 4.0),
    (23.0, 58.0, 4.0, 1.2),
)
_TEMPORAL_HORN = (
    (23.0, 32.0, 9.0, 5.5),
    (31.0, 20.0, -8.0, 2.6),
    (31.0, 4.0, -17.0, 2.2),
    (28.0, -8.0, -22.0, 1.6),
)
_SURFACE_MM = 70.0
_GREY_MM = 3.0


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Tissues:
    """What the head is made of at each point.

    Attributes:
        brain: part inside the brain (grey, white, lesions; not CSF), 0 to 1.
        grey: part of cortex and deep grey matter.
        ventricle: part inside the ventricles.
        from_lateral_ventricle_mm: distance outside the wall of the lateral ventricles (negative inside).
        white_depth_mm: depth below the grey matter, positive in white matter.
        intensity: FLAIR intensity without lesions, white matter = 1.
    """

    brain: Field
    grey: Field
    ventricle: Field
    from_lateral_ventricle_mm: Field
    white_depth_mm: Field
    intensity: Field


@dataclass(frozen=True)
class _Wave:
    amplitude_mm: float
    axis: int
    direction: Triple
    phase: float


class Head:
    """One person's head, drawn from a random generator.

    Attributes:
        fine: noise of wavelength 9 mm, standard deviation 1, for irregular outlines.
    """

    def __init__(self, random: np.random.Generator, has_neck: bool = False) -> None:
        self._has_neck = has_neck
        folds = noise_lattice(random, wavelength_mm=20.0, step_mm=1.5, size=108)
        self._sulci = sheet_distance(folds)
        self._sulcal_depth = noise_lattice(random, wavelength_mm=40.0, step_mm=5.0, size=40)
        self._patches = noise_lattice(random, wavelength_mm=22.0, step_mm=3.0, size=72)
        self.fine = noise_lattice(random, wavelength_mm=9.0, step_mm=1.5, size=96)
        self._waves = [
            _Wave(
                amplitude_mm=float(random.uniform(0.3, 1.3)),
                axis=int(random.integers(3)),
                direction=tuple(float(v) for v in random.normal(0.0, 1.0 / 35.0, 3)),  # type: ignore[arg-type]
                phase=float(random.uniform(0.0, 2.0 * np.pi)),
            )
            for _ in range(6)
        ]
        self._ventricle_mm = float(random.uniform(-0.6, 1.4))

    def outside(self, points: Points) -> Field:
        """Depth below the skin in mm; negative in air."""
        x, y, z = points
        # Below the ears the head goes on as face and neck, narrowing slowly.
        level = Points(x, y, np.where(z > 0, z, 0.35 * z).astype(np.float32))
        skin = ellipsoid(level, (0.0, 3.0, 2.0), (79.0, 100.0, 87.0))
        nose = ellipsoid(points, (0.0, -96.0, -48.0), (13.0, 16.0, 24.0))
        ears = ellipsoid(points.mirrored(), (80.0, 16.0, -30.0), (5.0, 15.0, 20.0))
        return union(union(skin, nose, 6.0), ears, 3.0)

    def tissues(self, points: Points) -> Tissues:
        """Tissue at points inside the head."""
        points = self._warped(points)
        pair = points.mirrored()
        cerebrum, convexity, hind, cavity = self._brain_solids(points, pair)
        lateral, ventricles = self._ventricles(points, pair)

        from_csf = self._distance_to_sulcus(points, pair, convexity)
        cortex = np.where(hind > cerebrum, hind, np.minimum(cerebrum, from_csf)).astype(np.float32)
        brain_depth = np.where(
            hind > cerebrum, hind, np.minimum(cerebrum, from_csf - 0.5 - 1.0 * np.exp(-np.maximum(cerebrum, 0.0) / 3.0))
        ).astype(np.float32)
        brain = inside(brain_depth, 1.1) * inside(-ventricles, 1.2)

        grey_limit = np.where(hind > cerebrum, 8.0, _GREY_MM).astype(np.float32)
        white_depth = (cortex - grey_limit).astype(np.float32)
        grey = inside(-white_depth, 1.4)
        deep_grey = self._deep_grey(pair)
        grey_or_deep = np.maximum(grey, deep_grey)

        texture = self._patches.at(points)
        fine = self.fine.at(points)
        folia = self._folia(points, hind, cerebrum)
        white = 1.0 + 0.025 * texture + 0.012 * fine
        intensity = white + grey * (0.16 + 0.03 * texture) + deep_grey * (0.07 + 0.02 * texture) + folia
        rim = inside(2.0 + lateral, 2.0) * inside(-lateral, 1.0)
        intensity += 0.10 * rim * (1.0 - grey_or_deep)

        csf = 0.10 + 0.03 * np.abs(fine)
        plexus = inside(ellipsoid(pair, (20.5, 33.0, 11.0), (2.5, 6.0, 5.0)) + 0.8 * fine, 1.0)
        fluid = csf + plexus * (1.0 - csf)
        within = brain * intensity + (1.0 - brain) * fluid
        shell = self._shell(points, pair, cavity, texture, fine)
        cranial = inside(cavity, 1.0)
        return Tissues(
            brain=(brain * cranial).astype(np.float32),
            grey=(brain * grey_or_deep).astype(np.float32),
            ventricle=inside(ventricles, 1.2),
            from_lateral_ventricle_mm=-lateral,
            white_depth_mm=np.where(deep_grey > 0.5, -1.0, white_depth).astype(np.float32),
            intensity=(cranial * within + (1.0 - cranial) * shell).astype(np.float32),
        )

    def _warped(self, points: Points) -> Points:
        """Points moved by a few long waves, so that no head is symmetric."""
        moved = [points.x.copy(), points.y.copy(), points.z.copy()]
        for wave in self._waves:
            kx, ky, kz = wave.direction
            angle = kx * points.x + ky * points.y + kz * points.z + np.float32(wave.phase)
            moved[wave.axis] += np.float32(wave.amplitude_mm) * np.sin(angle)
        return Points(*moved)

    @staticmethod
    def _brain_solids(points: Points, pair: Points) -> tuple[Field, Field, Field, Field]:
        """Depths of cerebrum, of its outer convexity, of cerebellum with brain stem, and of the skull's cavity."""
        x, y, z = points
        # The brain is broadest behind its middle.
        egg = Points((x / (1.0 + 0.0011 * np.clip(y - 12.0, -90.0, 40.0))).astype(np.float32), y, z)
        upper = ellipsoid(egg, (0.0, 0.0, 8.0), (66.0, 86.0, 63.0))
        floor = z + 23.0 - np.clip(0.2 * (y - 20.0), 0.0, 6.0)
        temporal = ellipsoid(pair, (42.0, -8.0, -22.0), (23.0, 37.0, 23.0))
        cerebrum = union(meet(upper, floor.astype(np.float32), 6.0), temporal, 4.0)
        cerebellum = ellipsoid(pair, (20.0, 46.0, -37.0), (32.0, 34.0, 26.0))
        pons = ellipsoid(points, (0.0, 12.0, -32.0), (16.0, 13.0, 17.0))
        medulla = ellipsoid(points, (0.0, 18.0, -62.0), (9.0, 8.0, 34.0))
        hind = union(union(cerebellum, pons, 3.0), medulla, 3.0)
        cavity = union(union(upper + 2.2, hind + 3.0, 10.0), temporal + 2.0, 6.0)
        below = z + 25.0 + np.clip(1.2 * (y + 22.0), 0.0, 60.0)
        cavity = union(meet(cavity, below.astype(np.float32), 5.0), temporal + 2.0, 4.0)
        return cerebrum, union(upper, temporal, 4.0), hind, cavity

    def _ventricles(self, points: Points, pair: Points) -> tuple[Field, Field]:
        """Depths of the lateral ventricles and of all ventricles."""
        # Ventricles are taller than wide: squeeze the height before measuring.
        tall = Points(pair.x, pair.y, ((pair.z - 10.0) * 0.8 + 10.0).astype(np.float32))
        lateral = union(tube(tall, _LATERAL_VENTRICLE), tube(pair, _TEMPORAL_HORN), 2.0) + np.float32(
            self._ventricle_mm
        )
        third = ellipsoid(points, (0.0, 0.0, -2.0), (2.2, 13.0, 10.0))
        fourth = ellipsoid(points, (0.0, 29.0, -36.0), (6.0, 5.0, 11.0))
        return lateral, np.maximum(lateral, np.maximum(third, fourth)).astype(np.float32)

    def _distance_to_sulcus(self, points: Points, pair: Points, convexity: Field) -> Field:
        """Distance in mm to the nearest fold, fissure or the falx."""
        x, y, z = points
        radius = np.sqrt(x * x + (0.8 * y) ** 2 + (z - 8.0) ** 2) + np.float32(1.0)
        depth = np.maximum(convexity, 0.0)
        radius = np.maximum(radius, 25.0)
        # On the surface the folds are drawn as they are; inwards they follow the radius, so that sulci stand upright.
        stretch = (_SURFACE_MM / radius * (1.0 - 0.3 * depth / _SURFACE_MM)).astype(np.float32)
        unfolded = Points(x * stretch, 0.8 * y * stretch, (z - 8.0) * stretch)
        sheet = self._sulci.at(unfolded) / stretch
        reach = np.clip(15.0 + 6.0 * self._sulcal_depth.at(unfolded), 5.0, 27.0)
        sulcus = np.hypot(np.maximum(sheet, 0.0), np.maximum(depth - reach, 0.0))

        callosum = ellipsoid(points, (0.0, -2.0, -4.0), (60.0, 44.0, 33.0))
        falx = (
            np.hypot(np.abs(x + 0.7 * np.sin(0.13 * y) + 0.5 * np.sin(0.31 * z + 0.2 * y)), np.maximum(callosum, 0.0))
            - 0.1
        )
        # The Sylvian fissure runs inwards from the surface, and ends on the insula.
        height = np.maximum(np.abs(pair.z - 3.0) - 17.0, 0.0)
        sway = 2.5 * self._patches.at(points) + 2.0 * self._sulcal_depth.at(points)
        cleft = (
            np.sqrt(
                (pair.y + 9.0 + 1.3 * sway - 0.5 * pair.z) ** 2 + np.maximum(38.0 - sway - pair.x, 0.0) ** 2 + height**2
            )
            - 0.6
        )
        insula = (
            np.sqrt(
                (pair.x - 38.0 + sway + 0.012 * (pair.y + 6.0) ** 2) ** 2
                + np.maximum(np.abs(pair.y + 6.0) - 19.0, 0.0) ** 2
                + height**2
            )
            - 0.4
        )
        sylvian = np.minimum(cleft, insula)
        nearest: Field = np.minimum(np.minimum(sulcus, falx), sylvian).astype(np.float32)
        return nearest

    @staticmethod
    def _deep_grey(pair: Points) -> Field:
        """Part of caudate, putamen and thalamus."""
        nuclei = np.maximum(
            ellipsoid(pair, (15.0, -24.0, 7.0), (6.0, 9.0, 11.0)),
            ellipsoid(pair, (27.0, -6.0, 2.0), (5.5, 15.0, 10.0)),
        )
        return inside(np.maximum(nuclei, ellipsoid(pair, (11.0, 10.0, 6.0), (8.0, 13.0, 9.0))), 2.0)

    @staticmethod
    def _folia(points: Points, hind: Field, cerebrum: Field) -> Field:
        """Fine dark lines of the cerebellum."""
        x, y, z = points
        bow = np.sqrt((y - 20.0) ** 2 + (0.75 * x) ** 2) + 0.55 * z
        lines = np.maximum(np.cos(bow * np.float32(2.0 * np.pi / 5.0)) - 0.55, 0.0)
        leaf = inside(14.0 - hind, 6.0) * (hind > cerebrum) * (y > 26.0)
        folia: Field = (-0.55 * lines * leaf).astype(np.float32)
        return folia

    def _shell(self, points: Points, pair: Points, cavity: Field, texture: Field, fine: Field) -> Field:
        """Intensity outside the brain's cavity: skull, scalp, face. Air is 0."""
        skin = self.outside(points)
        beyond = -cavity
        fat = 2.6 + 0.35 * texture
        muscle = 0.55 + 0.10 * fine
        scalp = fat * inside(skin - 1.6, 1.2) + 1.1 * (1.0 - inside(skin - 1.6, 1.2))
        # Deep to the fat: temporal and neck muscle, with fat between its bundles.
        bundles = muscle + 1.3 * inside(0.3 * fine + texture - 0.8, 0.8)
        soft = scalp + inside(skin - 7.5, 2.0) * (bundles - scalp)
        bone = 0.06 + 0.9 * inside(beyond - 2.2, 1.0) * inside(5.2 - beyond, 1.0) * np.clip(
            0.6 + 0.3 * texture, 0.0, 1.2
        )
        wall: Field = np.where(points.z < -18.0, 9.0, 7.2).astype(np.float32)
        base = 0.12 + 0.9 * inside(np.asarray(texture + 0.3 * fine - 0.8, np.float32), 0.8)
        bone = np.where(points.z < -18.0, base, bone)
        skull = inside(np.asarray(wall - beyond, np.float32), 1.0)
        shell = skull * bone + (1.0 - skull) * soft
        shell = self._face(points, pair, shell, fat, muscle, fine)
        if self._has_neck:
            shell = self._jaw_and_neck(points, pair, shell, muscle, fine)
        covered: Field = (shell * inside(skin, 1.2)).astype(np.float32)
        return covered

    @staticmethod
    def _face(points: Points, pair: Points, shell: Field, fat: Field, muscle: Field, fine: Field) -> Field:
        """Orbits, nose, sinuses and mastoid."""

        def paint(base: Field, depth: Field, intensity: Field | float) -> Field:
            part = inside(depth, 1.2)
            return (base + part * (intensity - base)).astype(np.float32)

        shell = paint(shell, ellipsoid(pair, (30.0, -66.0, -31.0), (19.0, 27.0, 17.0)), fat * 0.9)
        shell = paint(shell, tube(pair, ((31.0, -70.0, -31.0, 3.0), (16.0, -38.0, -28.0, 2.0))), 0.9)
        shell = paint(shell, tube(pair, ((44.0, -72.0, -31.0, 2.5), (20.0, -42.0, -29.0, 2.0))), 0.8)
        shell = paint(shell, tube(pair, ((19.0, -74.0, -31.0, 2.2), (14.0, -44.0, -29.0, 1.5))), 0.8)
        shell = paint(shell, ellipsoid(pair, (32.0, -79.0, -31.0), (12.5, 12.5, 12.5)), 1.0)
        shell = paint(shell, ellipsoid(pair, (32.0, -79.0, -31.0), (11.3, 11.3, 11.3)), 0.12)
        shell = paint(shell, ellipsoid(pair, (32.0, -86.0, -31.0), (4.5, 2.2, 4.5)), 0.5)
        shell = paint(shell, ellipsoid(points, (0.0, -66.0, -42.0), (14.0, 28.0, 26.0)), 0.04)
        turbinates = np.where(np.abs(np.cos(pair.x * 0.55 + 0.12 * points.z)) > 0.75, 1.6 + 0.3 * fine, 0.04)
        nasal = ellipsoid(points, (0.0, -68.0, -46.0), (12.0, 25.0, 22.0))
        shell = paint(shell, nasal, turbinates.astype(np.float32))
        shell = paint(shell, ellipsoid(pair, (28.0, -62.0, -62.0), (14.0, 15.0, 15.0)), 0.04)
        shell = paint(shell, ellipsoid(points, (0.0, -30.0, -38.0), (11.0, 13.0, 9.0)), 0.05)
        return paint(shell, ellipsoid(pair, (58.0, 22.0, -44.0), (12.0, 15.0, 15.0)), 0.07)

    @staticmethod
    def _jaw_and_neck(points: Points, pair: Points, shell: Field, muscle: Field, fine: Field) -> Field:
        """Tongue, jaw with marrow and teeth, chewing and neck muscles, glands, nodes, vertebrae and spinal cord.

        Marrow, glands and nodes are as bright as WMH or brighter: what looks bright alone finds them.
        """

        def paint(base: Field, depth: Field, intensity: Field | float) -> Field:
            part = inside(depth, 1.2)
            return (base + part * (intensity - base)).astype(np.float32)

        jaw = (
            (52.0, -6.0, -78.0, 6.5),
            (44.0, -42.0, -102.0, 7.5),
            (14.0, -76.0, -110.0, 8.5),
            (0.0, -80.0, -110.0, 8.5),
        )
        teeth = ((36.0, -44.0, -92.0, 4.5), (20.0, -72.0, -94.0, 4.5), (0.0, -80.0, -94.0, 4.5))
        crowns = np.where(np.abs(np.cos(0.45 * pair.x + 0.35 * points.y)) > 0.5, 0.03, 1.1).astype(np.float32)
        shell = paint(shell, ellipsoid(points, (0.0, -46.0, -94.0), (25.0, 33.0, 20.0)), muscle + 0.25)
        shell = paint(shell, ellipsoid(pair, (58.0, -20.0, -76.0), (9.0, 17.0, 27.0)), muscle)
        shell = paint(shell, ellipsoid(pair, (60.0, 10.0, -74.0), (9.0, 13.0, 22.0)), 1.4 + 0.2 * fine)
        shell = paint(shell, tube(pair, jaw), 0.06)
        shell = paint(shell, tube(pair, jaw) - 3.0, 1.7 + 0.2 * fine)
        shell = paint(shell, tube(pair, teeth), crowns)
        shell = paint(shell, ellipsoid(pair, (32.0, -26.0, -114.0), (8.0, 12.0, 8.0)), 1.6)
        shell = paint(shell, ellipsoid(pair, (24.0, 62.0, -106.0), (19.0, 20.0, 38.0)), muscle)
        shell = paint(shell, ellipsoid(points, (0.0, 20.0, -112.0), (15.0, 11.0, 26.0)), 0.85 + 0.1 * fine)
        shell = paint(shell, ellipsoid(points, (0.0, -6.0, -100.0), (10.0, 8.0, 40.0)), 0.04)
        shell = paint(shell, tube(points, ((0.0, 30.0, -84.0, 9.0), (0.0, 40.0, -140.0, 9.0))), 0.1)
        return paint(shell, tube(points, ((0.0, 30.0, -84.0, 5.5), (0.0, 40.0, -140.0, 5.5))), 0.95)
