"""Synthetic scans: their truth is where the image says, and what only looks like a lesion is in no mask."""

import os
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from support.small_disk import files_that_stay_small

from training.data.cases import load_cases
from training.errors import BadCohort, NotSaved
from training.synthesis import case as case_module
from training.synthesis.__main__ import main
from training.synthesis.acquisition import Protocol, Slab
from training.synthesis.case import draw_case
from training.synthesis.contrast import paint
from training.synthesis.drawn import draw_cases
from training.synthesis.fields import smooth_field
from training.synthesis.heads import Head, head_files, load_head
from training.synthesis.lesions import LesionLibrary, draw_lesions, load_library
from training.synthesis.tissues import Tissue, tissue_map

_WHITE, _CORTEX, _VENTRICLE, _CSF, _SCALP, _PLEXUS, _OWN_LESION = 2, 3, 4, 24, 507, 136, 25


def _label_map() -> np.ndarray:
    """A head of shells, 72 mm wide: scalp, CSF, cortex, white matter, ventricle with plexus, one lesion beside it."""
    axes = np.ogrid[-36:36, -36:36, -36:36]
    radius = np.sqrt(sum(axis.astype(float) ** 2 for axis in axes))
    labels = np.zeros((72, 72, 72), np.int32)
    for outer, label in ((34, _SCALP), (30, _CSF), (28, _CORTEX), (24, _WHITE), (8, _VENTRICLE), (3, _PLEXUS)):
        labels[radius < outer] = label
    labels[48:54, 34:40, 34:40] = _OWN_LESION
    return labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A label-maps folder as in ../shared/data, with one small head and a few lesions."""
    folder = tmp_path_factory.mktemp("label-maps")
    (folder / "heads").mkdir()
    (folder / "lesions").mkdir()
    nibabel.save(nibabel.Nifti1Image(_label_map(), np.eye(4)), folder / "heads" / "one.nii.gz")
    block = np.argwhere(np.ones((14, 14, 14))) + np.array((60, 110, 90))
    for name in ("openms_lesion_maps_mni_1mm.npz", "csim_single_lesions_mni152_1mm.npz"):
        np.savez(folder / "lesions" / name, voxels=block.astype(np.int16), offsets=np.array([0, len(block)]))
    return folder


@pytest.fixture(scope="module")
def head(folder: Path) -> Head:
    """The small head."""
    return load_head(head_files(folder)[0])


@pytest.fixture(scope="module")
def library(folder: Path) -> LesionLibrary:
    """The few lesions."""
    return load_library(folder)


def test_every_label_of_the_shared_heads_has_a_tissue() -> None:
    """Ventricles with their plexus, lesions as white matter; an unknown number is soft tissue."""
    found = tissue_map(np.array([0, 2, 25, 4, 136, 507, 999]))
    assert list(found) == [
        Tissue.AIR,
        Tissue.WHITE_MATTER,
        Tissue.WHITE_MATTER,
        Tissue.VENTRICLE,
        Tissue.CHOROID_PLEXUS,
        Tissue.SOFT_TISSUE,
        Tissue.SOFT_TISSUE,
    ]


def test_the_same_seed_gives_the_same_scan(head: Head, library: LesionLibrary) -> None:
    """Image and masks are a function of head and seed; another seed gives another scan."""
    one, two, other = (draw_case(head, library, seed) for seed in (5, 5, 6))
    assert np.array_equal(one.flair, two.flair)
    assert np.array_equal(one.wmh, two.wmh)
    assert one.flair.shape != other.flair.shape or not np.array_equal(one.flair, other.flair)


def test_masks_lie_where_the_image_shows_them(head: Head, library: LesionLibrary) -> None:
    """Voxels marked as WMH are brighter than the brain around them, ventricles are darker, in every scan."""
    seen = 0
    for seed in range(6):
        case = draw_case(head, library, seed)
        tissue = case.brain & ~case.wmh & ~case.ventricles
        assert np.median(case.flair[case.ventricles]) < 0.8 * np.median(case.flair[tissue])
        assert not (case.wmh & ~case.brain).any()
        if case.wmh.sum() > 50:
            seen += 1
            assert np.median(case.flair[case.wmh]) > 1.1 * np.median(case.flair[tissue])
    assert seen >= 3


def test_lesions_stay_in_white_matter(head: Head, library: LesionLibrary) -> None:
    """Whatever shape is stamped, its core lies in white matter; some scans have none."""
    loads = []
    for seed in range(40):
        share = draw_lesions(head, library, np.random.default_rng(seed))
        assert not (share > 0.6)[~head.is_tissue(Tissue.WHITE_MATTER)].any()
        loads.append(float(share.sum()))
    assert min(loads) == 0 < max(loads)


def test_confounders_are_in_no_mask(head: Head, library: LesionLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without lesions, infarcts are drawn anyway: bright in the image, and in no mask."""
    none = np.zeros(head.tissue.shape, np.float32)
    cortex = head.is_tissue(Tissue.CORTEX)
    brightest = [float(paint(head, none, np.random.default_rng(seed))[cortex].max()) for seed in range(12)]
    assert max(brightest) > 1.9 * np.median(brightest) or max(brightest) > 2
    monkeypatch.setattr(case_module, "draw_lesions", lambda head, library, generator: none)
    assert not any(draw_case(head, library, seed).wmh.any() for seed in range(12))


def test_slices_keep_the_shape_of_the_head(head: Head) -> None:
    """An untilted scan of a sphere has its diameter in mm along rows, columns and slices."""
    protocol = Protocol(0.9, 3.0, 3.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), False, 0.0)
    ball = Slab(head, protocol).share(head.is_tissue(*(t for t in Tissue if t not in (Tissue.AIR, Tissue.SOFT_TISSUE))))
    extents = [np.ptp(np.flatnonzero((ball > 0.5).any(axis=axes))) + 1 for axes in ((1, 2), (0, 2), (0, 1))]
    for extent, spacing in zip(extents, (3.0, 0.9, 0.9), strict=True):
        assert abs(extent * spacing - 60) <= spacing + 2


def test_left_and_posterior_are_where_dicom_has_them(head: Head) -> None:
    """Columns run to the patient's left and rows to posterior: the lesion on the head's right lies in low columns."""
    protocol = Protocol(0.9, 3.0, 3.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), False, 0.0)
    found = np.argwhere(Slab(head, protocol).share(head.lesions) > 0.5)
    assert found[:, 2].mean() < 127
    mirrored = Protocol(0.9, 3.0, 3.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), True, 0.0)
    assert np.argwhere(Slab(head, mirrored).share(head.lesions) > 0.5)[:, 2].mean() > 128


def test_a_smooth_field_passes_through_its_knots() -> None:
    """With as many knots as places it is the drawn noise itself; each axis keeps its own place."""
    generator = np.random.default_rng(1)
    expected = np.random.default_rng(1).normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(smooth_field((3, 4, 5), (3, 4, 5), generator), expected, rtol=1e-6)


def test_written_scans_are_training_cases(folder: Path, tmp_path: Path) -> None:
    """What the command writes is read back as a cohort, and a second run keeps what is there."""
    main(folder, tmp_path, count=1)
    flair = next(tmp_path.glob("*/flair.nii.gz"))
    before = flair.stat().st_mtime_ns
    main(folder, tmp_path, count=1)
    assert flair.stat().st_mtime_ns == before
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [flair.parent]
    (case,) = load_cases(tmp_path)
    made = draw_case(load_head(head_files(folder)[0]), load_library(folder), 0)
    assert np.array_equal(case.wmh, made.wmh)
    np.testing.assert_allclose(case.volume.voxels, made.flair, atol=0.51)


def test_scans_of_other_label_maps_are_never_mixed_in(folder: Path, tmp_path: Path) -> None:
    """Fewer or other numbers name those that were asked for; other label maps are refused, and nothing is lost."""
    into = tmp_path / "drawn"
    assert draw_cases(folder, into, 2) == ("synthetic-0", "synthetic-1")
    assert draw_cases(folder, into, 1, first=1) == ("synthetic-1",)
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    (other / "heads" / "one.nii.gz").rename(other / "heads" / "two.nii.gz")
    with pytest.raises(BadCohort, match="from the label maps in other/, found scans drawn from others"):
        draw_cases(other, into, 2)
    assert len(load_cases(into)) == 2


def test_a_full_disk_keeps_the_scans_before(folder: Path, tmp_path: Path) -> None:
    """The error says what to do, and the same call goes on."""
    draw_cases(folder, tmp_path, 1)
    with files_that_stay_small(os.getpid(), 20_000), pytest.raises(NotSaved, match="free some space"):
        draw_cases(folder, tmp_path, 2)
    assert len(load_cases(tmp_path)) == 1
    assert draw_cases(folder, tmp_path, 2) == ("synthetic-0", "synthetic-1")
    assert len(load_cases(tmp_path)) == 2


@pytest.mark.parametrize("missing", ["heads", "lesions"])
def test_a_folder_without_label_maps_is_named(missing: str, tmp_path: Path) -> None:
    """The error says which files were expected where."""
    with pytest.raises(BadCohort, match=missing):
        (head_files if missing == "heads" else load_library)(tmp_path)
