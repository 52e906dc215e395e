"""Keyed hashes in place of identifiers."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicom_node.analyse.follow_up.patient_key import PatientHasher, PatientIdentity, open_hasher
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.patient_key_file import FILE

HASHER = PatientHasher(b"k" * 32)


def identity(hasher: PatientHasher = HASHER, **elements: str) -> PatientIdentity | None:
    header = Dataset()
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return hasher.identity(header)


def key(**elements: str) -> str:
    found = identity(**elements)
    assert found is not None
    return found.patient_key


def test_one_patient_has_one_key() -> None:
    """Spaces around, and full-width letters, make no other patient."""
    plain = key(PatientID="P 0012", IssuerOfPatientID="CLINIC")
    assert plain == key(PatientID=" P 0012 ", IssuerOfPatientID="CLINIC ")
    assert plain == key(PatientID="\uff30 0012", IssuerOfPatientID="CLINIC")


@pytest.mark.parametrize(
    "other",
    [
        {"PatientID": "P 13", "IssuerOfPatientID": "CLINIC"},
        {"PatientID": "P 12", "IssuerOfPatientID": "OTHER"},
        {"PatientID": "P 12"},
        {"PatientID": "p 12", "IssuerOfPatientID": "CLINIC"},
        {"PatientID": "P 012", "IssuerOfPatientID": "CLINIC"},
    ],
)
def test_what_is_written_otherwise_is_another_patient(other: dict[str, str]) -> None:
    """To miss an earlier scan is harmless; to take another person's for it is not."""
    assert key(PatientID="P 12", IssuerOfPatientID="CLINIC") != key(**other)


def test_identifier_and_issuer_do_not_run_together() -> None:
    """The border between the two is part of what is hashed."""
    assert key(PatientID="12", IssuerOfPatientID="3") != key(PatientID="1", IssuerOfPatientID="23")


@pytest.mark.parametrize("placeholder", ["", "  ", "0000", "ANONYMOUS", "anon", "Unknown", "N/A", "TEST", "--"])
def test_a_placeholder_has_no_key(placeholder: str) -> None:
    """Without an identifier, and with one that tools write for everybody, there is no follow-up."""
    assert identity(PatientID=placeholder) is None


def test_another_date_of_birth_is_reported() -> None:
    """The date has its own key; what is no date has none."""
    born = identity(PatientID="P 12", PatientBirthDate="19500101")
    later = identity(PatientID="P 12", PatientBirthDate="19500102")
    broken = identity(PatientID="P 12", PatientBirthDate="19501301")
    assert born is not None and later is not None and broken is not None
    assert born.patient_key == later.patient_key == broken.patient_key
    assert born.birth_key != later.birth_key
    assert broken.birth_key is None and identity(PatientID="P 12") == broken


def test_nothing_of_the_identifier_is_in_the_keys() -> None:
    """Another node's secret gives other keys; nothing but hexadecimal digits comes out."""
    found = identity(PatientID="P 12", PatientBirthDate="19500101")
    other = identity(PatientHasher(b"l" * 32), PatientID="P 12", PatientBirthDate="19500101")
    assert found is not None and other is not None
    assert {found.patient_key, found.birth_key}.isdisjoint({other.patient_key, other.birth_key})
    assert all(len(key or "") == 64 and set(key or "") <= set("0123456789abcdef") for key in
               (found.patient_key, found.birth_key))  # fmt: skip


def test_scanners_are_distinguished_by_number_and_station() -> None:
    """Spelling does not make another scanner; what tools write for every scanner is none; a station of the same letters
    as a serial number has another key; and nothing but hexadecimal digits comes out."""
    hasher, header = PatientHasher(b"k" * 32), Dataset()
    assert hasher.scanner_keys(header) == ("", "")
    header.DeviceSerialNumber, header.StationName = " mr-4711 ", "MR-4711"
    serial, station = hasher.scanner_keys(header)
    assert len(serial) == len(station) == 64 and serial != station
    header.DeviceSerialNumber = "MR-4711"
    assert hasher.scanner_keys(header) == (serial, station)
    assert PatientHasher(b"l" * 32).scanner_keys(header)[0] not in (serial, station)
    header.DeviceSerialNumber, header.StationName = "00000", "Anonymous"
    assert hasher.scanner_keys(header) == ("", "")


def test_the_secret_is_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    """Whoever opens it first makes it, all others read the same bytes; mode 0600, nothing left beside it."""
    storage = tmp_path / "storage"
    with ThreadPoolExecutor(8) as pool:
        hashers = list(pool.map(open_hasher, [storage] * 8))
    assert len({str(identity(hasher, PatientID="P 12")) for hasher in [*hashers, open_hasher(storage)]}) == 1
    assert [file.name for file in storage.iterdir()] == [FILE]
    assert stat.S_IMODE((storage / FILE).stat().st_mode) == 0o600
    assert open_hasher(tmp_path / "other").identity(_patient()) != hashers[0].identity(_patient())


def test_a_damaged_secret_is_refused(tmp_path: Path) -> None:
    """A cut-off key would silently make every patient another one."""
    (tmp_path / FILE).write_bytes(b"short")
    with pytest.raises(ConfigurationError, match=r"expected 32 bytes in .*, got 5: it is damaged"):
        open_hasher(tmp_path)


def _patient() -> Dataset:
    header = Dataset()
    header.PatientID = "P 12"
    return header
