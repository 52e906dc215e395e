"""What is a brain FLAIR, as two tables: what rules it out (first match decides), and what shows it.

Order matters: kind of object, kind of image, technique, body part, contrast. A reason is one sentence that says what
was expected and what was received, in a technologist's terms; it quotes no free text, since that may hold patient data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dicom_node.series.dicom.frames import IMAGE_CLASSES
from dicom_node.series.rules.facts import SeriesFacts
from dicom_node.series.rules.other_objects import not_mr_images

# Inversion times in ms. Cerebrospinal fluid (T1 about 4 s) is nulled at 1500 to 3000 ms, depending on the repetition
# time; fat at 100 to 250 (STIR), grey and white matter at 300 to 1100 (T1 FLAIR, MPRAGE).
_FLUID_NULLING_MS = (1500.0, 3000.0)
_SHORTEST_FLAIR_INVERSION_MS = 1200.0
# T2 FLAIR needs a long echo; T1 FLAIR has 8 to 30 ms.
_SHORTEST_FLAIR_ECHO_MS = 60.0
_TIMING_ECHO_MS = 70.0
_TIMING_REPETITION_MS = 4000.0
_B_VALUE = re.compile(r" \*?(ep|re) b[0-9]+[a-z]? ")


@dataclass(frozen=True)
class Exclusion:
    """One thing that rules a series out.

    Attributes:
        code: stable slug.
        applies: looks at the facts.
        reason: the sentence; may use numbers of the facts.
        source: where the rule comes from.
    """

    code: str
    applies: Callable[[SeriesFacts], bool]
    reason: Callable[[SeriesFacts], str]
    source: str


@dataclass(frozen=True)
class Sign:
    """One thing that shows a FLAIR; `name` becomes a flag where the sign is weak."""

    name: str
    shows: Callable[[SeriesFacts], bool]
    source: str
    weak: bool = False


def _holds(phrase: str, names: Iterable[str]) -> bool:
    return any(f" {name} " in phrase for name in names)


def _says(*names: str) -> Callable[[SeriesFacts], bool]:
    """One of the names stands in the series' name, as whole words."""
    return lambda facts: _holds(facts.phrase, names)


def _is_called(*names: str) -> Callable[[SeriesFacts], bool]:
    """As `_says`, to rule a series out; an examination's name rules out nothing that shows FLAIR without a name."""
    return lambda facts: (
        _holds(facts.phrase, names) and not (facts.is_named_by_examination and _shows_without_name(facts))
    )


def _typed(*kinds: str) -> Callable[[SeriesFacts], bool]:
    return lambda facts: bool(set(kinds) & set(facts.image_type))


def _milliseconds(value: float | None) -> str:
    return "not given" if value is None else f"{value:g} ms"


def timing_text(facts: SeriesFacts) -> str:
    """The timing as text."""
    return (
        f"inversion time {_milliseconds(facts.inversion_ms)}, echo time {_milliseconds(facts.echo_ms)}, "
        f"repetition time {_milliseconds(facts.repetition_ms)}"
    )


_NAMES_FLAIR = (
    "flair",
    "darkfluid",
    "dark fluid",
    "dark fl",
    "da fl",
    "dafl",
    "fluid attenuated",
    "t2flair",
    "flairt2",
)


# A series that is called by one of these is that, whatever the examination is called.
_NAMES_OF_CONTRASTS = ("t1", "t2", "pd", "tse", "fse", "gre", "t2star", "t2*", "stir")


def names_flair(facts: SeriesFacts) -> bool:
    """The series is called FLAIR in a vendor's or site's way; or its examination is, and nothing speaks against it."""
    if _names_flair_in(facts.phrase):
        return True
    is_open = fluid_nulling(facts) or not _holds(facts.phrase, _NAMES_OF_CONTRASTS)
    return is_open and _names_flair_in(facts.examination)


def _names_flair_in(phrase: str) -> bool:
    return _holds(phrase, _NAMES_FLAIR) or any("flair" in word or "darkfl" in word for word in phrase.split())


def fluid_nulling(facts: SeriesFacts) -> bool:
    """The inversion time is one that nulls cerebrospinal fluid."""
    low, high = _FLUID_NULLING_MS
    return facts.inversion_ms is not None and low <= facts.inversion_ms <= high


def _timing_of_flair(facts: SeriesFacts) -> bool:
    return (
        fluid_nulling(facts)
        and facts.echo_ms is not None
        and facts.echo_ms > _TIMING_ECHO_MS
        and facts.repetition_ms is not None
        and facts.repetition_ms > _TIMING_REPETITION_MS
        and (not facts.scanning_sequence or "IR" in facts.scanning_sequence)
    )


def _shows_without_name(facts: SeriesFacts) -> bool:
    return facts.contrast == "FLUID_ATTENUATED" or _timing_of_flair(facts)


def _names_b_value(facts: SeriesFacts) -> bool:
    """An echo planar sequence with a b value in its name, as Siemens writes it: *ep_b1000t, *re_b0."""
    return bool(_B_VALUE.search(facts.phrase))


def _names_t1(facts: SeriesFacts) -> bool:
    t1 = any(word.startswith(("t1", "flairt1")) for word in facts.words)
    return t1 and not any(word.startswith(("t2", "flairt2")) for word in facts.words)


# PS3.3 C.8.13.3.1.3. Any other value is not shown: it may be a patient's name.
_SHOWN_PARTS = {"PHASE": "the phase part", "REAL": "the real part", "IMAGINARY": "the imaginary part"}


def _shown_part(facts: SeriesFacts) -> str:
    return _SHOWN_PARTS.get(facts.component, "an unknown part")


def _is_derived(facts: SeriesFacts) -> bool:
    return facts.image_type[:1] == ("DERIVED",)


def _states_flair(facts: SeriesFacts) -> bool:
    """By contrast or name, which outlive post-processing; timing may be that of what it was computed from."""
    return facts.contrast == "FLUID_ATTENUATED" or "FLUID_ATTENUATED" in facts.image_type or names_flair(facts)


_MAPS = ("ADC", "FA", "TRACEW", "EADC", "CBF", "CBV", "MTT", "TTP", "TMAX", "T1MAP", "T2MAP", "METABOLITE_MAP", "PDMAP")
# What no slice of the head is any more: its values belong to no place, or are no signal.
_PROJECTIONS = (
    "MIP", "MAX_IP", "MAX IP", "MAXIP", "MINIP", "MIN_IP", "MIN IP", "PROJECTION IMAGE", "SUBTRACTION", "SUBTRACT",
    "SUB", "CURVED", "VOLUME RENDERED", "SCREEN SAVE",
)  # fmt: skip
# Plain slices that were computed from a 3D acquisition, thick ones by averaging: the usual way to axial slices of a
# sagittal 3D FLAIR. They have the contrast and the place of what was acquired.
_REFORMATS = ("MPR", "CSA MPR", "REFORMATTED", "RESAMPLED", "MEAN_IP")
_NAMES_OF_FINDINGS = (
    "mask", "seg", "segmentation", "segmented", "overlay", "fused", "fusion", "map", "maps", "zscore", "z score",
    "probability", "lesion", "lesions", "result", "results", "report", "quant", "icobrain", "neuroquant", "lesionquant",
)  # fmt: skip
_OTHER_CONTRASTS = frozenset((
    "DIFFUSION", "FLOW_ENCODED", "PERFUSION", "PROTON_DENSITY", "STIR", "TAGGING", "T1", "T2_STAR", "TOF",
    "MAGNETIZATION_TRANSFER", "VELOCITY", "SPECTROSCOPY",
))  # fmt: skip
_BRAIN_PARTS = (
    "brain",
    "head",
    "skull",
    "neuro",
    "cranium",
    "cerebrum",
    "headneck",
    "kopf",
    "schaedel",
    "cerveau",
    "tete",
    "encephalon",
)
_OTHER_PARTS = (
    "spine", "cspine", "tspine", "lspine", "cervical", "thoracic", "lumbar", "sacrum", "neck", "hws", "bws", "lws",
    "rachis", "myelon", "spinal", "orbit", "orbits", "orbita", "eye", "knee", "knie", "genou", "shoulder", "hip",
    "ankle", "foot", "wrist", "hand", "elbow", "pelvis", "abdomen", "liver", "prostate", "heart", "cardiac",
    "breast", "chest", "whole spine", "plexus", "tmj", "iac", "pituitary", "sella",
)  # fmt: skip


def _other_body_part(facts: SeriesFacts) -> bool:
    """By the series' name, else by the codes of the images. BodyPartExamined is too often the examination's."""
    if _holds(facts.phrase, _BRAIN_PARTS):
        return False
    return _is_called(*_OTHER_PARTS)(facts) or _is_another(facts.anatomy)


def _is_another(part: str) -> bool:
    return _holds(part, _OTHER_PARTS) and not any(name in part for name in _BRAIN_PARTS)


EXCLUSIONS: tuple[Exclusion, ...] = (
    Exclusion(
        "segmentation",
        lambda e: e.modality == "SEG",
        lambda e: (
            "This is a segmentation, such as a corrected one, not a series of images; there is nothing to analyse."
        ),
        "PS3.3 C.7.3.1.1.1 Modality",
    ),
    Exclusion(
        "not_mr",
        lambda e: e.modality != "MR",
        lambda e: (
            "This is not an MR series; a brain FLAIR of modality MR is expected."
            if e.sop_class in IMAGE_CLASSES
            else not_mr_images([e.sop_class])
        ),
        "PS3.3 C.7.3.1.1.1 Modality",
    ),
    Exclusion(
        "not_mr_image",
        lambda e: e.sop_class not in IMAGE_CLASSES,
        lambda e: not_mr_images([e.sop_class]),
        "PS3.4 B.5 Standard SOP Classes",
    ),
    Exclusion(
        "colour",
        lambda e: (e.samples_per_pixel or 1) != 1 or e.photometric not in ("", "MONOCHROME1", "MONOCHROME2"),
        lambda e: "The images are in colour, as post-processing makes them; grey images from the scanner are expected.",
        "PS3.3 C.7.6.3.1.2 Photometric Interpretation",
    ),
    Exclusion(
        "localizer",
        lambda e: (
            _typed("LOCALIZER")(e)
            or _is_called(
                "localizer",
                "localiser",
                "scout",
                "survey",
                "loc",
                "3 plane",
                "3plane",
                "3pl",
                "aahead scout",
                "plan scan",
            )(e)
        ),
        lambda e: "This is a localizer; a FLAIR of the whole brain is expected.",
        "PS3.3 C.8.3.1.1.1 Image Type; vendors' names of planning scans",
    ),
    Exclusion(
        "map",
        _typed(*_MAPS),
        lambda e: "This is a computed map (such as ADC or perfusion), not a FLAIR.",
        "PS3.3 C.8.13.3.1.1 Image Type value 3; vendors' values",
    ),
    Exclusion(
        "reformatted",
        lambda e: (
            _typed(*_PROJECTIONS)(e)
            or (_is_derived(e) and _says("sub", "subtract", "subtracted")(e))
            or _is_called("mip", "minip", "subtraction", "curved", "vrt", "screen save")(e)
        ),
        lambda e: (
            "The images are projected (MIP), curved, subtracted or screen shots; slices, as acquired or as a plain "
            "MPR, are expected."
        ),
        "PS3.3 C.8.16.1.3 and C.8.13.3.1.1 Image Type values 3 and 4; vendors' values",
    ),
    Exclusion(
        "processed",
        lambda e: _is_derived(e) and _says(*_NAMES_OF_FINDINGS)(e),
        lambda e: (
            "The images are the output of another program, such as a mask, a map or a fusion (they are DERIVED, and "
            "their description names one); the FLAIR itself is expected."
        ),
        "PS3.3 C.7.6.1.1.2 Image Type value 1; names of products and of what they make",
    ),
    Exclusion(
        "derived",
        lambda e: _is_derived(e) and e.image_type[1:2] == ("SECONDARY",) and not _states_flair(e),
        lambda e: (
            "The images are post-processed (DERIVED, SECONDARY), and their description does not name FLAIR, so "
            "their content is unknown; name FLAIR in the description, or send the slices as acquired."
        ),
        # DERIVED\\SECONDARY alone says little: reformats of every vendor, denoising, intensity correction, compression
        # by a PACS and de-identification all set it on images that are FLAIR as before.
        "PS3.3 C.7.6.1.1.2 Image Type values 1 and 2",
    ),
    Exclusion(
        "not_magnitude",
        lambda e: e.component not in ("MAGNITUDE", "MIXED"),
        lambda e: f"The images show {_shown_part(e)} of the signal; magnitude images are expected.",
        "PS3.3 C.8.13.3.1.3 Complex Image Component",
    ),
    Exclusion(
        "diffusion",
        lambda e: (
            (e.b_value or 0) > 0
            or _names_b_value(e)
            or _typed("DIFFUSION")(e)
            or _is_called("dwi", "dti", "diff", "diffusion", "adc", "tracew", "trace", "ep2d diff")(e)
        ),
        lambda e: "This is a diffusion series, not a FLAIR.",
        "PS3.3 C.8.13.5.9 MR Diffusion Macro; vendors' names",
    ),
    Exclusion(
        "other_technique",
        _is_called(
            "perfusion",
            "pwi",
            "asl",
            "swi",
            "swan",
            "tof",
            "mra",
            "mrv",
            "angio",
            "bold",
            "fmri",
            "spectroscopy",
            "mrs",
            "dir",
        ),
        lambda e: (
            "This is another technique (perfusion, susceptibility, angiography, functional, spectroscopy or double "
            "inversion), not a FLAIR."
        ),
        "vendors' and sites' names",
    ),
    Exclusion(
        "body_part",
        _other_body_part,
        lambda e: "The series shows another body part than the brain.",
        "PS3.16 Annex L BodyPartExamined; sites' names",
    ),
    Exclusion(
        "t1_weighted",
        lambda e: _names_t1(e) or _is_called("mprage", "mp2rage", "bravo", "spgr", "fspgr", "mp rage")(e),
        lambda e: "This is T1-weighted (T1 FLAIR or MPRAGE also carry an inversion time); a T2 FLAIR is expected.",
        "vendors' names; the paper: a rule on InversionTime alone picks T1",
    ),
    Exclusion(
        "fat_nulled",
        lambda e: _says("stir")(e) and not names_flair(e),
        lambda e: "This is a STIR (fat is nulled); a FLAIR, which nulls fluid, is expected.",
        "vendors' names",
    ),
    Exclusion(
        "other_contrast",
        lambda e: e.contrast in _OTHER_CONTRASTS,
        lambda e: "The scanner states another contrast than FLAIR or T2.",
        "PS3.3 C.8.13.3.1.4 Acquisition Contrast",
    ),
    Exclusion(
        "short_echo",
        lambda e: e.echo_ms is not None and e.echo_ms < _SHORTEST_FLAIR_ECHO_MS,
        lambda e: (
            f"The echo time is {_milliseconds(e.echo_ms)}; a T2 FLAIR has {_SHORTEST_FLAIR_ECHO_MS:g} ms or more (a T1 "
            "FLAIR has less)."
        ),
        "T2 FLAIR at 1.5 and 3 T: echo times 80 to 140 ms in 2D, longer in 3D",
    ),
    Exclusion(
        "short_inversion",
        lambda e: e.inversion_ms is not None and e.inversion_ms < _SHORTEST_FLAIR_INVERSION_MS,
        lambda e: (
            f"The inversion time is {_milliseconds(e.inversion_ms)}; one of {_FLUID_NULLING_MS[0]:g} to "
            f"{_FLUID_NULLING_MS[1]:g} ms nulls fluid (a shorter one belongs to STIR, T1 FLAIR or MPRAGE)."
        ),
        "T1 of cerebrospinal fluid about 4 s; null point TI = T1 ln 2 at long TR, earlier at short TR",
    ),
)

SIGNS: tuple[Sign, ...] = (
    Sign(
        "contrast",
        lambda e: e.contrast == "FLUID_ATTENUATED" or "FLUID_ATTENUATED" in e.image_type,
        "PS3.3 C.8.13.3.1.4 Acquisition Contrast FLUID_ATTENUATED",
    ),
    Sign("name", names_flair, "vendors' names: GE, Philips and Canon FLAIR, Siemens dark-fluid"),
    Sign(
        "turbo_inversion",
        lambda e: (
            (_says("tirm")(e) or any(word.startswith(("*tir", "*spcir", "tir2d")) for word in e.words))
            and fluid_nulling(e)
        ),
        "Siemens TIRM and SPACE IR are FLAIR or STIR: the inversion time decides",
    ),
    Sign(
        "recognised_by_timing",
        _timing_of_flair,
        "inversion 1500 to 3000 ms with echo above 70 ms and repetition above 4000 ms",
        weak=True,
    ),
)

# What to note about an accepted series.
NOTES: tuple[Sign, ...] = (
    Sign(
        "no_inversion_time",
        lambda e: e.inversion_ms is None,
        "PS3.3 C.8.3.1: InversionTime is type 2C, and often absent",
    ),
    Sign(
        "post_contrast",
        lambda e: (
            e.contrast_agent
            or _says("gd", "gad", "+c", "c+", "+gd", "post", "km", "+km", "postcontrast", "post gad")(e)
        ),
        "PS3.3 C.7.6.4 Contrast/Bolus; sites' names",
    ),
    Sign("three_dimensional", lambda e: e.acquisition_type == "3D", "PS3.3 C.8.3.1 MR Acquisition Type"),
    Sign(
        "derived",
        _is_derived,
        "PS3.3 C.7.6.1.1.2: reformatting, denoising, lossy compression and de-identification also make DERIVED",
    ),
    Sign(
        "reformatted",
        lambda e: _typed(*_REFORMATS)(e) or _says("mpr", "reformat", "reformatted")(e),
        "vendors' Image Type values 3 and 4; the slices are interpolated, those of the training data were acquired",
    ),
    Sign(
        "body_part_not_given",
        lambda e: not e.body_part.strip() and not e.anatomy.strip(),
        "PS3.3 C.7.3.1: BodyPartExamined is type 3",
    ),
    Sign(
        "body_part_contradicts",
        lambda e: _is_another(e.body_part) and not _holds(e.anatomy, _BRAIN_PARTS),
        "BodyPartExamined is the examination's in 15 % of series (Gueld et al., Proc. SPIE 4685, 2002)",
    ),
)
