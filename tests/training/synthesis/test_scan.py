"""Drawn scans of coded heads: the truth lies where the image shows it, and files give back what was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.small_head import small_label_maps

from training.synthesis.coded_head import STEPS_PER_MM, CodedHead, Extra, Part, load_coded_head
from training.synthesis.heads import head_files
from training.synthesis.lesions import LesionLibrary, load_library
from training.synthesis.patterns import draw_confounders, draw_patterns
from training.synthesis.scan import Scan, _palette, draw_scan
from training.synthesis.stream import as_case, has_scans, main, read_scan, scan_files
from training.synthesis.tissues import Tissue


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The label maps."""
    return small_label_maps(tmp_path_factory.mktemp("maps") / "label-maps")


@pytest.fixture(scope="module")
def head(folder: Path) -> CodedHead:
    """The small head."""
    return load_coded_head(head_files(folder)[0])


@pytest.fixture(scope="module")
def library(folder: Path) -> LesionLibrary:
    """The few lesions."""
    return load_library(folder)


@pytest.fixture(scope="module")
def scans(head: CodedHead, library: LesionLibrary) -> list[Scan]:
    """A handful of scans."""
    return [draw_scan(head, library, seed) for seed in range(6)]


def test_parts_of_a_head(head: CodedHead) -> None:
    """Ventricles lie in the brain, left is the smaller x, scalp and air are no part, the cortex is the outer band."""
    brain = (head.parts & Part.BRAIN) > 0
    ventricles = (head.parts & Part.VENTRICLES) > 0
    left = (head.parts & Part.LEFT) > 0
    assert ventricles.any()
    assert (brain | ~ventricles).all()
    assert not brain[np.isin(head.tissue, (Tissue.AIR, Tissue.SOFT_TISSUE))].any()
    assert np.argwhere(left)[:, 0].max() < np.argwhere(brain & ~left)[:, 0].max()
    assert head.ventricle_steps[36, 36, 36] == 0
    assert head.ventricle_steps[36 + 18, 36, 36] == pytest.approx(11 * STEPS_PER_MM, abs=STEPS_PER_MM)


def test_lesions_are_brighter_than_the_cortex() -> None:
    """Whatever contrast is drawn, each class of lesions in white matter is clearly brighter than cortex, as what
    readers outline is."""
    for seed in range(300):
        means, _, ratios = _palette(np.random.default_rng(seed))
        assert means[Tissue.WHITE_MATTER] * ratios[1:].min() >= 1.25 * means[Tissue.CORTEX]
        assert ratios[0] == 1


def test_the_same_seed_gives_the_same_scan(head: CodedHead, library: LesionLibrary, scans: list[Scan]) -> None:
    """Image and truth are a function of head and seed."""
    again = draw_scan(head, library, 3)
    assert np.array_equal(again.flair, scans[3].flair)
    assert np.array_equal(again.wmh, scans[3].wmh)
    assert np.array_equal(again.parts, scans[3].parts)


def test_wmh_is_brighter_than_the_white_matter_around_it(scans: list[Scan]) -> None:
    """In most scans with WMH its median is brighter than the brain's."""
    brighter = [
        np.median(scan.flair[scan.wmh]) > np.median(scan.flair[(scan.parts & Part.BRAIN) > 0])
        for scan in scans
        if scan.wmh.sum() > 50
    ]
    assert len(brighter) >= 2
    assert np.mean(brighter) >= 0.6


def test_stripped_scans_show_nothing_outside(scans: list[Scan], head: CodedHead, library: LesionLibrary) -> None:
    """Where the skull was removed, most of the image is 0 and most of the brain is not."""
    more = (draw_scan(head, library, seed) for seed in range(6, 30))
    stripped = next(scan for scan in (*scans, *more) if scan.is_stripped)
    brain = (stripped.parts & Part.BRAIN) > 0
    assert (stripped.flair[brain] > 0).mean() > 0.7
    assert (stripped.flair[~brain] == 0).mean() > 0.9


def test_wmh_lies_in_the_brain(scans: list[Scan]) -> None:
    """No voxel marked as WMH lies outside the brain's surface."""
    for scan in scans:
        assert not (scan.wmh & ((scan.parts & Part.BRAIN) == 0)).any()


def test_infarcts_and_cavities_are_no_wmh(head: CodedHead, library: LesionLibrary) -> None:
    """What is drawn as infarct or cavity is no lesion any more, also where it lay on WMH."""
    found = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        lesion, tissue = draw_patterns(head, library, generator), head.tissue.copy()
        draw_confounders(tissue, lesion, head, generator)
        other = np.isin(tissue, (Extra.INFARCT, Extra.CAVITY))
        found += int(other.any())
        assert not lesion[tissue == Extra.INFARCT].any()
        assert not lesion[tissue == Extra.CAVITY].any()
    assert found > 5


def test_files_give_back_the_scan(folder: Path, tmp_path: Path) -> None:
    """A scan on disk has the truth bit for bit and the intensities within float16; scans that are there are kept."""
    main(folder, tmp_path / "scans", count=2)
    files = scan_files(tmp_path / "scans")
    before = [path.stat().st_mtime_ns for path in files]
    main(folder, tmp_path / "scans", count=2)
    assert [path.stat().st_mtime_ns for path in scan_files(tmp_path / "scans")] == before
    head, library = load_coded_head(head_files(folder)[0]), load_library(folder)
    drawn, read = draw_scan(head, library, 1), read_scan(files[1])
    assert np.array_equal(drawn.wmh, read.wmh)
    assert np.array_equal(drawn.parts, read.parts)
    np.testing.assert_allclose(read.flair, drawn.flair, rtol=1e-3, atol=0.1)
    assert has_scans(tmp_path / "scans")
    assert not has_scans(folder)
    case = as_case(files[1])
    assert np.array_equal(case.wmh, drawn.wmh)
    assert case.brain is not None and case.ventricles is not None
    assert not (case.ventricles & ~case.brain).any()
