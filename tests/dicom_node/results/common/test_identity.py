"""Patient and study of results, from clean and from dirty headers."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from support.dirty_headers import item
from support.result_cases import Case, result_set_of, segmentation_of, series_of

from dicom_node.results.check.make_required import TABLE
from dicom_node.results.common.identity import ITEMS_NEED, OPTIONAL, REQUIRED, character_set_of, identity_of
from dicom_node.results.result_set import part10_bytes
from dicom_node.series.read.series import read_series

BASIC_PROFILE = item(CodeValue="113100", CodingSchemeDesignator="DCM", CodeMeaning="Basic Application Profile")


def raw_values(data: bytes, *keywords: str) -> list[bytes]:
    """The undecoded bytes of elements of a DICOM file."""
    dataset = pydicom.dcmread(BytesIO(data))
    return [bytes(dataset.get_item(keyword).value) for keyword in keywords]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jürg"),
        ("ISO_IR 192", "Müller^Jürg=王^小东"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
    ids=["latin", "utf-8", "korean", "japanese", "chinese"],
)
def test_names_keep_their_bytes_and_character_set(character_set: str | list[str], name: str, tmp_path: Path) -> None:
    """A name in any character set reaches SEG and SR byte for byte, so that the PACS sees one patient."""
    extra = {"SpecificCharacterSet": character_set, "PatientName": name, "PatientID": "ID-1"}
    series = series_of(Case("names"), tmp_path, extra=extra)
    source = raw_values(next(iter(sorted(tmp_path.iterdir()))).read_bytes(), "PatientName", "PatientID")
    result = result_set_of(series, segmentation_of(series))
    for dataset in (result.seg, result.sr):
        data = part10_bytes(dataset)
        assert raw_values(data, "PatientName", "PatientID") == source
        assert pydicom.dcmread(BytesIO(data)).PatientName == name


def test_unknown_character_sets_are_left_out() -> None:
    """A SpecificCharacterSet that does not exist is not repeated; a misspelt one is mended."""
    header = Dataset()
    assert character_set_of(header) is None
    header.add_new("SpecificCharacterSet", "CS", "ISO_IR 999")
    assert character_set_of(header) is None
    header.add_new("SpecificCharacterSet", "CS", "ISO IR 192")
    assert character_set_of(header) == "ISO_IR 192"


def test_what_is_missing_is_empty() -> None:
    """A header with nothing gives every type 2 attribute, empty, and no optional one."""
    identity = identity_of(Dataset())
    assert all(identity[keyword].is_empty for keyword in REQUIRED)
    assert not any(keyword in identity for keyword in OPTIONAL)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(
    ("keyword", "value", "kept"),
    [
        ("StudyDate", "20240229", True),
        ("StudyDate", "20230229", False),
        ("StudyDate", "2024.02.29", False),
        ("StudyTime", "235959.123456", True),
        ("StudyTime", "10", True),
        ("StudyTime", "10:30", False),
        ("PatientSex", "F", True),
        ("PatientSex", "W", False),
        ("PatientAge", "045Y", True),
        ("PatientAge", "45Y", False),
        ("PatientWeight", "70.5", True),
    ],
)
def test_illegal_values_are_left_out(keyword: str, value: str, kept: bool) -> None:
    """Values that break their VR or their enumeration are left out; legal ones stay as they are."""
    header = Dataset()
    setattr(header, keyword, value)
    assert (str(identity_of(header).get(keyword, "")) == value) is kept


@pytest.mark.parametrize(
    ("elements", "kept"),
    [
        ({"PatientIdentityRemoved": "YES"}, False),
        ({"PatientIdentityRemoved": "YES", "DeidentificationMethod": "M" * 65}, False),
        ({"PatientIdentityRemoved": "YES", "DeidentificationMethod": "Basic profile"}, True),
        ({"PatientIdentityRemoved": "YES", "DeidentificationMethodCodeSequence": [BASIC_PROFILE]}, True),
        ({"PatientIdentityRemoved": "NO"}, True),
    ],
    ids=["no method", "illegal method", "method", "code", "not removed"],
)
@pytest.mark.filterwarnings("ignore:The value length")  # the test writes such values on purpose
def test_a_removed_identity_says_how_or_nothing(elements: dict[str, object], kept: bool) -> None:
    """That the identity was removed is repeated only with how (type 1C), and no method is made up."""
    header = item(**elements)
    identity = identity_of(header)
    repeated = {keyword: identity[keyword].value for keyword in elements if keyword in identity}
    assert repeated == (elements if kept else {})


def test_free_text_about_the_patient_stays_with_the_images() -> None:
    """Comments and history are not copied: a result needs what files it, and no more."""
    header = Dataset()
    header.PatientComments, header.AdditionalPatientHistory = "secret", "secret"
    assert "secret" not in str(identity_of(header))


def test_undeclared_characters_keep_their_bytes(tmp_path: Path) -> None:
    """A name in Latin-1 without SpecificCharacterSet (seen in old scanners) is illegal, and yet what the PACS filed."""
    series_of(Case("names"), tmp_path, extra={"PatientName": "Muller^Jurg", "StudyDescription": "Schadel"})
    for file in tmp_path.iterdir():
        broken = file.read_bytes().replace(b"Muller^Jurg", b"M\xfcller^J\xfcrg").replace(b"Schadel", b"Sch\xe4del")
        file.write_bytes(broken.replace(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192", b""))
    series = read_series(sorted(tmp_path.iterdir()))
    assert "SpecificCharacterSet" not in series.headers[0]
    result = result_set_of(series, segmentation_of(series))
    for dataset in (result.seg, result.sr):
        name, description = raw_values(part10_bytes(dataset), "PatientName", "StudyDescription")
        assert name.strip() == b"M\xfcller^J\xfcrg"
        assert description.strip() == b"Sch\xe4del"


@pytest.mark.filterwarnings("ignore:(Invalid value|The value length)")  # the test writes such values on purpose
@pytest.mark.parametrize("times", [1, 9], ids=["legal", "too long"])
def test_nothing_of_the_patient_is_logged(
    times: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    """Neither log records of any level and library nor warnings hold the patient's name or ID, legal or not."""
    extra = {
        "PatientName": "SECRETNAME" * times,
        "PatientID": "SECRETID" * times,
        "AccessionNumber": "SECRETACC" * times,
    }
    series = series_of(Case("secret"), tmp_path, extra=extra)
    recwarn.clear()
    with caplog.at_level("DEBUG"):
        result = result_set_of(series, segmentation_of(series))
        part10_bytes(result.seg)
        part10_bytes(result.sr)
    assert result.seg.PatientName == extra["PatientName"]
    assert "SECRET" not in caplog.text
    assert not any("SECRET" in str(warning.message) for warning in recwarn.list)


def test_an_item_that_cannot_be_understood_stays_with_the_images() -> None:
    """A sequence with a corrupt value deep in it is left out, and nothing is raised."""
    item, header = Dataset(), Dataset()
    item.PatientID, item.TypeOfPatientID = "OTHER-7", "TEXT"
    header.OtherPatientIDsSequence = [item]
    assert "OtherPatientIDsSequence" in identity_of(header)
    rows = Tag("Rows")
    item[rows] = RawDataElement(rows, "US", 1, b"\x07", 0, False, True)
    assert "OtherPatientIDsSequence" not in identity_of(header)


def test_items_have_what_the_standard_demands() -> None:
    """What the checks ask of the items of a copied sequence is asked before they are copied."""
    modules = json.loads(TABLE.read_text())["modules"]
    for path, keyword, _ in (*modules["patient"], *modules["general-study"]):
        inside = path.split(".")
        if inside[0] in OPTIONAL:
            assert inside[-1].endswith("CodeSequence") or keyword in ITEMS_NEED[inside[-1]]
