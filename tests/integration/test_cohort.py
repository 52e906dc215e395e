"""A cohort through the whole node: DCMTK's archive sends an earlier study, and gets its results."""

from __future__ import annotations

import csv
from pathlib import Path

import pydicom
import pytest
from support.dcmtk import PACS_AE_TITLE, dcmqrscp, findscu_series, storescu
from support.models import tiny_bundle
from support.node import AE_TITLE, Node
from support.phantoms import phantom_files
from support.processes import free_port, until

from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.peer("dcmqrscp"), pytest.mark.peer("storescu"), pytest.mark.slow, pytest.mark.timeout(600)]


def test_an_earlier_study_is_fetched_and_analysed(tmp_path: Path) -> None:
    """The running node asks the archive, receives the study whole, analyses it and delivers; the export has its number
    beside the row of the list, and a row of a study that the archive lacks."""
    files = phantom_files(PhantomSpec(slices=24), tmp_path / "flair")
    study = str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    (tmp_path / "list.csv").write_text(f"StudyInstanceUID,group\n1.2.3.4,control\n{study},case\n")
    port = free_port()
    with Node(
        tmp_path / "node", f"pacs={PACS_AE_TITLE}@127.0.0.1:{port}", tiny_bundle(tmp_path / "model")
    ) as node, dcmqrscp(tmp_path / "pacs", port, free_port(), {AE_TITLE: node.port}):  # fmt: skip
        storescu(files, PACS_AE_TITLE, port)
        node.cli("cohort", "add", tmp_path / "list.csv", "--from", "pacs", "--move", "--name", "ms")
        (job,) = node.ended_jobs()
        assert str(job.state) == "done", job.reason
        assert until(lambda: findscu_series(port, study, "SR"), "the report in the archive", 60)
        until(lambda: "1 done" in node.cli("cohort", "list").stdout, "the study to count as done", 60)
        node.cli("cohort", "export", "ms", "--out", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        lacking, fetched = csv.DictReader(file)
    assert (lacking["group"], lacking["cohort_state"], lacking["job"]) == ("control", "waiting", "")
    assert (fetched["group"], fetched["cohort_state"], fetched["job_state"]) == ("case", "done", "done")
    # The tiny model's volume cannot be relied on, so the list has none.
    assert (fetched["reliability"], fetched["wmh_volume_ml"]) == ("not_reliable", "")
    assert fetched["instances_expected"] == str(len(files))
