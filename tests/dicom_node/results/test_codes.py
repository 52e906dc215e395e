"""Codes of results."""

from __future__ import annotations

from pydicom.sr.codedict import codes as dictionary
from support.data import REPOSITORY

from dicom_node.results import codes

DOCUMENT = REPOSITORY / "docs" / "private-codes.md"


def test_private_codes_are_documented_word_by_word() -> None:
    """docs/private-codes.md gives value, meaning and definition of each private code as the code has them."""
    rows = {
        cells[1].strip("` "): (cells[2].strip(), cells[4].strip())
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("| `") and (cells := line.split("|"))
    }
    assert rows == {code.value: (code.meaning, code.definition) for code in codes.PRIVATE_CODES}


def test_standard_codes_mean_what_the_dictionary_says() -> None:
    """Each standard code that pydicom's dictionary of PS3.16 knows has the value that it gives there."""
    known = {
        codes.MORPHOLOGICALLY_ABNORMAL: dictionary.SCT.MorphologicallyAbnormalStructure,
        codes.WHITE_MATTER_HYPERINTENSITY: dictionary.DCM.WhiteMatterT2Hyperintensity,
        codes.ANATOMICAL_STRUCTURE: dictionary.SCT.AnatomicalStructure,
        codes.BRAIN_VENTRICLE: dictionary.SCT.BrainVentricle,
        codes.CEREBRAL_WHITE_MATTER: dictionary.SCT.CerebralWhiteMatter,
        codes.ARTIFICIAL_INTELLIGENCE: dictionary.DCM.ArtificialIntelligence,
        codes.PROCESSING_EQUIPMENT: dictionary.DCM.ProcessingEquipment,
        codes.ACQUISITION_EQUIPMENT: dictionary.DCM.AcquisitionEquipment,
        codes.SOURCE_IMAGE: dictionary.DCM.SourceImageForImageProcessingOperation,
        codes.DEVICE_OBSERVER: dictionary.DCM.Device,
        codes.VOLUME: dictionary.SCT.Volume,
        codes.NUMBER_OF_LESIONS: dictionary.SCT.NumberOfLesions,
        codes.COMMENT: dictionary.DCM.Comment,
        codes.YES: dictionary.SCT.Yes,
        codes.NO: dictionary.SCT.No,
        codes.NO_UNITS: dictionary.UCUM.NoUnits,
    }
    for ours, theirs in known.items():
        assert ours == theirs, ours.meaning


def test_codes_fit_their_elements() -> None:
    """Code values fit SH (16 characters), meanings fit LO (64), so that no receiver cuts them."""
    for code in codes.PRIVATE_CODES:
        assert len(code.value) <= 16
        assert len(code.meaning) <= 64
    assert codes.PRIVATE_SCHEME.startswith("99")
