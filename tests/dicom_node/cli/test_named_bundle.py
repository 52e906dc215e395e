"""A model is found by what a person calls it, or it is said what was looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicom_node.cli.named_bundle import SHIPPED, load_named
from dicom_node.node.errors import ConfigurationError
from segmentation.bundle import load_bundle, reference_bundle


def test_a_mistyped_folder_is_no_question_of_the_database(tmp_path: Path) -> None:
    """A path without a folder is reported as such, also on a machine that has no registry."""
    with pytest.raises(ConfigurationError, match=r"found no bundle folder at .*/bundel"):
        load_named(str(tmp_path / "bundel"), None)


def test_the_shipped_bundle_has_a_name() -> None:
    """`shipped` and its folder are the same model."""
    assert load_named(SHIPPED, None).identity == load_named(str(reference_bundle()), None).identity
    assert load_named(SHIPPED, None).identity == load_bundle(reference_bundle()).identity
