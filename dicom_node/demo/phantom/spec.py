"""What a phantom shall be."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from dicom_node.node.errors import ConfigurationError

_COVERAGE_MM = 144.0
_COVERAGE_FROM_CHIN_MM = 200.0
_LONGEST_PATIENT = 64  # LO, PS3.5 6.2


@dataclass(frozen=True)
class PhantomSpec:
    """Parameters of one phantom; equal specs give equal voxels and equal UIDs.

    Attributes:
        seed: of every random choice (anatomy, lesions, noise).
        slices: number of axial slices.
        matrix: rows and columns of the square matrix.
        oblique_degrees: tilt of the slices about the left-right axis (as a brain is usually planned).
        enhanced: one Enhanced MR instance in place of one MR instance per slice.
        wmh_ml: volume of white matter hyperintensity to place, in mL.
        field_of_view_mm: edge of the square field of view.
        slice_spacing_mm: distance of slice centres; None spreads 144 mm (200 from the chin) over the slices, within
            1 and 8 mm.
        gap_fraction: part of the slice spacing that is not measured (gap between slices).
        noise: standard deviation of the Rician noise, as a part of the white matter's intensity.
        chin: the slices begin at the chin, so that neck, jaw and teeth are on the lowest ones.
        patient: PatientID; "" is an identifier by the seed. The head depends on the seed alone.
        date: of the acquisition, ISO 8601; "" is 2024-01-01. On a date that is given the head lies a little differently
            than on any other, and the noise is another, as at two visits of one patient.
        bias: strength of the smooth receive-field inhomogeneity, as a part (0 = none).

    Raises:
        ConfigurationError: a value is out of range.
    """

    seed: int = 1
    slices: int = 24
    matrix: int = 256
    oblique_degrees: float = 0.0
    enhanced: bool = False
    wmh_ml: float = 15.0
    field_of_view_mm: float = 230.0
    slice_spacing_mm: float | None = None
    gap_fraction: float = 1.0 / 6.0
    noise: float = 0.03
    bias: float = 0.15
    chin: bool = False
    patient: str = ""
    date: str = ""

    def __post_init__(self) -> None:
        """Check once, so that nothing after has to."""
        limits: tuple[tuple[str, float, float, float], ...] = (
            ("seed", self.seed, 0, 2**32 - 1),
            ("slices", self.slices, 5, 400),
            ("matrix", self.matrix, 64, 1024),
            ("oblique_degrees", self.oblique_degrees, -40, 40),
            ("wmh_ml", self.wmh_ml, 0, 80),
            ("field_of_view_mm", self.field_of_view_mm, 200, 400),
            ("slice_spacing_mm", self.spacing_mm[0], 0.5, 20),
            ("gap_fraction", self.gap_fraction, 0, 0.6),
            ("noise", self.noise, 0, 0.5),
            ("bias", self.bias, 0, 0.6),
        )
        for name, value, low, high in limits:
            if not low <= value <= high:
                raise ConfigurationError(f"phantom: {name} must lie between {low} and {high}, got {value}")
        if not all(sign.isascii() and (sign.isalnum() or sign in "-_.") for sign in self.patient[:64]) or (
            len(self.patient) > _LONGEST_PATIENT
        ):
            raise ConfigurationError(
                f"phantom: patient must be at most {_LONGEST_PATIENT} letters, digits, '-', '_' and '.'"
            )
        if self.date and self.acquired_on is None:
            raise ConfigurationError(f"phantom: expected a date such as 2024-06-30, got {self.date!r}")

    @property
    def acquired_on(self) -> datetime.date | None:
        """`date`, where it was given and is one."""
        try:
            return datetime.date.fromisoformat(self.date) if self.date else None
        except ValueError:
            return None

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres in mm, (slice, row, column)."""
        in_plane = self.field_of_view_mm / self.matrix
        if self.slice_spacing_mm is not None:
            return (self.slice_spacing_mm, in_plane, in_plane)
        return (min(8.0, max(0.5, self._coverage_mm / self.slices)), in_plane, in_plane)

    @property
    def _coverage_mm(self) -> float:
        return _COVERAGE_FROM_CHIN_MM if self.chin else _COVERAGE_MM

    @property
    def slice_thickness_mm(self) -> float:
        """Thickness of the measured slab of one slice in mm."""
        return self.spacing_mm[0] * (1.0 - self.gap_fraction)
