"""Write a phantom as a DICOM series with its truth beside it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from dicom_node.demo.phantom.dicom_series import SeriesDescription, classic_series, derived_uid, enhanced_instance
from dicom_node.demo.phantom.phantom import Phantom, PhantomSpec
from segmentation.regions import divide

_NOON_2024 = datetime(2024, 1, 1, 12, 0, 0)
_REGIONS = ("periventricular_volume_ml", "deep_volume_ml", "ventricle_volume_ml")
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_phantom_series(phantom: Phantom, folder: Path) -> list[Path]:
    """Write the series as *.dcm, and truth.nii.gz, ventricles.nii.gz and truth.json beside it.

    truth.nii.gz is the WMH mask, ventricles.nii.gz that of the ventricles, (column, row, slice) with their RAS affine.
    truth.json holds wmh_volume_ml, periventricular_volume_ml and deep_volume_ml (by the published rule),
    ventricle_volume_ml, lesion_count, spacing_mm (slice, row, column), seed, series_instance_uid, study_instance_uid
    and the whole spec. Unknown values (a slab without ventricles) are absent.

    Returns:
        The DICOM files: in slice order (feet to head), or the one Enhanced instance.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = _about(phantom)
    stored = phantom.flair.astype(np.uint16)
    if phantom.spec.enhanced:
        instances = [enhanced_instance(stored, phantom.affine, about)]
    else:
        instances = classic_series(stored, phantom.affine, about)
    files = []
    for number, instance in enumerate(instances, start=1):
        path = folder / f"phantom-{number:03d}.dcm"
        instance.save_as(path, enforce_file_format=True)
        files.append(path)
    _write_truth(phantom, about, folder)
    return files


def _about(phantom: Phantom) -> SeriesDescription:
    day = phantom.spec.acquired_on
    return SeriesDescription(
        uid_root=f"wmh-node phantom 1 {json.dumps(_identity(phantom.spec), sort_keys=True)}",
        patient_name="PHANTOM^WMH",
        patient_id=phantom.spec.patient or f"PHANTOM-{phantom.spec.seed}",
        description="t2_tirm_tra_dark-fluid PHANTOM",
        protocol="FLAIR PHANTOM",
        slice_thickness_mm=phantom.spec.slice_thickness_mm,
        acquired_at=_NOON_2024 if day is None else datetime(day.year, day.month, day.day, 12, 0, 0),
    )


def _write_truth(phantom: Phantom, about: SeriesDescription, folder: Path) -> None:
    for name, mask in (("truth.nii.gz", phantom.wmh), ("ventricles.nii.gz", phantom.ventricles)):
        image = nibabel.Nifti1Image(mask.transpose(2, 1, 0).astype(np.uint8), _LPS_TO_RAS @ phantom.affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, folder / name)
    regions = divide(phantom.wmh, phantom.ventricles, phantom.spec.spacing_mm)
    volumes = {} if regions is None else asdict(regions.volumes)
    truth = {
        "wmh_volume_ml": phantom.truth_ml,
        **{name: volumes[name] for name in _REGIONS if name in volumes},
        "lesion_count": phantom.lesion_count,
        "spacing_mm": list(phantom.spec.spacing_mm),
        "seed": phantom.spec.seed,
        "series_instance_uid": derived_uid(about.uid_root, "series"),
        "study_instance_uid": derived_uid(about.uid_root, "study"),
        "spec": asdict(phantom.spec),
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")


def _identity(spec: PhantomSpec) -> dict[str, Any]:
    """What the UIDs are derived from: fields that came later count only where they are used, so that UIDs stay."""
    later = {"chin": False, "patient": "", "date": ""}
    return {name: value for name, value in asdict(spec).items() if later.get(name, ...) != value}
