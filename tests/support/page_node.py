"""The page of a node with real jobs, made by a real worker from phantoms: done twice of one patient, rejected, failed,
queued. Every text of their headers is hostile to a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
from support.databases import sqlite_url
from support.phantoms import phantom_files
from support.worker_setting import Setting

from db.accounts import AccountTable
from db.cohorts import CohortRules, CohortTable, ItemState, NewItem
from db.records import AccountRole
from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.node.settings import Settings
from dicom_node.web.node_look import HealthLine
from dicom_node.web.people.passwords import hash_password
from dicom_node.web.site import Site
from segmentation.ensemble import Ensemble

PASSWORD = "correct horse battery"
SCRIPT = "<script>window.owned=1</script>"
ATTRIBUTE = '"><img src=x onerror=window.owned=1>'
HOSTILE = {
    "PatientName": f"Zwetschge^{SCRIPT}",
    "PatientID": f"ZQ-774411{ATTRIBUTE}",
    "SeriesDescription": f"FLAIR {SCRIPT}",
    "StudyDescription": SCRIPT,
    "ProtocolName": f"FLAIR {ATTRIBUTE}",
    "InstitutionName": SCRIPT,
    "Manufacturer": ATTRIBUTE,
    "ManufacturerModelName": SCRIPT,
    "OperatorsName": f"Op^{SCRIPT}",
}
HOSTILE_AE = '"><i>AE</i>'


@dataclass(frozen=True)
class PageNode:
    """A page with its tables and jobs by what became of them."""

    setting: Setting
    site: Site
    jobs: dict[str, int]


def make_page_node(
    folder: Path,
    ensemble: Ensemble,
    *,
    matrix: int = 64,
    slices: int = 12,
    elements: dict[str, str] | None = None,
    scanners: Sequence[str] = (HOSTILE_AE, "MR2", "MR3"),
    destinations: str = "pacs=PACS@127.0.0.1:9",
    plain: bool = False,
    change: Callable[[pydicom.Dataset], None] | None = None,
    **settings: Any,
) -> PageNode:
    """Make the jobs, the accounts (named as their roles) and the site.

    Args:
        elements: of the headers; hostile by default.
        plain: heads with their scalp, for a real model.
        change: done to each header at last.
    """
    setting = Setting(folder, ensemble)
    given = HOSTILE if elements is None else elements
    first = _series(folder / "early", date(2024, 2, 1), 8.0, 1, matrix, slices, plain, given, change)
    second = _series(folder / "late", date(2025, 3, 1), 20.0, 1, matrix, slices, plain, given, change)
    third = _series(folder / "lost", date(2025, 3, 2), 5.0, 3, matrix, slices, plain, given, change)
    fourth = _series(folder / "sagittal", date(2025, 3, 3), 5.0, 4, matrix, slices, plain, given, change)
    jobs = {}
    for name, files in (("early", first), ("late", second)):
        setting.receive(files, scanners[0])
        jobs[name] = setting.enqueue(files)
        assert setting.worker.work_once()
    setting.receive(fourth, scanners[1])
    uid = str(pydicom.dcmread(fourth[0], stop_before_pixels=True).SeriesInstanceUID)
    reason = f"The slices are sagittal, expected axial ones. {SCRIPT if elements is None else ''}".strip()
    jobs["rejected"] = setting.inbox.reject_series(uid, "not_axial", reason).id
    setting.receive(third, scanners[2])
    jobs["failed"] = setting.enqueue(third)
    claimed = setting.jobs.claim("worker", 60.0)
    assert claimed is not None
    setting.jobs.fail(
        claimed.id, "worker", f"the model could not be loaded {SCRIPT if elements is None else ''}".strip()
    )
    _fetch_cohort(CohortTable(setting.database), SCRIPT if elements is None else "")
    queued = _series(folder / "queued", date(2025, 3, 4), 5.0, 5, 64, 6, plain, given, change)
    setting.receive(queued, scanners[1])
    jobs["queued"] = setting.enqueue(queued)
    accounts = AccountTable(setting.database)
    password_hash = hash_password(PASSWORD)
    for role in AccountRole:
        accounts.add(str(role), password_hash, role, "test")
    values = {"storage": folder, "database_url": sqlite_url(folder), "destinations": destinations, **settings}
    site = Site(
        settings=Settings(**values),
        sources=dict.fromkeys(Settings.model_fields, "default"),
        database=setting.database,
        health=lambda: [HealthLine("storage", "ok", "10.0 GB free")],
        test_destination=lambda destination: [f"{destination.name} answers C-ECHO."],
    )
    return PageNode(setting, site, jobs)


def close_page_node(node: PageNode) -> None:
    """End what it started."""
    node.site.stopping.set()
    with closing(node.setting.database):
        node.site.slices.close()


def _fetch_cohort(cohorts: CohortTable, words: str) -> None:
    """A cohort of which one study came, one failed, and one waits."""
    items = [NewItem(row, {"Name": "Zwetschge"}, f"1.2.826.9.{row}", "774411") for row in (2, 3, 4)]
    cohorts.add(f"stroke 2019 {words}".strip(), "pacs", CohortRules(20, 20, 6), items, "alice")
    for state, reason in ((ItemState.DONE, None), (ItemState.FAILED, f"tried 5 times: no answer {words}".strip())):
        item = cohorts.claim("retriever", 60.0, 21)
        assert item is not None
        cohorts.expects(item.id, "retriever", item.study_instance_uid or "", {"1.2.3": ["1.2.3.4", "1.2.3.5"]})
        cohorts.end(item.id, "retriever", state, reason)


def _series(
    folder: Path,
    day: date,
    wmh_ml: float,
    seed: int,
    matrix: int,
    slices: int,
    plain: bool,
    elements: dict[str, str],
    change: Callable[[pydicom.Dataset], None] | None,
) -> list[Path]:
    files = phantom_files(PhantomSpec(seed=seed, slices=slices, matrix=matrix, wmh_ml=wmh_ml), folder, scalp=plain)
    for file in files:
        dataset = pydicom.dcmread(file)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset.AcquisitionDateTime = f"{day:%Y%m%d}101500"
        dataset.StudyDate = dataset.SeriesDate = f"{day:%Y%m%d}"
        if change is not None:
            change(dataset)
        dataset.save_as(file, enforce_file_format=True)
    return files
