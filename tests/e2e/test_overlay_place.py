"""OHIF in a real browser: the overlay of the SEG lies where the mask lies in the FLAIR, measured in pixels."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from support.ohif import Open, Plan, Seen, artefacts, centroid_shift_of, files_of, look, ohif_beside_orthanc, shift_of
from support.result_cases import Case, result_set_of, segmentation_of, series_of

from dicom_node.reading.series import FlairSeries
from dicom_node.results.profiles import PROFILES, ObjectKind, Wish
from segmentation.segment import Segmentation

pytestmark = [
    pytest.mark.peer("Orthanc"),
    pytest.mark.peer("chromium"),
    pytest.mark.peer("ohif"),
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

# Pixels of 1.5 x 2 mm, 48 x 40 of them. The frames of an odd matrix (47 x 41) do not end at a byte: OHIF 3.13 scrambles
# BINARY segmentations of these, for which its profile has another form (docs/interoperability.md).
CASES = (
    Case("anisotropic"),
    Case("oblique-gapped", tilt=(17.0, 9.0), gap=True),
    Case("enhanced-oblique", enhanced=True, tilt=(-11.0, 4.0)),
    Case("odd-matrix", odd=True),
)
PROFILE = PROFILES["ohif"]
HALF_A_PIXEL = 0.5


@dataclass(frozen=True)
class Looked:
    """A case, what was made of it, and what was seen."""

    series: FlairSeries
    mask: NDArray[np.bool_]
    slices: tuple[int, ...]
    seen: Seen


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Looked]:
    """Every case in one Orthanc, looked at in one browser: the first slice with WMH, one in the middle, the last."""
    folder = tmp_path_factory.mktemp("overlay")
    made = {}
    with ohif_beside_orthanc(folder / "site") as (url, orthanc):
        plans = []
        for case in CASES:
            series = series_of(case, folder / case.name, uid_root=f"wmh-node e2e {case.name}")
            segmentation = segmentation_of(series)
            seg = _seg(series, segmentation)
            for file in files_of(folder / case.name, [seg]):
                request = urllib.request.Request(f"http://127.0.0.1:{orthanc.http_port}/instances", file)
                urllib.request.urlopen(request, timeout=60).close()
            with_wmh = np.flatnonzero(segmentation.mask.any(axis=(1, 2)))
            slices = (int(with_wmh[0]), int(with_wmh[len(with_wmh) // 2]), int(with_wmh[-1]))
            made[case.name] = (series, segmentation.mask, slices)
            shown = tuple((series, index) for index in (*slices, 1))
            to_open = (Open("SEG", int(seg.SeriesNumber)),)
            plans.append(Plan(case.name, url, series.study_instance_uid, to_open, shown))
        seen = look(plans, artefacts(folder / "pictures") / "overlay")
    return {name: Looked(*made[name], seen[name]) for name in made}


def _seg(series: FlairSeries, segmentation: Segmentation) -> Dataset:
    """The SEG of the whole WMH as a destination with OHIF gets it."""
    sent = result_set_of(series, segmentation, wishes=(Wish(PROFILE),)).of(PROFILE)
    return next(one.dataset for one in sent if one.kind is ObjectKind.SEG)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_overlay_lies_on_the_mask(case: Case, looked: Mapping[str, Looked]) -> None:
    """On the first and the last slice with WMH and between, the overlay is the mask, at most half a pixel away; and the
    image below it lies where the headers put it."""
    one = looked[case.name]
    for index, shown in zip(one.slices, one.seen.slices, strict=False):
        mask = one.mask[index]
        by_centroid, dice = centroid_shift_of(shown.coloured, mask, shown.to_canvas)
        by_correlation = shift_of(shown.coloured.astype(float), mask.astype(float), shown.to_canvas)
        of_image = shift_of(shown.grey, one.series.voxels[index].astype(float), shown.to_canvas)
        print(f"{case} {index}: {by_centroid:.3f} {by_correlation:.3f} dice {dice:.4f} image {of_image:.3f}")
        assert by_centroid <= HALF_A_PIXEL
        assert by_correlation <= HALF_A_PIXEL
        assert of_image <= HALF_A_PIXEL
        assert dice > 0.95


@pytest.mark.parametrize("case", CASES, ids=str)
def test_slices_without_wmh_stay_plain(case: Case, looked: Mapping[str, Looked]) -> None:
    """A slice on which nothing was found shows no overlay; and the browser has nothing to complain of."""
    one = looked[case.name]
    assert not one.mask[1].any()
    assert not one.seen.slices[-1].coloured.any()
    assert one.seen.complaints == ()
    assert one.seen.segments == (("WMH segmentation - RESEARCH USE ONLY", ("WMH",)),)
