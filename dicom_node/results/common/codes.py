"""Every code that results carry: standard ones with their place in PS3.16, private ones with their definition.

docs/private-codes.md explains the private ones to receivers; tests/dicom_node/results/common/test_codes.py compares the
two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

from dicom_node.results.common.standard_tables import read_modules_when_asked

read_modules_when_asked()  # every builder of objects imports this module

PRIVATE_SCHEME: Final = "99WMHNODE"


@dataclass(frozen=True)
class PrivateCode:
    """A concept that no standard terminology has.

    Attributes:
        value: code value, never reused for another meaning.
        meaning: what a reader sees.
        definition: what exactly it says.
    """

    value: str
    meaning: str
    definition: str

    @property
    def concept(self) -> CodedConcept:
        """The code as DICOM carries it."""
        return CodedConcept(self.value, PRIVATE_SCHEME, self.meaning)


# Never DCM 111012 "Certainty of Finding": that is the confidence of one finding, this is a part of predicted voxels.
UNCERTAINTY_INDEX: Final = PrivateCode(
    "WMH-UI",
    "Uncertainty index",
    "Number of predicted WMH voxels whose ensemble mean probability p has a Kullback-Leibler divergence from "
    "(0.5, 0.5) under 0.5 bit (0.5 <= p < 0.8900), divided by the number of predicted WMH voxels; 0 to 1, lower is "
    "surer; undefined when no voxel is predicted. Kim, Ryu et al., AJNR 2024;45:1885.",
)
REVIEW_RECOMMENDED: Final = PrivateCode(
    "WMH-REVIEW",
    "Review of the segmentation recommended",
    "Yes when the uncertainty index is above the model's limit, or when the result is not plausible by another rule, "
    "which the comments give; No otherwise. No does not mean that the segmentation is right.",
)
# SNOMED CT and DCM (PS3.16 CID 7140, 7710) have cerebral and perilesional, but neither of these two.
PERIVENTRICULAR: Final = PrivateCode(
    "WMH-PV",
    "Periventricular",
    "Within a distance of the brain ventricles, which the algorithm parameter periventricular_mm gives in mm (10 "
    "unless it says otherwise): voxel centre to the nearest ventricle voxel's centre, in the plane of the slice "
    "(periventricular_distance 2d) or in space (3d). Kim, Ryu et al., AJNR 2024;45:1885.",
)
DEEP: Final = PrivateCode(
    "WMH-DEEP",
    "Deep",
    "Cerebral white matter farther from the brain ventricles than periventricular (WMH-PV), subcortical included.",
)
# CID 7465 and 12303 (fractional change) have no change between two dates; CID 225 is about one measurement.
EARLIER_VOLUME: Final = PrivateCode(
    "WMH-EARLIER",
    "WMH volume in the earlier scan",
    "Volume of the white matter hyperintensities that the named prior report of the same patient gives.",
)
VOLUME_CHANGE: Final = PrivateCode(
    "WMH-CHANGE",
    "Change of WMH volume since the earlier scan",
    "Volume of this report minus WMH-EARLIER.",
)
VOLUME_CHANGE_PERCENT: Final = PrivateCode(
    "WMH-CHANGE-PCT",
    "Change of WMH volume in percent of the earlier volume",
    "100 times WMH-CHANGE divided by WMH-EARLIER; absent where WMH-EARLIER is 0.",
)
CHANGE_BEYOND_INTERVALS: Final = PrivateCode(
    "WMH-BEYOND",
    "Change of WMH volume is beyond the intervals of both volumes",
    "Yes when no volume lies in the intervals of both, No otherwise. An interval goes from the voxels that the model "
    "is sure of to those that it does not rule out; it is no confidence interval. Yes does not mean that the change is "
    "real: the comments say what else differs between the two scans.",
)
NOT_ANALYSED: Final = PrivateCode(
    "WMH-NO-ANALYSIS",
    "Reason why white matter hyperintensities were not analysed",
    "The images were looked at and not analysed, for a reason of CID 9300: nothing is said about whether there are "
    "white matter hyperintensities.",
)
# In a message a measurement stands alone, and one code has to say what of what.
WMH_VOLUME: Final = PrivateCode(
    "WMH-VOL",
    "Volume of white matter hyperintensities",
    "Volume (SCT 118565006) of the white matter hyperintensities (DCM 110702) in the cerebral white matter.",
)
PERIVENTRICULAR_VOLUME: Final = PrivateCode(
    "WMH-VOL-PV",
    "Volume of periventricular white matter hyperintensities",
    "The part of WMH-VOL that is periventricular (WMH-PV).",
)
DEEP_VOLUME: Final = PrivateCode(
    "WMH-VOL-DEEP",
    "Volume of deep white matter hyperintensities",
    "The part of WMH-VOL that is deep (WMH-DEEP).",
)
PRIVATE_CODES: Final = (
    UNCERTAINTY_INDEX,
    REVIEW_RECOMMENDED,
    PERIVENTRICULAR,
    DEEP,
    EARLIER_VOLUME,
    VOLUME_CHANGE,
    VOLUME_CHANGE_PERCENT,
    CHANGE_BEYOND_INTERVALS,
    NOT_ANALYSED,
    WMH_VOLUME,
    PERIVENTRICULAR_VOLUME,
    DEEP_VOLUME,
)

MORPHOLOGICALLY_ABNORMAL: Final = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")  # CID 7150
WHITE_MATTER_HYPERINTENSITY: Final = CodedConcept("110702", "DCM", "White Matter T2 Hyperintensity")  # CID 7140
ANATOMICAL_STRUCTURE: Final = CodedConcept("91723000", "SCT", "Anatomical Structure")  # CID 7150
BRAIN_VENTRICLE: Final = CodedConcept("35764002", "SCT", "Brain ventricle")  # CID 7153
CEREBRAL_WHITE_MATTER: Final = CodedConcept("68523003", "SCT", "Cerebral White Matter")  # CID 7153
ARTIFICIAL_INTELLIGENCE: Final = CodedConcept("123110", "DCM", "Artificial Intelligence")  # CID 7162
PROCESSING_EQUIPMENT: Final = CodedConcept("109102", "DCM", "Processing Equipment")  # CID 7005
ACQUISITION_EQUIPMENT: Final = CodedConcept("109101", "DCM", "Acquisition Equipment")  # CID 7005
SEGMENTATION: Final = CodedConcept("113076", "DCM", "Segmentation")  # CID 7203
SOURCE_IMAGE: Final = CodedConcept("121322", "DCM", "Source image for image processing operation")  # CID 7202
DEVICE_OBSERVER: Final = CodedConcept("121007", "DCM", "Device")  # CID 270
MR_BRAIN: Final = CodedConcept("24590-2", "LN", "MR Brain")  # extends CID 100
VOLUME: Final = CodedConcept("118565006", "SCT", "Volume")  # CID 7469
NUMBER_OF_LESIONS: Final = CodedConcept("246206008", "SCT", "Number of lesions")
BEST_ILLUSTRATION: Final = CodedConcept("121080", "DCM", "Best illustration of finding")  # TID 2000
MEASUREMENT_REPORT: Final = CodedConcept("126000", "DCM", "Imaging Measurement Report")  # CID 7021
QUALITATIVE_EVALUATIONS: Final = CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")  # TID 1500, row 12
PROCEDURE_REPORTED: Final = CodedConcept("121058", "DCM", "Procedure Reported")  # TID 1500, row 4
ENGLISH: Final = CodedConcept("en-US", "RFC5646", "English (United States)")  # CID 5000
# CID 9300, why a procedure was discontinued: what was wrong with the objects.
OBJECTS_INCORRECTLY_FORMATTED: Final = CodedConcept("110521", "DCM", "Objects incorrectly formatted")
OBJECT_TYPES_NOT_SUPPORTED: Final = CodedConcept("110522", "DCM", "Object Types not supported")
OBJECT_SET_INCOMPLETE: Final = CodedConcept("110523", "DCM", "Object Set incomplete")
UNSPECIFIED_REASON: Final = CodedConcept("110513", "DCM", "Discontinued for unspecified reason")
IMAGE_LIBRARY: Final = CodedConcept("111028", "DCM", "Image Library")  # TID 1600
IMAGE_LIBRARY_GROUP: Final = CodedConcept("126200", "DCM", "Image Library Group")  # TID 1600
MODALITY: Final = CodedConcept("121139", "DCM", "Modality")  # TID 1602
MAGNETIC_RESONANCE: Final = CodedConcept("MR", "DCM", "Magnetic Resonance")  # CID 29
FRAME_OF_REFERENCE: Final = CodedConcept("112227", "DCM", "Frame of Reference UID")  # TID 1602
TARGET_REGION: Final = CodedConcept("123014", "DCM", "Target Region")  # TID 1602
BRAIN: Final = CodedConcept("12738006", "SCT", "Brain")  # CID 4
PIXEL_DATA_ROWS: Final = CodedConcept("110910", "DCM", "Pixel Data Rows")  # TID 1602
PIXEL_DATA_COLUMNS: Final = CodedConcept("110911", "DCM", "Pixel Data Columns")  # TID 1602
HORIZONTAL_PIXEL_SPACING: Final = CodedConcept("111026", "DCM", "Horizontal Pixel Spacing")  # TID 1604
VERTICAL_PIXEL_SPACING: Final = CodedConcept("111066", "DCM", "Vertical Pixel Spacing")  # TID 1604
SPACING_BETWEEN_SLICES: Final = CodedConcept("112226", "DCM", "Spacing between slices")  # TID 1604
SLICE_THICKNESS: Final = CodedConcept("112225", "DCM", "Slice Thickness")  # TID 1604
SOURCE: Final = CodedConcept("260753009", "SCT", "Source")
SUMMARY: Final = CodedConcept("121111", "DCM", "Summary")  # CID 7002
COMMENT: Final = CodedConcept("121106", "DCM", "Comment")  # CID 12101
PRIOR_REPORT: Final = CodedConcept("122075", "DCM", "Prior report for current patient")  # CID 3407
# CID 42, why a value is not what it seems.
VALUE_INDETERMINATE: Final = CodedConcept("114011", "DCM", "Value indeterminate")
YES: Final = CodedConcept("373066001", "SCT", "Yes")  # CID 230
NO: Final = CodedConcept("373067005", "SCT", "No")  # CID 230
# TID 310 in TID 300 (CID 225): how far above and below the measured value, in its unit.
ABOVE_VALUE: Final = CodedConcept("371886008", "SCT", "+, range of upper measurement uncertainty")
BELOW_VALUE: Final = CodedConcept("371885007", "SCT", "-, range of lower measurement uncertainty")
MILLILITRE: Final = CodedConcept("mL", "UCUM", "mL")
MILLIMETRE: Final = CodedConcept("mm", "UCUM", "mm")
PIXELS: Final = CodedConcept("{pixels}", "UCUM", "pixels")
PERCENT: Final = CodedConcept("%", "UCUM", "%")
LESIONS: Final = CodedConcept("{lesions}", "UCUM", "lesions")
NO_UNITS: Final = CodedConcept("1", "UCUM", "no units")


def private_coding_scheme() -> CodingSchemeIdentificationItem:
    """Who answers for the private codes (0008,0110), for the header of every object that uses one (PS3.3 C.12.1)."""
    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name="wmh-node private codes, see docs/private-codes.md of the project",
        version="1",
        responsible_organization="wmh-node project",
    )
