"""What a radiologist reads about a series that was not analysed."""

from __future__ import annotations

import re

import pytest
from support.data import REPOSITORY

from dicom_node.results.pages.refusal_words import advice_for

FAULT = "unexpected_error"


def documented_codes() -> list[str]:
    """The codes in the tables of docs/administrator/refusals.md, without those of analysed series."""
    page = REPOSITORY / "docs" / "administrator" / "refusals.md"
    text = page.read_text().split("## Flags of an analysed series")[0]
    return [code for row in re.findall(r"^\|(.*?)\|", text, re.MULTILINE) for code in re.findall(r"`(\w+)`", row)]


@pytest.mark.parametrize("code", documented_codes())
def test_every_refusal_has_advice(code: str) -> None:
    """Every documented code has advice that is meant for it, and only a fault of ours is called one."""
    assert len(documented_codes()) > 40
    assert (advice_for(code) == advice_for("no such code")) == (code == FAULT)


@pytest.mark.parametrize("code", documented_codes())
def test_advice_is_ascii_and_short(code: str) -> None:
    """Advice holds what every character set and the page's font hold, and two or three sentences of it."""
    for words in (advice_for(code).expected, advice_for(code).to_do):
        assert words.isascii()
        assert words.endswith(".")
        assert len(words) < 220


@pytest.mark.parametrize("code", ["several_flair_volumes", "too_many_images", "no_geometry"])
def test_advice_for_a_flair_does_not_doubt_its_name(code: str) -> None:
    """These concern series whose names or timing say FLAIR: the advice is not to correct the protocol's name."""
    assert advice_for(code) != advice_for("not_flair")
