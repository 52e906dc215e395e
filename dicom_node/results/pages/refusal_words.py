"""The advice for a radiologist about a series that was not analysed: what was expected, and what to do.

By the codes of docs/administrator/refusals.md, in families: the reason itself comes with the refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Advice:
    """The text below the reason.

    Attributes:
        expected: what would have been analysed.
        to_do: what a person can do now.
    """

    expected: str
    to_do: str


NOTHING_MEASURED: Final = (
    "Nothing was measured: this page does not say whether there are white matter hyperintensities."
)

_FLAIR: Final = "An axial FLAIR series of the brain, as the scanner acquired it."
_NOT_FLAIR: Final = Advice(
    _FLAIR,
    "If the examination has an axial FLAIR series, send that one. If this is one, its name and timing do not show "
    "it: have the name of the protocol corrected.",
)
_PROCESSED: Final = Advice(
    _FLAIR,
    "Send the FLAIR as acquired, or plain axial reformats of a 3D FLAIR, not a projection, a map or the output of "
    "another program.",
)
_SEVERAL: Final = Advice(
    "One FLAIR acquisition in a series.",
    "Send each acquisition as a separate series.",
)
_INCOMPLETE: Final = Advice(
    "Every slice of the series, at least 5, without a gap in the stack.",
    "Send the whole series again. Slices that arrive later are analysed together with those already received.",
)
_NOT_AXIAL: Final = Advice(
    "Axial slices, the front of the head on top.",
    "Send an axial FLAIR series of the examination, or plain axial reformats of a 3D FLAIR.",
)
_GEOMETRY: Final = Advice(
    "One stack of parallel axial slices at equal distances of at most 15 mm.",
    "Send the series as the scanner acquired it, without images that were reformatted, moved or combined.",
)
_UNREADABLE: Final = Advice(
    "Whole MR images in grey scale.",
    "Send the series again, if possible uncompressed. If that does not help, give the code below to the "
    "administrator of this node.",
)
_SEVERAL_PATIENTS: Final = Advice(
    "Images of one patient in a series.",
    "Find out in the PACS which patients these images belong to, and send each patient's images as a separate series.",
)
_SLICE_PER_SERIES: Final = Advice(
    "Every slice of a scan in one series.",
    "Send the scan again with one SeriesInstanceUID for all slices; check the route or export that divided it.",
)
_FAULT: Final = Advice(
    _FLAIR,
    "This is a fault of the program, not of the images. Please give the code below to the administrator of this node.",
)

_ADVICE: Final[dict[str, Advice]] = {
    **dict.fromkeys(
        (
            "not_mr",
            "not_mr_image",
            "colour",
            "localizer",
            "not_magnitude",
            "diffusion",
            "other_technique",
            "body_part",
            "t1_weighted",
            "fat_nulled",
            "other_contrast",
            "short_echo",
            "short_inversion",
            "no_head_visible",
            "not_flair",
            "no_flair",
        ),
        _NOT_FLAIR,
    ),
    **dict.fromkeys(
        ("segmentation", "map", "reformatted", "processed", "derived", "not_a_scan", "inverted_grey"), _PROCESSED
    ),
    **dict.fromkeys(
        ("several_flair_volumes", "too_many_images", "conflicting_duplicates", "several_frames_of_reference"), _SEVERAL
    ),
    "several_patients": _SEVERAL_PATIENTS,
    "slice_per_series": _SLICE_PER_SERIES,
    **dict.fromkeys(("empty", "too_few_slices", "slices_missing"), _INCOMPLETE),
    **dict.fromkeys(("not_axial", "rotated_in_plane"), _NOT_AXIAL),
    **dict.fromkeys(
        ("no_geometry", "irregular_spacing", "slices_too_far_apart", "slices_shifted", "sheared", "bad_volume"),
        _GEOMETRY,
    ),
    **dict.fromkeys(
        (
            "not_dicom",
            "file_unreadable",
            "bad_dicomdir",
            "file_too_large",
            "deflated_too_large",
            "matrix_too_large",
            "header_too_complex",
            "no_uid",
            "uid_of_several_images",
            "several_series",
            "several_studies",
            "frame_count_mismatch",
            "pixel_length_contradicts",
            "row_length_contradicts",
            "frames_in_single_frame",
            "not_grey",
            "bits_contradictory",
            "pixels_undecodable",
            "rescale_slope_zero",
            "intensity_out_of_range",
            "blank",
        ),
        _UNREADABLE,
    ),
}


def advice_for(code: str) -> Advice:
    """The advice for a refusal; a code that is in no family counts as a fault of the program."""
    return _ADVICE.get(code, _FAULT)
