"""The sentences of a result for a person who reads it in a PACS. ASCII only, so that any character set holds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dicom_node.results.common.volume_words import interval_millilitres, millilitres
from segmentation.bright_region import BrightRegion
from segmentation.lesions import Extent
from segmentation.measures import LEAST_LESION_ML, Measures
from segmentation.plausibility import PLAUSIBLE, Plausibility
from segmentation.regions import RegionVolumes

# Slugs of `FlairSeries.flags` and `Segmentation.flags`.
_FLAGS: Final = {
    "bits_contradict_pixels": "Bit depth or sign in the header do not fit the pixels; these were read as they look.",
    "blank_slices": "Some slices of the series are blank.",
    "body_part_contradicts": "The images name another body part, perhaps that of the examination; check that they "
    "show a brain.",
    "body_part_not_given": "The images do not name a body part; the analysis assumes a head.",
    "derived": "The images are marked as derived: they may have been processed or compressed.",
    "duplicate_slices_dropped": "Some slices were received more than once; each position was used once.",
    "empty_brain_mask": "No brain was found in the images; the segmentation is not reliable.",
    "extreme_pixels": "A few pixels are far brighter than everything else: an artefact, or text burnt into the image.",
    "fewer_images_than_announced": "Fewer images were received than the scanner announced; slices may be missing at "
    "the ends.",
    "images_without_place": "Images of the series have no usable position and were left out; slices may be missing.",
    "instance_numbers_missing": "The numbers of the images have holes; slices may be missing at the ends.",
    "longer_series_in_study": "Another series of the study has slices at the same places and goes on beyond an end of "
    "this one; slices may be missing at the ends.",
    "mirrored_left_right": "The images are stored with left and right exchanged; the segmentation follows the images.",
    "monochrome1_inverted": "The images are stored with inverted grey scale; they were inverted for the analysis.",
    "monochrome_contradicts_pixels": "The header says that low values are bright, and air is dark; the pixels were "
    "read as they look.",
    "no_frame_of_reference": "The images name no frame of reference; one was derived for the results.",
    "no_histogram_peak": "The intensities have no clear white matter peak; the segmentation may be poor.",
    "no_ventricles_found": "No ventricles were found in the images; periventricular and deep volumes are not given.",
    "no_inversion_time": "The images do not state the inversion time; they were recognised as FLAIR by other signs.",
    "non_image_instances_ignored": "Objects of the series that are not images were left out.",
    "objects_refused": "Images of the series were damaged on arrival and refused; slices may be missing.",
    "oblique": "The slices are oblique.",
    "other_images_ignored": "The series also holds other images than the FLAIR volume; they were left out.",
    "padding_contradicts_pixels": "The header declares what was scanned as padding; the declaration was not used.",
    "pixels_of_slices_lost": "A slice inside the stack is blank from some line on, or has the pixels of another slice: "
    "its own image was lost on the way.",
    "post_contrast": "The images were acquired after contrast agent; enhancement may look like hyperintensity.",
    "recognised_by_timing": "The series was recognised as FLAIR by its timing, not by its name.",
    "reformatted": "The slices were reformatted from another acquisition; the model was trained on slices as acquired.",
    "short_coverage": "The series does not cover the whole brain; the volume is that of the covered part.",
    "slice_gap": "There are gaps between the slices; the volume assumes that they look like the adjacent slices.",
    "spacing_contradicts_positions": "SpacingBetweenSlices does not fit the positions of the slices; these were used.",
    "three_dimensional": "The series is a 3D acquisition; the model was trained on 2D acquisitions.",
    "undeclared_padding": "One value far from all others, or a grey value around the head, fills a part of the images; "
    "it was taken as no signal, though no header declares it as padding.",
    "voxel_size_contradicts": "The file's transform does not fit its voxel size; the volume is by the voxel size.",
    "voxel_units_contradict": "The file calls its voxel size metres or microns; it can only be millimetres.",
    "wmh_outside_brain_dropped": "The model marked tissue outside the brain; it was left out.",
    "unreadable_files_beside": "Files beside the series cannot be read; slices may be missing.",
    "value_range_contradicts": "Pixels lie outside the smallest and largest value that the header states.",
}
# The series is a part of what there was to measure (CompletionFlag PARTIAL, PS3.3 C.17.2).
_PARTIAL: Final = frozenset(
    {
        "fewer_images_than_announced",
        "images_without_place",
        "instance_numbers_missing",
        "longer_series_in_study",
        "objects_refused",
        "pixels_of_slices_lost",
        "short_coverage",
        "unreadable_files_beside",
    }
)

NOTHING_FOUND: Final = (
    "No white matter hyperintensity was segmented. The uncertainty index is undefined without segmented voxels, so "
    "it gives no reason for or against a review."
)


def flags_in_words(flags: Iterable[str]) -> list[str]:
    """One sentence per flag, sorted by slug; a flag without a sentence is shown by its slug."""
    return [_FLAGS.get(flag, f"Note: {flag.replace('_', ' ')}.") for flag in sorted(set(flags))]


def is_partial(flags: Iterable[str]) -> bool:
    """A flag says that the series is not all that there was to measure."""
    return not _PARTIAL.isdisjoint(flags)


def rule_in_words(regions: RegionVolumes) -> str:
    """What counts as periventricular, as a sentence."""
    how = "in the plane of each slice" if regions.distance_rule == "2d" else "in space"
    return (
        f"Periventricular: within {regions.distance_mm:g} mm of the ventricles, measured {how}; deep: all other white "
        "matter hyperintensity."
    )


def shared_voxels_in_words(voxels: int) -> str:
    """That voxels are ventricle by one network and WMH by the other, and count as one of them only."""
    return (
        f"{voxels} voxels are ventricle as well as white matter hyperintensity; here they count as the latter only, "
        "because this segmentation has one label per voxel."
    )


def interval_in_words(measures: Measures) -> str:
    """The volume's interval as a sentence, and what it is not."""
    lower, upper = measures.volume_interval_ml
    return (
        f"Range {lower:.1f} to {upper:.1f} mL: from the volume that the model is sure of to the volume "
        "that it does not rule out. It shows the model's own doubt and is not a confidence interval: the true "
        "volume may be outside."
    )


def summary_in_words(measures: Measures, plausibility: Plausibility) -> str:
    """The finding in one line, number first, with the measured interval or none, as on page 1; without a number where
    that must not be used."""
    if plausibility.reliability == "not_reliable":
        return f"WMH volume not reliable: {plausibility.headline}. RESEARCH USE ONLY."
    where = ""
    if (known := measures.predictive) is not None:
        where = f" ({known.nominal:.0%} interval {interval_millilitres(*known.interval)})"
    lesions = f"{measures.lesion_count} {'lesion' if measures.lesion_count == 1 else 'lesions'}"
    review = ""
    if plausibility.reliability == "review":
        review = f" Review: {plausibility.headline}."
    elif measures.review_recommended:
        review = " Review recommended."
    return f"WMH {millilitres(measures.wmh_volume_ml)}{where}, {lesions}.{review} RESEARCH USE ONLY."


def predictive_in_words(measures: Measures) -> list[str]:
    """Where a reader's volume lies, and for which patients; nothing where the model does not know."""
    if (found := measures.predictive) is None:
        return []
    lower, upper = found.interval
    return [
        f"For {found.nominal:.0%} of patients like those that the model was measured on, a reader's volume lies "
        f"between {lower:.1f} and {upper:.1f} mL. For other scanners and diseases it was not measured."
    ]


def reliability_in_words(plausibility: Plausibility) -> list[str]:
    """What a reader must know before the number: the verdict, then every reason; nothing where there is none."""
    if plausibility.reliability == "ok":
        return []
    verdict = (
        "Not reliable: do not use the volume."
        if plausibility.reliability == "not_reliable"
        else f"Review: {plausibility.headline}. Look at the outlines before you use the volume."
    )
    return [verdict, *(reason.sentence for reason in plausibility.reasons)]


def extent_in_words(extent: Extent | None) -> list[str]:
    """The extent with the grades that it gives, as a sentence; nothing where it was not measured, or is 0."""
    if extent is None:
        return []
    found = [
        *([f"WMH reaches {extent.periventricular:.0f} mm from the ventricles"] if extent.periventricular > 0 else []),
        *([f"the longest deep lesion is {extent.deep:.0f} mm"] if extent.deep > 0 else []),
    ]
    if not found:
        return []
    grades, sizes = extent.fazekas, "; ".join(found)
    return [
        f"Within a slice, {sizes}. Fazekas grade by these sizes, not by a reader: periventricular "
        f"{grades.periventricular}, deep {grades.deep} (Noh et al. 2014; readers go by confluence)."
    ]


def bright_region_in_words(region: BrightRegion | None, slices: int) -> list[str]:
    """What the mask made of a bright region that may be no WMH; nothing where there is none.

    Args:
        region: what was found.
        slices: of the volume.
    """
    if region is None:
        return []
    return [
        f"The bright region of {region.volume_ml:.1f} mL (most of it in slice {region.slice_index + 1} of {slices}, "
        f"from the feet) may be an infarct, a tumour or surgery: {region.counted_ml:.1f} mL of it is counted as WMH, "
        f"{region.left_out_ml:.1f} mL is left out."
    ]


def count_in_words() -> str:
    """What counts as one lesion."""
    return (
        f"Number of lesions: connected regions of at least {LEAST_LESION_ML:g} mL; smaller ones count towards the "
        "volume only."
    )


def review_in_words(measures: Measures, plausibility: Plausibility = PLAUSIBLE) -> str:
    """What the uncertainty index recommends, as a sentence; silent about warnings where another rule gives one."""
    if measures.uncertainty_index is None:
        return NOTHING_FOUND
    index, limit = f"{measures.uncertainty_index:.2f}", f"{measures.review_above:.2f}"
    if measures.uncertainty_index > measures.review_above:
        return f"Review of the segmentation is recommended: uncertainty index {index}, above {limit}."
    warned = measures.review_recommended or plausibility.reliability != "ok"
    return f"Uncertainty index {index}, not above {limit}" + (
        "." if warned else ": no automatic warning; still check the outlines."
    )
