"""Labelled cases whose manual mask is what a model draws, so that it scores well on them and others do not."""

from __future__ import annotations

from pathlib import Path

from dicom_node.demo.phantom.phantom import PhantomSpec, make_phantom
from dicom_node.demo.phantom.training_cases import write_case
from segmentation.bundle import load_bundle
from segmentation.ensemble import open_ensemble
from segmentation.nifti import read_flair_nifti, write_mask_nifti
from segmentation.segment import segment_volume


def cases_drawn_by(bundle: Path, folder: Path, count: int = 2) -> Path:
    """Write small phantom heads into `folder` and return it; the model's mask without its last slice is the manual one,
    so that the DSC is near 1 and not 1."""
    ensemble = open_ensemble(load_bundle(bundle), "openvino")
    for seed in range(1, count + 1):
        case = folder / f"head-{seed}"
        write_case(make_phantom(PhantomSpec(seed=seed, slices=8, matrix=64)), case)
        volume, grid = read_flair_nifti(case / "flair.nii.gz")
        mask = segment_volume(volume, ensemble).mask.copy()
        mask[-1] = False
        write_mask_nifti(case / "wmh.nii.gz", mask, grid)
    return folder
