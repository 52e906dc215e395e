"""The tables of what is a brain FLAIR, on headers as vendors write them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage, SecondaryCaptureImageStorage
from support.dicom_series import about_scan, small_scan

from dicom_node.demo.phantom.dicom_series import classic_series, enhanced_instance
from dicom_node.series.geometry.volumes import MAX_FRAMES
from dicom_node.series.rules.flair import classify_series
from dicom_node.series.rules.rules import EXCLUSIONS, NOTES, SIGNS


def _series(**elements: object) -> list[Dataset]:
    """A T2-like brain series that no rule excludes and no sign shows to be a FLAIR, then changed."""
    about = about_scan(
        small_scan(6, 8, 8), description="", protocol="", inversion_ms=None, repetition_ms=4500.0, echo_ms=100.0
    )
    headers: list[Dataset] = []
    for header in classic_series(small_scan(6, 8, 8).stored, small_scan(6, 8, 8).affine, about):
        header.ScanningSequence = ["SE"]
        for keyword, value in elements.items():
            if value is None:
                delattr(header, keyword)
            else:
                setattr(header, keyword, value)
        headers.append(header)
    return headers


@pytest.mark.parametrize(
    "elements",
    [
        {"SeriesDescription": "t2_tirm_tra_dark-fluid_4mm", "InversionTime": "2500"},  # Siemens
        {"SeriesDescription": "t2_tirm_tra_dark-fluid", "SequenceName": "*tir2d1_16"},
        {"ProtocolName": "t2_spc_ir_dark-fluid_sag_p2", "EchoTime": "394", "InversionTime": "2200"},
        {"SeriesDescription": "Ax T2 FLAIR", "InversionTime": "2250", "EchoTime": "120"},  # GE
        {"SeriesDescription": "OAx T2 FLAIR Propeller"},
        {"SeriesDescription": "FLAIR_longTR SENSE", "InversionTime": "2800", "EchoTime": "125"},  # Philips
        {"SeriesDescription": "3D VISTA FLAIR", "EchoTime": "340", "InversionTime": "1660"},
        {"SeriesDescription": "FSE FLAIR Ax", "InversionTime": "2300"},  # Canon
        {"SeriesDescription": "t2flair_tra"},
        {"SeriesDescription": "AX T2FLAIR FS"},
        {"SeriesDescription": "ＦＬＡＩＲ ＴＲＡ"},  # full-width letters, as Japanese consoles write them
        {"SeriesDescription": "tirm tra", "InversionTime": "2400"},
        {"SequenceName": "*tir2d1rr16", "InversionTime": "2400"},
        {"SeriesDescription": "Brain FLAIR and cervical spine"},
        {"SeriesDescription": "FLAIR", "BodyPartExamined": "HEAD"},
        {"SeriesDescription": "FLAIR", "BodyPartExamined": "HEADNECK"},
        {"SeriesDescription": "FLAIR", "BodyPartExamined": None},
        {"SeriesDescription": "FLAIR", "ImageType": ["DERIVED", "PRIMARY", "M", "NORM"]},
        {
            "SeriesDescription": "t2_spc_dark-fluid_MPR_tra",
            "ImageType": ["DERIVED", "SECONDARY", "MPR", "CSA MPR", "M"],
        },
        {
            "SeriesDescription": "Ax CUBE FLAIR reformat",
            "ImageType": ["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"],
        },
        {"SeriesDescription": "FLAIR denoised", "ImageType": ["DERIVED", "SECONDARY", "OTHER"]},
        {"SeriesDescription": "FLAIR", "ImageType": ["DERIVED", "SECONDARY"]},  # as some anonymisers leave it
        {"SeriesDescription": "FLAIR", "InversionTime": "0"},  # some write 0 for "not given"
        {"SeriesDescription": "FLAIR T1 contrast afterwards T2"},
    ],
    ids=str,
)
def test_flair_as_vendors_name_it_is_accepted(elements: dict[str, object]) -> None:
    """A brain FLAIR under its vendor's or site's name is accepted."""
    verdict = classify_series(_series(**elements))
    assert verdict.accepted, verdict
    assert verdict.code == "flair"


@pytest.mark.parametrize(
    ("code", "elements"),
    [
        ("not_mr", {"Modality": "CT", "SeriesDescription": "FLAIR"}),
        ("segmentation", {"Modality": "SEG", "SeriesDescription": "FLAIR WMH"}),
        ("not_mr_image", {"SOPClassUID": SecondaryCaptureImageStorage, "SeriesDescription": "FLAIR"}),
        ("colour", {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "SeriesDescription": "FLAIR fused"}),
        ("localizer", {"SeriesDescription": "localizer"}),
        ("localizer", {"SeriesDescription": "3-plane FLAIR scout"}),
        ("localizer", {"SeriesDescription": "FLAIR", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
        ("map", {"SeriesDescription": "FLAIR", "ImageType": ["DERIVED", "PRIMARY", "ADC"]}),
        ("reformatted", {"SeriesDescription": "FLAIR", "ImageType": ["DERIVED", "SECONDARY", "MPR", "CURVED"]}),
        ("reformatted", {"SeriesDescription": "FLAIR", "ImageType": ["DERIVED", "PRIMARY", "PROJECTION IMAGE"]}),
        ("reformatted", {"SeriesDescription": "FLAIR MIP"}),
        ("reformatted", {"SeriesDescription": "FLAIR subtraction"}),
        ("reformatted", {"SeriesDescription": "FLAIR SUB", "ImageType": ["DERIVED", "SECONDARY", "OTHER"]}),
        ("reformatted", {"SeriesDescription": "FLAIR", "ImageType": ["DERIVED", "SECONDARY", "SUBTRACT"]}),
        ("processed", {"SeriesDescription": "FLAIR lesion overlay", "ImageType": ["DERIVED", "SECONDARY", "OTHER"]}),
        ("derived", {"InversionTime": "2400", "EchoTime": "120", "ImageType": ["DERIVED", "SECONDARY", "OTHER"]}),
        ("not_magnitude", {"SeriesDescription": "FLAIR", "ImageType": ["ORIGINAL", "PRIMARY", "P"]}),
        ("diffusion", {"SeriesDescription": "ep2d_diff_3scan_trace"}),
        ("diffusion", {"SeriesDescription": "FLAIR", "DiffusionBValue": 1000.0}),
        ("diffusion", {"SeriesDescription": "AX FLAIR", "SequenceName": "*ep_b1000t", "EchoTime": "80"}),
        ("diffusion", {"SeriesDescription": "AX FLAIR", "SequenceName": "*re_b0", "EchoTime": "80"}),
        ("other_technique", {"SeriesDescription": "SWI"}),
        ("other_technique", {"SeriesDescription": "DIR cor FLAIR"}),
        ("body_part", {"SeriesDescription": "t2 flair sag c spine cervical", "BodyPartExamined": "HEAD"}),
        ("body_part", {"SeriesDescription": "FLAIR orbita tra"}),
        ("body_part", {"SeriesDescription": "FLAIR sag cervical", "ProtocolName": "BRAIN AND SPINE"}),
        ("body_part", {"SeriesDescription": "", "ProtocolName": "FLAIR orbita"}),
        ("not_flair", {"SeriesDescription": "Ax T2", "ProtocolName": "BRAIN W/WO SWI FLAIR"}),
        ("t1_weighted", {"SeriesDescription": "Sag T1 MPRAGE", "ProtocolName": "BRAIN FLAIR"}),
        ("other_technique", {"SeriesDescription": "TOF 3D", "ProtocolName": "FLAIR BRAIN"}),
        ("short_echo", {"SeriesDescription": "AX", "ProtocolName": "FLAIR", "EchoTime": "9"}),
        ("t1_weighted", {"SeriesDescription": "Ax T1 FLAIR", "InversionTime": "860", "EchoTime": "12"}),
        ("t1_weighted", {"SeriesDescription": "T1FLAIR"}),
        ("t1_weighted", {"SeriesDescription": "t1_mprage_sag", "InversionTime": "900"}),
        ("t1_weighted", {"SeriesDescription": "MPRAGE", "InversionTime": "1600"}),
        ("fat_nulled", {"SeriesDescription": "STIR tra", "InversionTime": "160"}),
        ("short_echo", {"SeriesDescription": "AX FLAIR", "EchoTime": "9", "InversionTime": "900"}),
        ("short_inversion", {"SeriesDescription": "AX FLAIR", "InversionTime": "860"}),
        ("short_inversion", {"SeriesDescription": "t2_tirm_cor", "InversionTime": "160"}),
        ("not_flair", {"SeriesDescription": "t2_tse_tra"}),
        ("not_flair", {"SeriesDescription": "t2_tirm_cor"}),  # FLAIR or STIR: unknown without inversion time
        ("not_flair", {"InversionTime": "2400", "ScanningSequence": ["GR"], "RepetitionTime": "5000"}),
        ("not_flair", {"InversionTime": "2400", "EchoTime": "65", "RepetitionTime": "9000"}),
    ],
    ids=str,
)
def test_everything_else_is_turned_away_by_name(code: str, elements: dict[str, object]) -> None:
    """Each kind of other series ends with its own code, and with a sentence that quotes no description."""
    verdict = classify_series(_series(**elements))
    assert not verdict.accepted
    assert verdict.code == code
    assert verdict.reason.endswith(".")


@pytest.mark.parametrize(
    "protocol",
    [
        "STROKE BRAIN/MRA", "BRAIN W/WO SWI FLAIR", "PITUITARY", "MRV HEAD", "DWI FAST BRAIN", "BRAIN + C-SPINE",
        "ORBITS", "ROUTINE T1 T2 BRAIN", "EPILEPSY MPRAGE", "NEURO LOC", "IAC", "3 PLANE",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "elements",
    [
        {"SeriesDescription": "Ax T2 FLAIR"},
        {"SeriesDescription": "C+ AX T2 FLAIR PROPELLER"},
        {"SeriesDescription": "AX FLAIR BRAIN", "BodyPartExamined": "CSPINE"},
        {"SeriesDescription": "AX FLAIR", "BodyPartExamined": "KNEE"},
        {
            "SeriesDescription": "",
            "InversionTime": "2400",
            "EchoTime": "120",
            "RepetitionTime": "9000",
            "ScanningSequence": ["SE", "IR"],
        },
    ],
    ids=str,
)
def test_what_the_examination_is_called_vetoes_nothing(elements: dict[str, object], protocol: str) -> None:
    """ProtocolName and BodyPartExamined may be the examination's: the series' own name, or its timing, decides."""
    verdict = classify_series(_series(**elements, ProtocolName=protocol))
    assert verdict.accepted, verdict
    assert ("body_part_contradicts" in verdict.flags) is ("BodyPartExamined" in elements)


def test_the_examination_may_confirm_a_series_that_is_not_named() -> None:
    """A series that is only called "AX" is a FLAIR by the examination's name, when nothing speaks against it."""
    assert classify_series(_series(SeriesDescription="AX 5mm", ProtocolName="t2_tirm_tra_dark-fluid")).accepted


@pytest.mark.parametrize(
    ("component", "words"),
    [("PHASE", "the phase part"), ("IMAGINARY", "the imaginary part"), ("DOE^JANE", "an unknown part")],
)
def test_the_part_of_the_signal_is_named_by_a_table(component: str, words: str) -> None:
    """A name in Complex Image Component does not become part of the reason, which everybody may read."""
    verdict = classify_series(_series(SeriesDescription="FLAIR", ComplexImageComponent=component))
    assert verdict.code == "not_magnitude"
    assert words in verdict.reason
    assert "doe" not in verdict.reason.lower()


def test_flair_without_a_name_is_known_by_its_timing() -> None:
    """Timing that only a FLAIR has is accepted without a name, and flagged as such."""
    headers = _series(InversionTime="2200", RepetitionTime="9000", EchoTime="110", ScanningSequence=["SE", "IR"])
    verdict = classify_series(headers)
    assert verdict.accepted
    assert "recognised_by_timing" in verdict.flags


def test_what_an_accepted_series_is_flagged_with() -> None:
    """Missing inversion time, contrast agent, 3D and an unnamed body part are noted."""
    plain = classify_series(_series(SeriesDescription="FLAIR", InversionTime="2400"))
    assert plain.flags == ()
    noted = classify_series(
        _series(
            SeriesDescription="FLAIR", ContrastBolusAgent="gadolinium", MRAcquisitionType="3D", BodyPartExamined=None
        )
    )
    assert set(noted.flags) == {"no_inversion_time", "post_contrast", "three_dimensional", "body_part_not_given"}
    assert "post_contrast" in classify_series(_series(SeriesDescription="FLAIR tra +C")).flags


@pytest.mark.parametrize(
    ("contrast", "accepted"), [("FLUID_ATTENUATED", True), ("T2", False), ("DIFFUSION", False), ("T1", False)]
)
def test_enhanced_images_state_their_contrast(contrast: str, accepted: bool) -> None:
    """Acquisition Contrast in the frame's functional group shows a FLAIR without any name."""
    scan = small_scan(6, 8, 8)
    about = about_scan(scan, description="ax", protocol="ax", repetition_ms=3500.0)
    instance = enhanced_instance(scan.stored, scan.affine, about)
    instance.ImageType = ["ORIGINAL", "PRIMARY", contrast, "NONE"]
    for group in instance.PerFrameFunctionalGroupsSequence:
        group.MRImageFrameTypeSequence[0].AcquisitionContrast = contrast
        group.MRImageFrameTypeSequence[0].FrameType = instance.ImageType
    assert instance.SOPClassUID == EnhancedMRImageStorage
    assert classify_series([instance]).accepted is accepted


def test_spine_in_the_anatomy_code_is_seen() -> None:
    """An Enhanced image names its body part as a code in a functional group."""
    scan = small_scan(6, 8, 8)
    instance = enhanced_instance(scan.stored, scan.affine, about_scan(scan))
    del instance.BodyPartExamined
    assert classify_series([instance]).accepted
    region = instance.SharedFunctionalGroupsSequence[0].FrameAnatomySequence[0].AnatomicRegionSequence[0]
    region.CodeMeaning = "Cervical spine"
    assert classify_series([instance]).code == "body_part"


@pytest.mark.parametrize("headers", [[], [Dataset()]], ids=["none", "empty"])
def test_nothing_to_classify_is_a_rejection(headers: list[Dataset]) -> None:
    """No instance, or one without any element, is rejected and does not raise."""
    assert not classify_series(headers).accepted


def test_values_of_the_wrong_kind_do_not_raise() -> None:
    """Numbers where text belongs, and the other way round, end in a verdict."""
    header = Dataset()
    header.SOPClassUID, header.Modality = MRImageStorage, "MR"
    header.add_new(0x00181030, "US", [1, 2])  # ProtocolName
    header.add_new(0x00180082, "LO", "soon")  # InversionTime
    header.add_new(0x00280010, "LO", "many")  # Rows
    header.add_new(0x00200032, "SQ", [])  # ImagePositionPatient
    header.add_new(0x00080008, "SQ", [Dataset()])  # ImageType
    assert not classify_series([header]).accepted


def _twice(headers: list[Dataset]) -> list[Dataset]:
    again = [deepcopy(header) for header in headers]
    for header in again:
        header.SOPInstanceUID, header.AcquisitionNumber = f"{header.SOPInstanceUID}.2", 2
    return [*headers, *again]


def _without_place(headers: list[Dataset]) -> list[Dataset]:
    for header in headers:
        header.PixelSpacing = ["0", "0"]
    return headers


def _thousands(headers: list[Dataset]) -> list[Dataset]:
    return headers * (MAX_FRAMES // len(headers) + 1)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(_twice, "several_flair_volumes"), (_without_place, "no_geometry"), (_thousands, "too_many_images")],
)
def test_a_brain_flair_that_is_refused_is_still_called_one(
    spoil: Callable[[list[Dataset]], list[Dataset]], code: str
) -> None:
    """Its sender is informed why; the same fault in a T1 is none of a FLAIR's, and is refused as a T1."""
    verdict = classify_series(spoil(_series(SeriesDescription="FLAIR")))
    assert (verdict.accepted, verdict.code, verdict.is_flair) == (False, code, True)
    other = classify_series(spoil(_series(SeriesDescription="T1 MPRAGE")))
    assert (other.accepted, other.code, other.is_flair) == (False, "t1_weighted", False)
    assert classify_series(_series(SeriesDescription="FLAIR")).is_flair


def test_every_rule_names_its_source() -> None:
    """Behaviour is a cited table: codes are unique, and each row says where it comes from."""
    codes = [rule.code for rule in EXCLUSIONS]
    assert len(set(codes)) == len(codes)
    assert all(row.source for row in (*EXCLUSIONS, *SIGNS, *NOTES))


def test_a_plain_reformat_is_flagged() -> None:
    """Interpolated slices are analysed, and the result says so."""
    verdict = classify_series(_series(SeriesDescription="FLAIR tra", ImageType=["DERIVED", "SECONDARY", "MPR", "M"]))
    assert {"derived", "reformatted"} <= set(verdict.flags)
