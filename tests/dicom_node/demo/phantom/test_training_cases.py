"""Phantoms as training cases lie on one grid and never share a seed with what is measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from dicom_node.demo.phantom.phantom import PhantomSpec, make_phantom
from dicom_node.demo.phantom.training_cases import FIRST_TRAINING_SEED, random_spec, write_case
from training.data.cases import load_cases


def test_a_written_case_trains_as_it_was_made(tmp_path: Path) -> None:
    """FLAIR, lesions, ventricles and brain come back from NIfTI on the phantom's own voxels."""
    phantom = make_phantom(replace(random_spec(FIRST_TRAINING_SEED), slices=6, matrix=64))
    write_case(phantom, tmp_path / "phantom")
    (case,) = load_cases(tmp_path)
    assert np.array_equal(case.wmh, phantom.wmh)
    assert case.ventricles is not None
    assert np.array_equal(case.ventricles, phantom.ventricles)
    assert case.brain is not None
    assert np.array_equal(case.brain, phantom.brain)
    assert np.array_equal(case.volume.voxels, phantom.flair)


def test_training_seeds_are_not_the_demo_s() -> None:
    """The demo's phantom is none of the training phantoms."""
    assert PhantomSpec().seed < FIRST_TRAINING_SEED
