"""The SOP classes of results by name, with what to do about a peer that rejects one."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from support.result_cases import CASES, result_set_of, segmentation_of, series_of

from dicom_node.deliver.send.result_classes import classes_of, remedy, words_of_class
from dicom_node.node.dicom_uids import LABEL_MAP_SEGMENTATION_STORAGE
from dicom_node.node.profiles import DEFAULT_OPTIONS, PROFILES, DeliveryOptions
from dicom_node.node.settings import parse_destination

BOTH = "+labelmap+probability"


@pytest.mark.parametrize("options", ["", *(f"+{name}" for name in PROFILES), "+labelmap+probability", "+occupancy"])
def test_classes_are_those_of_what_is_sent(options: str, tmp_path: Path) -> None:
    """What `config check` proposes for a destination is what its result sets hold, no more and no less."""
    wanted = parse_destination(f"PACS@10.0.0.5:104{options}").options
    series = series_of(CASES[0], tmp_path)
    result = result_set_of(series, segmentation_of(series), all_options=[wanted])
    sent = [str(uid.dataset.SOPClassUID) for uid in result.of(wanted.profile, wanted.probability_map)]
    assert classes_of(wanted) == tuple(dict.fromkeys(sent))
    assert all("(" in words_of_class(uid) for uid in sent)


def test_a_class_of_others_has_its_own_name() -> None:
    """What is not a result of ours is named by its class, and there is no profile to advise."""
    assert words_of_class("1.2.840.10008.5.1.4.1.1.4") == "MR Image Storage"
    assert remedy(["1.2.840.10008.5.1.4.1.1.4"], DEFAULT_OPTIONS) == ""


def test_advice_names_each_way_once() -> None:
    """SEG and SR rejected: one profile is advised; the retry comes after accepting, since files stay as written."""
    said = remedy([SegmentationStorage, Comprehensive3DSRStorage], DEFAULT_OPTIONS, "`wmh-node jobs retry 7`")
    assert said.startswith("accept the SOP class there, then `wmh-node jobs retry 7`; or give the destination")
    assert said.count("+legacy") == 1


@pytest.mark.parametrize(
    "options", ["", *(f"+{name}{more}" for name in PROFILES for more in ("", "+labelmap", "+probability", BOTH))]
)
def test_advice_helps(options: str) -> None:
    """Whatever a destination rejects of what it is sent: who follows the advice sends none of that. Where no profile
    would help, none is named."""
    wanted = _parsed(options)
    sent = classes_of(wanted)
    for count in range(1, len(sent) + 1):
        for rejected in combinations(sent, count):
            said = remedy(rejected, wanted)
            changed = _followed(said, options)
            if changed != options:
                assert set(rejected).isdisjoint(classes_of(_parsed(changed))), (rejected, said)
            else:
                assert said == "accept the SOP class there"
                assert all(set(rejected) & set(classes_of(DeliveryOptions(uid))) for uid in PROFILES.values()), rejected


def _parsed(options: str) -> DeliveryOptions:
    return parse_destination(f"PACS@10.0.0.5:104{options}").options


def _followed(said: str, options: str) -> str:
    """The options of a destination after the advice was followed to the letter."""
    words = options.split("+")[1:]
    if profile := re.search(r"the profile \+(\w+)", said):
        words = [profile[1], *(word for word in words if word not in PROFILES)]
    left_out = re.findall(r"\+(\w+)", said.partition("leave out ")[2])
    return "".join(f"+{word}" for word in words if word not in left_out)


@pytest.mark.parametrize(
    ("options", "rejected", "advice"),
    [
        ("", [SegmentationStorage], "give the destination the profile +legacy"),
        ("", [SecondaryCaptureImageStorage], "give the destination the profile +slicer"),
        ("", [SegmentationStorage, SecondaryCaptureImageStorage], ""),
        ("+legacy", [EncapsulatedPDFStorage], "give the destination the profile +generic"),
        ("+legacy+probability", [SegmentationStorage], "leave out +probability"),
        ("+probability", [SegmentationStorage], "give the destination the profile +legacy and leave out +probability"),
        ("+labelmap", [LABEL_MAP_SEGMENTATION_STORAGE], "leave out +labelmap"),
        ("+labelmap+probability", [SegmentationStorage], "leave out +probability"),
        ("+legacy", [SegmentationStorage], ""),
    ],
)
def test_advice_is_the_least_change(options: str, rejected: list[str], advice: str) -> None:
    """An option that is left out before a profile that is changed; nothing for a class that is not sent any more."""
    whole = f"; or {advice}, which counts for series that are analysed after that" if advice else ""
    assert remedy(rejected, _parsed(options)) == f"accept the SOP class there{whole}"
