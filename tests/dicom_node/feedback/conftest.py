"""An analysed series to correct."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.feedback import AnalysedNode

from dicom_node.feedback.read import FeedbackReader


@pytest.fixture(scope="session")
def reader() -> Iterator[FeedbackReader]:
    """One child for all."""
    with closing(FeedbackReader()) as opened:
        yield opened


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory, reader: FeedbackReader) -> AnalysedNode:
    """An axial FLAIR, received and analysed; to copy."""
    made = AnalysedNode(tmp_path_factory.mktemp("analysed"), reader=reader)
    made.receive_series()
    made.analyse()
    made.database.close()
    return made


@pytest.fixture
def node(tmp_path: Path, analysed: AnalysedNode, reader: FeedbackReader) -> Iterator[AnalysedNode]:
    """A copy of it."""
    made = analysed.copy(tmp_path, reader)
    with closing(made.database):
        yield made
