"""overlay.png."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.data import shared_data
from support.result_cases import CASES, MODEL, Case, segmentation_of, series_of
from support.result_facts import facts_of

from dicom_node.node.errors import ResultError
from dicom_node.results.common.colours import DEEP_RGB, PERIVENTRICULAR_RGB, VENTRICLES_RGB
from dicom_node.results.pages.display import display_turn, to_grey
from dicom_node.results.pages.montage import (
    KEY_PANELS,
    MOST_PANELS,
    choose_slices,
    key_slices,
    lay_montage,
)
from dicom_node.results.pages.outlines import Outlined
from dicom_node.results.pages.overlay import write_overlay, write_volume_overlay
from dicom_node.results.pages.summary import build_summary
from dicom_node.results.seg.wmh_seg import DISPLAY_RGB
from segmentation.boxed import BoxedMask
from segmentation.measures import measure
from segmentation.nifti import read_flair_nifti, read_mask_nifti
from segmentation.probability import ProbabilityMap
from segmentation.regions import RegionRule
from segmentation.segment import Segmentation, StageSeconds
from segmentation.volume import FlairVolume

AXIAL = np.diag([1.0, 1.0, 5.0, 1.0])


def affine_of(columns: tuple[float, ...], rows: tuple[float, ...]) -> NDArray[np.float64]:
    """An affine whose columns and rows run along these LPS directions."""
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = columns, rows
    affine[:3, 2] = np.cross(columns, rows)
    return affine


def marked() -> NDArray[np.uint8]:
    """One slice of 2 x 3 with different values."""
    return np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)


@pytest.mark.parametrize(
    ("affine", "letters", "corner"),
    [
        (affine_of((1, 0, 0), (0, 1, 0)), ("R", "L"), 1),  # as scanners write axial slices
        (affine_of((-1, 0, 0), (0, 1, 0)), ("R", "L"), 3),  # stored mirrored
        (affine_of((1, 0, 0), (0, -1, 0)), ("R", "L"), 4),  # stored upside down (NIfTI as it comes)
        (affine_of((0, 1, 0), (1, 0, 0)), ("R", "L"), 1),  # rows and columns exchanged
        (affine_of((0.97, 0.24, 0), (-0.24, 0.97, 0)), ("R", "L"), 1),  # oblique
        (affine_of((1, 0, 0), (0, 0, -1)), ("R", "L"), 1),  # coronal
        (affine_of((0, 1, 0), (0, 0, -1)), ("A", "P"), 1),  # sagittal
        (affine_of((0, -1, 0), (0, 0, 1)), ("A", "P"), 6),  # sagittal, turned by 180 degrees
    ],
    ids=["axial", "mirrored", "upside down", "exchanged", "oblique", "coronal", "sagittal", "sagittal turned"],
)
def test_slices_are_shown_as_radiologists_look_at_them(
    affine: NDArray[np.float64], letters: tuple[str, str], corner: int
) -> None:
    """The patient's right is on the left and the front on top, however the array lies; the letters say so."""
    turn = display_turn(affine)
    assert (turn.left, turn.right) == letters
    assert turn.apply(marked())[0, 0, 0] == corner


def test_the_top_left_voxel_is_at_the_patients_right_front() -> None:
    """For any of the 8 in-plane storage orders, the voxel shown top left has the smallest L and the smallest P."""
    positions = np.stack(np.meshgrid(range(3), range(2), indexing="xy"), axis=-1)
    for swap in (False, True):
        for x in (1, -1):
            for y in (1, -1):
                columns, rows = ((0, y, 0), (x, 0, 0)) if swap else ((x, 0, 0), (0, y, 0))
                affine = affine_of(columns, rows)
                left_posterior = positions @ affine[:2, :2].T  # (row, column, LP)
                shown = display_turn(affine).apply(left_posterior[None, ..., 0] * 1.0)[0]
                assert shown[0, 0] == left_posterior[..., 0].min()
                shown = display_turn(affine).apply(left_posterior[None, ..., 1] * 1.0)[0]
                assert shown[0, 0] == left_posterior[..., 1].min()


def test_outlines_lie_around_the_lesion() -> None:
    """The outline surrounds the lesion at its place in the turned and scaled slice, and hides nothing in it."""
    voxels = np.full((5, 60, 40), 100.0, np.float32)
    mask = np.zeros(voxels.shape, bool)
    mask[2, 20:26, 30:34] = True  # in a mirrored array: shown at column 6..9 of 40
    volume = FlairVolume(voxels, (5.0, 1.0, 1.0))
    montage = lay_montage(volume, affine_of((-1, 0, 0), (0, 1, 0)), Outlined(mask), [1, 2, 3], mask | True)
    panels = [montage.panel(index, (400, 600)) for index in (1, 2, 3)]
    coloured = [
        (np.abs(panel.image.astype(int) - DISPLAY_RGB).sum(axis=2) < 60) for panel in panels
    ]  # (row, column) where the outline is
    assert not coloured[0].any()
    assert not coloured[2].any()
    rows, columns = np.nonzero(coloured[1])
    assert (rows.min(), rows.max() + 1) == (pytest.approx(200, abs=5), pytest.approx(260, abs=5))
    assert (columns.min(), columns.max() + 1) == (pytest.approx(60, abs=5), pytest.approx(100, abs=5))
    assert not coloured[1][205:255, 65:95].any()
    assert panels[1].wmh_ml == pytest.approx(24 * 5 / 1000)


def test_parts_and_ventricles_have_their_colours() -> None:
    """Periventricular, deep and ventricles have different colours; the outline of a lesion that is both changes."""
    voxels = np.full((1, 60, 80), 100.0, np.float32)
    wmh, inner, ventricles = np.zeros((3, 1, 60, 80), bool)
    wmh[0, 20:30, 20:60] = True
    inner[0, 20:30, 20:40] = True
    ventricles[0, 40:50, 20:40] = True
    volume = FlairVolume(voxels, (5.0, 1.0, 1.0))
    panel = lay_montage(volume, AXIAL, Outlined(wmh, inner, ventricles), [0], wmh | True).panel(0, (800, 600))

    def extent(colour: tuple[int, int, int]) -> tuple[list[float], list[float]]:
        """Rows and columns that this hue spans, in voxels; the slice itself is grey."""
        hue = np.asarray(colour, float) - np.mean(colour)
        shown = panel.image - panel.image.mean(axis=2, keepdims=True)
        strength = np.linalg.norm(shown, axis=2)
        alike = (shown @ hue) / (np.maximum(strength, 1e-6) * np.linalg.norm(hue)) > 0.95
        rows, columns = np.nonzero(alike & (strength > 0.5 * np.linalg.norm(hue)))
        return [rows.min() / 10, rows.max() / 10], [columns.min() / 10, columns.max() / 10]

    assert extent(PERIVENTRICULAR_RGB) == ([approx_voxel(20), approx_voxel(30)], [approx_voxel(20), approx_voxel(40)])
    assert extent(DEEP_RGB) == ([approx_voxel(20), approx_voxel(30)], [approx_voxel(40), approx_voxel(60)])
    assert extent(VENTRICLES_RGB) == ([approx_voxel(40), approx_voxel(50)], [approx_voxel(20), approx_voxel(40)])


def test_what_the_model_is_unsure_of_is_shaded() -> None:
    """Unsure voxels, in the mask and beside it, are tinted and still show the image; sure ones stay grey."""
    voxels = np.full((1, 60, 80), 200.0, np.float32)
    voxels[0, 0, 0] = 400.0
    voxels[0, 22:24, 22:24] = 100.0
    probability = np.zeros(voxels.shape, np.float32)
    probability[0, 20:30, 20:30] = 0.6  # in the mask, unsure
    probability[0, 20:30, 30:40] = 0.95  # in the mask, sure
    probability[0, 40:50, 20:30] = 0.3  # not in the mask, unsure
    mask = probability >= 0.5
    measures = measure(mask, probability, 0.005)
    outlined = Outlined.of(
        Segmentation(BoxedMask.of(mask), ProbabilityMap(probability), measures, StageSeconds(0, 0, 0), ())
    )
    volume = FlairVolume(voxels, (5.0, 1.0, 1.0))
    image = lay_montage(volume, AXIAL, outlined, [0], mask | True).panel(0, (800, 600)).image.astype(int)
    assert image.shape[:2] == (600, 800)

    def green_lost(row: int, column: int) -> int:
        red, green, _ = image[10 * row + 5, 10 * column + 5]
        return int(red - green)

    assert green_lost(26, 26) > 40
    assert green_lost(45, 25) > 40
    assert green_lost(25, 35) == 0
    assert green_lost(55, 70) == 0
    assert image[235, 235, 0] < image[265, 265, 0], "what lies under the shade is still seen"


def test_key_slices_are_the_fullest() -> None:
    """The first page shows the slices with most WMH in their order; without WMH slices from within the head."""
    mask = np.zeros((20, 10, 10), bool)
    for index, voxels in enumerate((1, 9, 2, 8, 3, 7, 4, 6, 5, 5)):
        mask[5 + index, 0, :voxels] = True
    chosen = choose_slices(mask, np.ones(mask.shape, bool))
    assert key_slices(mask, chosen) == [6, 8, 10, 12, 13, 14]
    nothing = key_slices(np.zeros(mask.shape, bool), list(range(20)))
    assert len(nothing) == KEY_PANELS
    assert nothing[0] > 0
    assert nothing[-1] < 19


def approx_voxel(edge: float) -> object:
    return pytest.approx(edge, abs=0.7)


def test_the_legend_is_there_when_there_are_parts(tmp_path: Path) -> None:
    """With regions the page shows both outline colours; without, only that of the whole."""
    series = series_of(CASES[0], tmp_path / "source")
    pictures = []
    for name, rule in (("plain", None), ("divided", RegionRule(4.0))):
        segmentation = segmentation_of(series, divided=rule)
        write_overlay(build_summary(series, segmentation, (), facts_of(series)), tmp_path / name)
        pictures.append(np.asarray(Image.open(tmp_path / name).convert("RGB"), int))
    plain, divided = (
        [bool((np.abs(picture - colour).sum(axis=2) < 12).any()) for colour in (PERIVENTRICULAR_RGB, DEEP_RGB)]
        for picture in pictures
    )
    assert plain == [True, False]
    assert divided == [True, True]


def test_anisotropic_pixels_are_shown_square() -> None:
    """Pixels of 1 x 2 mm give a panel with the proportions of the head, not of the matrix."""
    volume = FlairVolume(np.full((3, 50, 50), 100.0, np.float32), (5.0, 2.0, 1.0))
    nothing = Outlined(np.zeros(volume.voxels.shape, bool))
    montage = lay_montage(volume, np.diag([1.0, 2.0, 5.0, 1.0]), nothing, [0], np.ones(volume.voxels.shape, bool))
    assert montage.panel(0, (200, 1000)).image.shape == (400, 200, 3)
    assert montage.scale((200, 1000)) == pytest.approx(4.0)


def test_only_slices_with_wmh_are_chosen() -> None:
    """Of a stack with WMH the slices that hold some are shown, and no others."""
    head = np.ones((20, 4, 4), bool)
    mask = np.zeros(head.shape, bool)
    mask[[3, 9, 10]] = True
    assert choose_slices(mask, head) == [3, 9, 10]
    assert choose_slices(mask[:1], head[:1]) == [0]


def test_tall_stacks_are_thinned_but_keep_the_fullest_slice() -> None:
    """Of 180 slices at most 24 are shown, in order, the one with most WMH among them."""
    head = np.ones((180, 4, 4), bool)
    mask = np.zeros(head.shape, bool)
    mask[20:160, 0, 0] = True
    mask[83] = True
    chosen = choose_slices(mask, head)
    assert len(chosen) == MOST_PANELS
    assert chosen == sorted(set(chosen))
    assert 83 in chosen


def test_without_wmh_the_head_is_shown() -> None:
    """An empty mask shows the slices that hold a head."""
    head = np.zeros((30, 4, 4), bool)
    head[10:22] = True
    chosen = choose_slices(np.zeros(head.shape, bool), head)
    assert chosen == list(range(10, 22))


def test_flat_and_negative_images_are_drawn() -> None:
    """A constant volume and one with negative values give a legal picture, without a division by zero."""
    for value in (0.0, -5.0, 7.0):
        voxels = np.full((2, 8, 8), value, np.float32)
        assert to_grey(voxels, voxels > 0).dtype == np.uint8


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.slow
def test_every_geometry_has_its_picture(case: Case, tmp_path: Path) -> None:
    """overlay.png is an RGB PNG of a page's width for every geometry, with the same bytes each time and no rests."""
    series = series_of(case, tmp_path / "source")
    segmentation = segmentation_of(series, empty=case.empty)
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "overlay.png"
    contents = set()
    for _ in range(2):
        write_overlay(build_summary(series, segmentation, (), facts_of(series)), path)
        contents.add(path.read_bytes())
    assert len(contents) == 1
    assert list(path.parent.iterdir()) == [path]
    with Image.open(path) as image:
        assert (image.format, image.mode, image.width) == ("PNG", "RGB", 1024)


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    """A mask that is not of this volume is an error, not a wrong picture."""
    series = series_of(CASES[0], tmp_path / "source")
    segmentation = segmentation_of(series)
    with pytest.raises(ResultError, match="expected a mask of shape"):
        write_volume_overlay(
            FlairVolume(series.voxels[:, :-1], series.spacing_mm), series.affine, segmentation, tmp_path / "x.png"
        )


@pytest.mark.shared_data
def test_a_real_scan_is_drawn_from_its_nifti(tmp_path: Path) -> None:
    """A real scan with its manual mask gives a picture of some hundred kB that shows the outline's colour."""
    folder = shared_data("flair-wmh", "101228")
    volume, grid = read_flair_nifti(folder / "flair.nii.gz")
    mask = read_mask_nifti(folder / "wmh.nii.gz", grid)
    probability = mask.astype(np.float32)
    found = Segmentation(
        BoxedMask.of(mask),
        ProbabilityMap(probability),
        measure(mask, probability, volume.voxel_volume_ml),
        StageSeconds(0, 0, 0),
        (),
    )
    write_volume_overlay(volume, grid.axial_affine_lps, found, tmp_path / "overlay.png", MODEL)
    with Image.open(tmp_path / "overlay.png") as image:
        pixels = np.asarray(image).astype(int)
    assert (np.abs(pixels - DISPLAY_RGB).sum(axis=2) < 30).sum() > 2000
    assert (tmp_path / "overlay.png").stat().st_size < 4_000_000
