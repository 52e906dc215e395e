"""OHIF in a real browser: the overlay of the SEG lies where the mask lies in the FLAIR, measured in pixels."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy.ndimage import binary_dilation
from support.interop import REAL as REAL_CASES
from support.ohif import (
    Open,
    Plan,
    Seen,
    SeenSlice,
    artefacts,
    centroid_shift_of,
    files_of,
    look,
    ohif_beside_orthanc,
    shift_of,
)
from support.result_cases import Case, result_set_of, segmentation_of, series_of

from dicom_node.node.profiles import PROFILES, DeliveryOptions, ObjectKind
from dicom_node.series.read.series import FlairSeries
from segmentation.segment import Segmentation

pytestmark = [
    pytest.mark.peer("Orthanc"),
    pytest.mark.peer("chromium"),
    pytest.mark.peer("ohif"),
    pytest.mark.slow,
    pytest.mark.timeout(1000),
]


@dataclass(frozen=True)
class Shown:
    """What is looked at: its name, and what makes the series in a folder, with its segmentation."""

    name: str
    make: Callable[[Path], tuple[FlairSeries, Segmentation]]

    def __str__(self) -> str:
        return self.name


def drawn(case: Case) -> Shown:
    """A made-up grid with a made-up mask."""
    return Shown(case.name, partial(_made, case))


def _made(case: Case, folder: Path) -> tuple[FlairSeries, Segmentation]:
    series = series_of(case, folder, uid_root=f"wmh-node e2e {case.name}")
    return series, segmentation_of(series, empty=case.empty)


# Pixels of 1.5 x 2 mm, 48 x 40 of them. The frames of an odd matrix (47 x 41) do not end at a byte: OHIF 3.13 scrambles
# BINARY segmentations of these, for which its profile has another form (docs/administrator/interoperability.md).
DRAWN = (
    drawn(Case("anisotropic")),
    drawn(Case("oblique-gapped", tilt=(17.0, 9.0), gap=True)),
    drawn(Case("enhanced-oblique", enhanced=True, tilt=(-11.0, 4.0))),
    drawn(Case("odd-matrix", odd=True)),
)
NO_WMH = drawn(Case("no-wmh", empty=True))
# A head as a scanner gives it, planned oblique, with its reader's mask: small lesions, and slices without any.
REAL = Shown("real-oblique", REAL_CASES["real, oblique"].make)
WITH_WMH = (*DRAWN, pytest.param(REAL, marks=pytest.mark.shared_data))
PROFILE = PROFILES["ohif"]
HALF_A_PIXEL = 0.5
AROUND = 8  # pixels about the mask by which its place is measured: more than the widest shift that is tried


@dataclass(frozen=True)
class Looked:
    """A case, what was made of it, and what was seen."""

    series: FlairSeries
    mask: NDArray[np.bool_]
    slices: tuple[int, ...]
    seen: Seen

    def seen_slices(self, *, with_wmh: bool) -> list[tuple[int, SeenSlice]]:
        """(index, what was seen) of those slices in which the mask has something, or has nothing; never none."""
        pairs = zip(self.slices, self.seen.slices, strict=True)
        chosen = [(index, shown) for index, shown in pairs if self.mask[index].any() == with_wmh]
        assert chosen
        return chosen


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Looked]:
    """Every case in one Orthanc, looked at in one browser; the real head only where its data is."""
    folder = tmp_path_factory.mktemp("overlay")
    made = {}
    with ohif_beside_orthanc(folder / "site") as (url, orthanc):
        plans = []
        for case in (*DRAWN, NO_WMH, REAL):
            try:
                series, segmentation = case.make(folder / case.name)
            except pytest.skip.Exception:  # not on this machine: the tests that ask for it are skipped by name
                continue
            seg = _seg(series, segmentation)
            for file in files_of(folder / case.name, [seg]):
                request = urllib.request.Request(f"http://127.0.0.1:{orthanc.http_port}/instances", file)
                urllib.request.urlopen(request, timeout=60).close()
            slices = _slices_to_see(segmentation.mask)
            made[case.name] = (series, segmentation.mask, slices)
            shown = tuple((series, index) for index in slices)
            to_open = (Open("SEG", int(seg.SeriesNumber)),)
            plans.append(Plan(case.name, url, series.study_instance_uid, to_open, shown))
        seen = look(plans, artefacts(folder / "pictures") / "overlay")
    return {name: Looked(*made[name], seen[name]) for name in made}


@pytest.fixture
def one(case: Shown, looked: Mapping[str, Looked], tmp_path: Path) -> Looked:
    """What was seen of a test's case; skips it by the name of the data that it lacks."""
    if case.name not in looked:
        case.make(tmp_path)
    return looked[case.name]


def _slices_to_see(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """The first slice with WMH, one in the middle, the last, and one without; where no slice has any, the first, one in
    the middle, the last."""
    filled = mask.any(axis=(1, 2))
    with_wmh, without = np.flatnonzero(filled), np.flatnonzero(~filled)
    ends = with_wmh if len(with_wmh) else without
    seen = (ends[0], ends[len(ends) // 2], ends[-1], without[len(without) // 2])
    return tuple(dict.fromkeys(map(int, seen)))


def _seg(series: FlairSeries, segmentation: Segmentation) -> Dataset:
    """The SEG of the whole WMH as a destination with OHIF gets it."""
    sent = result_set_of(series, segmentation, all_options=(DeliveryOptions(PROFILE),)).of(PROFILE)
    return next(obj.dataset for obj in sent if obj.kind is ObjectKind.SEG)


@pytest.mark.parametrize("case", WITH_WMH, ids=str)
def test_overlay_lies_on_the_mask(case: Shown, one: Looked) -> None:
    """On the first and the last slice with WMH and between, the overlay is the mask, at most half a pixel away; and the
    image below it lies where the headers put it."""
    for index, shown in one.seen_slices(with_wmh=True):
        mask = one.mask[index]
        by_centroid, dice = centroid_shift_of(shown.coloured, mask, shown.to_canvas)
        near = binary_dilation(mask, iterations=AROUND)
        by_correlation = shift_of(shown.coloured.astype(float), mask.astype(float), shown.to_canvas, near)
        of_image = shift_of(shown.grey, one.series.voxels[index].astype(float), shown.to_canvas, near)
        print(f"{case} {index}: {by_centroid:.3f} {by_correlation:.3f} dice {dice:.4f} image {of_image:.3f}")
        assert by_centroid <= HALF_A_PIXEL
        assert by_correlation <= HALF_A_PIXEL
        assert of_image <= HALF_A_PIXEL
        assert dice > 0.95


@pytest.mark.parametrize("case", (*WITH_WMH, NO_WMH), ids=str)
def test_slices_without_wmh_stay_plain(one: Looked) -> None:
    """A slice on which nothing was found shows no overlay, also where nothing was found at all; no dialog or notice
    pops up, and the browser has nothing to complain of."""
    assert not any(shown.coloured.any() for _, shown in one.seen_slices(with_wmh=False))
    assert one.seen.notices == ()
    assert one.seen.complaints == ()
    assert one.seen.segments == (("WMH segmentation - RESEARCH USE ONLY", ("WMH",)),)
