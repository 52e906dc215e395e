"""The SOP classes of results, in words and with what to do about a peer that rejects one."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.result_cases import CASES, result_set_of, segmentation_of, series_of

from dicom_node.results.profiles import DEFAULT_WISH, PROFILES
from dicom_node.sending.result_classes import classes_of, remedy, words_of_class
from dicom_node.settings import parse_destination


@pytest.mark.parametrize("options", ["", *(f"+{name}" for name in PROFILES), "+labelmap+probability", "+occupancy"])
def test_classes_are_those_of_what_is_sent(options: str, tmp_path: Path) -> None:
    """What `config check` proposes for a destination is what its result sets hold, no more and no less."""
    wish = parse_destination(f"PACS@10.0.0.5:104{options}").wish
    series = series_of(CASES[0], tmp_path)
    result = result_set_of(series, segmentation_of(series), wishes=[wish])
    sent = [str(one.dataset.SOPClassUID) for one in result.of(wish.profile, wish.probability_map)]
    assert classes_of(wish) == tuple(dict.fromkeys(sent))
    assert all("(" in words_of_class(one) for one in sent)


def test_a_class_of_others_has_its_own_name() -> None:
    """What is not a result of ours is named by its class, and there is no profile to advise."""
    assert words_of_class("1.2.840.10008.5.1.4.1.1.4") == "MR Image Storage"
    assert remedy(["1.2.840.10008.5.1.4.1.1.4"]) == ""


def test_advice_names_each_way_once() -> None:
    """SEG and SR rejected: one profile is advised; the retry comes after accepting, since files stay as written."""
    said = remedy(classes_of(DEFAULT_WISH), "`wmh-node jobs retry 7`")
    assert said.startswith("accept the SOP class there, then `wmh-node jobs retry 7`; or give the destination")
    assert said.count("+legacy") == 1
