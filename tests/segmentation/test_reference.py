from __future__ import annotations

import os

import numpy as np
import pytest
from support.air import least_depth_mm
from support.data import shared_data

from dicom_node.demo.phantom.phantom import PhantomSpec, make_phantom
from segmentation.bundle import MANIFEST_NAME, ModelBundle, load_bundle, reference_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.nifti import read_flair_nifti, read_mask_nifti
from segmentation.runtimes.precision import choose_precision
from segmentation.segment import segment_volume
from segmentation.volume import FlairVolume
from training.dice import dice


@pytest.fixture(scope="module")
def reference() -> ModelBundle:
    folder = reference_bundle()
    if not (folder / MANIFEST_NAME).exists():
        message = "the reference bundle is not in this checkout (make reference-model)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return load_bundle(folder)


@pytest.fixture(scope="module")
def ensemble(reference: ModelBundle) -> Ensemble:
    """The shipped model on OpenVINO, compiled once."""
    return open_ensemble(reference, "openvino")


def phantom_volume(spec: PhantomSpec) -> tuple[FlairVolume, float]:
    phantom = make_phantom(spec)
    return FlairVolume(phantom.flair, spec.spacing_mm), phantom.truth_ml


def test_the_shipped_model_is_the_papers(reference: ModelBundle) -> None:
    """Five SE-UNets of the published architecture, averaged and cut at 0.5."""
    architecture = reference.manifest.architecture
    assert (architecture.network, architecture.variant, reference.members) == ("se-unet", "published", 5)
    assert reference.threshold == 0.5


def test_the_shipped_model_is_small(reference: ModelBundle) -> None:
    """The whole bundle, golden predictions and ventricle network included, takes less than 40 MB of the repository."""
    assert sum(path.stat().st_size for path in reference_bundle().rglob("*") if path.is_file()) < 40_000_000


def test_the_shipped_model_says_what_it_is_not(reference: ModelBundle) -> None:
    """Manifest and card say research use only; the card names data, licence and the leave-patients-out DSC."""
    assert reference.manifest.intended_use == "research use only; not a medical device"
    assert reference.manifest.training.data
    card = (reference_bundle() / "MODEL_CARD.md").read_text().lower()
    for words in ("research use only", "not a medical device", "cc by 4.0", "leave-patients-out"):
        assert words in card


@pytest.mark.slow
def test_the_phantoms_lesions_are_found(ensemble: Ensemble) -> None:
    """Five phantoms' volumes are within 15 % of the truth on average and none is off by 20 %; each DSC is above 0.8."""
    ratios = []
    for seed in range(1, 6):
        phantom = make_phantom(PhantomSpec(seed=seed))
        found = segment_volume(FlairVolume(phantom.flair, phantom.spec.spacing_mm), ensemble)
        ratios.append(found.measures.wmh_volume_ml / phantom.truth_ml)
        assert dice(found.mask, phantom.wmh) > 0.8
    assert np.mean(ratios) == pytest.approx(1, abs=0.15)
    assert ratios == pytest.approx([1] * len(ratios), abs=0.2)


@pytest.mark.slow
def test_lesions_have_the_side_that_they_lie_on(ensemble: Ensemble) -> None:
    """A phantom's lesions lie on both sides; where columns run to the right the same lesions have the other side; where
    the direction is unknown, a lesion has no side."""
    phantom = make_phantom(PhantomSpec(seed=1))
    to_left, to_right, unknown = (
        [
            lesion.side
            for lesion in segment_volume(FlairVolume(phantom.flair, phantom.spec.spacing_mm, side), ensemble).lesions
        ]
        for side in (True, False, None)
    )
    assert {"left", "right"} <= set(to_left)
    assert to_right == [{"left": "right", "right": "left", "both": "both"}[str(side)] for side in to_left]
    assert set(unknown) == {None}


@pytest.mark.slow
def test_hot_pixels_do_not_change_the_volume(ensemble: Ensemble) -> None:
    """One white pixel a slice, in the air, leaves a phantom's volume within 5 % and raises `extreme_pixels`."""
    volume, _ = phantom_volume(PhantomSpec(seed=1, slices=6, matrix=64))
    hot = volume.voxels.copy()
    hot[:, 3, 3] = 65535
    plain = segment_volume(volume, ensemble)
    found = segment_volume(FlairVolume(hot, volume.spacing_mm), ensemble)
    assert plain.measures.wmh_volume_ml > 1
    assert found.measures.wmh_volume_ml == pytest.approx(plain.measures.wmh_volume_ml, rel=0.05)
    assert "extreme_pixels" in found.flags
    assert "extreme_pixels" not in plain.flags


@pytest.mark.slow
def test_both_runtimes_draw_one_mask(reference: ModelBundle, ensemble: Ensemble) -> None:
    """With the shipped weights the runtimes' masks differ in at most 0.05 % of voxels in f32, 0.5 % in bf16."""
    volume, _ = phantom_volume(PhantomSpec(seed=2, slices=8, matrix=320))
    masks = [segment_volume(volume, runtime).mask for runtime in (ensemble, open_ensemble(reference, "tensorflow"))]
    flips, voxels = int(np.count_nonzero(masks[0] ^ masks[1])), int(np.count_nonzero(masks[1]))
    print(f"{flips} of {voxels} mask voxels flip")
    assert flips <= max(2, (0.005 if choose_precision() == "bf16" else 0.0005) * voxels)


@pytest.mark.slow
def test_neck_and_jaw_hold_no_wmh(ensemble: Ensemble) -> None:
    """Of a phantom from the chin up, nothing below the brain is brain or WMH, though it is as bright; what the members
    marked outside the brain is left out and said, and the volume is within 25 % of the truth."""
    phantom = make_phantom(PhantomSpec(seed=1, chin=True, slices=25, matrix=192))
    below = phantom.affine[2, 3] + phantom.affine[2, 2] * np.arange(25) < -75.0
    found = segment_volume(FlairVolume(phantom.flair, phantom.spec.spacing_mm), ensemble)
    assert found.anatomy is not None
    assert below.sum() >= 5 and not found.mask[below].any() and not found.anatomy.brain[below].any()
    assert found.outside_brain_ml > 1.0
    assert "partly_outside_brain" in {reason.code for reason in found.plausibility.reasons}
    assert found.measures.wmh_volume_ml == pytest.approx(phantom.truth_ml, rel=0.25)


@pytest.mark.shared_data
@pytest.mark.slow
def test_the_brain_of_real_heads(ensemble: Ensemble) -> None:
    """On every real head of the shared data whose scalp is bright, of two scanners, the brain has a brain's volume, all
    manual WMH, and lies 6 mm under the skin or deeper: no WMH can be in air, scalp, jaw or neck."""
    labelled = sorted(shared_data("flair-wmh").glob("*/flair.nii.gz"))
    assert len(labelled) == 11
    for path in [*labelled, shared_data("flair-other", "tcga-fg-6692_siemens_glioma.nii.gz")]:
        volume, grid = read_flair_nifti(path)
        found = ensemble.predict_anatomy(volume)
        assert found is not None
        assert 1000 < found.brain.sum() * volume.voxel_volume_ml < 1800, path
        assert least_depth_mm(volume, found.brain) > 6.0, path
        if path in labelled:
            wmh = read_mask_nifti(path.parent / "wmh.nii.gz", grid)
            assert (found.brain & wmh).sum() >= 0.995 * wmh.sum(), path
