"""Review on a page with real jobs: the worklist, the verdicts, and a correction that is uploaded."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from sqlalchemy import update
from support.page_node import SCRIPT, PageNode

from db.audit import audit_entries
from db.errors import IllegalTransition
from db.feedback import FeedbackTable
from db.records import Feedback, ReviewState
from db.schema import jobs
from dicom_node.feedback.match import FeedbackMatcher
from dicom_node.feedback.read import FeedbackReader
from dicom_node.node.dicom_uids import SEGMENTATION_CLASSES
from dicom_node.node.outbox import Outbox
from dicom_node.web.people.secrets import digest_of, new_secret

pytestmark = pytest.mark.slow

Browse = Callable[..., Any]


@pytest.fixture
def job(node: PageNode) -> Iterator[int]:
    """A job whose result waits for a review, as when the model recommended it."""
    number = node.jobs["late"]
    with node.setting.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.id == number).values(review=ReviewState.OPEN.value))
    yield number
    with node.setting.database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.id == number).values(review=None))


def _correction(node: PageNode, job: int) -> bytes:
    """The node's own SEG with other pixels and new UIDs, as a file."""
    folder = Outbox(node.setting.storage / "outbox").of_job(job)
    seg = pydicom.dcmread(folder / "seg.dcm")
    seg.SOPInstanceUID = seg.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    seg.SeriesInstanceUID = generate_uid()
    packed = np.frombuffer(seg.PixelData, np.uint8).copy()
    packed[len(packed) // 2] ^= 0xFF
    seg.PixelData = packed.tobytes()
    stream = io.BytesIO()
    seg.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _matched(node: PageNode) -> Feedback:
    """What the worker does with segmentations that are in the inbox."""
    table = FeedbackTable(node.setting.database)
    for activity in node.setting.inbox.open_series():
        table.receive(activity.series_instance_uid, activity.instance_count, SEGMENTATION_CLASSES, closes=True)
    reader = FeedbackReader()
    storage = node.setting.storage
    matcher = FeedbackMatcher(table, node.setting.inbox, node.setting.jobs, storage, Outbox(storage / "outbox"), reader)
    try:
        matcher.step()
    finally:
        matcher.close()
    return table.list(everything=True)[0]


def test_the_worklist_leads_to_the_slices(node: PageNode, browser: Browse, job: int) -> None:
    """A viewer sees what waits; an operator has the buttons, with the slices; a verdict takes it off the list."""
    viewer, operator = browser("viewer"), browser("operator")
    assert f'href="/jobs/{job}/slices">Review job {job}' in viewer.get("/review")
    assert re.search(r'<a href="/review">[1-9]', viewer.get("/"))
    assert f"/jobs/{job}/accept" not in viewer.get(f"/jobs/{job}/slices")
    assert f"/jobs/{job}/accept" in operator.get(f"/jobs/{job}/slices")
    operator.post(f"/jobs/{job}/reject", status=422, reason=" ")
    operator.post(f"/jobs/{job}/reject", reason=f"septum {SCRIPT}", **{"from": "review"})
    text = operator.get("/review")
    assert f"Review job {job}" not in text
    assert SCRIPT not in text
    assert "septum &lt;script&gt;" in text
    assert "withdraw it there" in operator.get(f"/jobs/{job}")
    operator.post(f"/jobs/{job}/accept")
    entries = audit_entries(node.setting.database)
    assert [(entry.action, entry.who, entry.job_id) for entry in entries[:2]] == [
        ("accept result", "operator (page)", job),
        ("reject result", "operator (page)", job),
    ]
    assert "100 %" in operator.get("/review")  # accepted as it is, by the last verdict
    operator.post(f"/jobs/{node.jobs['rejected']}/accept", status=409)


def test_two_readers_at_once(node: PageNode, browser: Browse, job: int) -> None:
    """Each form names the newest review that it was made with: a verdict of meanwhile is not replaced unseen."""
    first, second = browser("operator"), browser("admin")
    for path in (f"/jobs/{job}", f"/jobs/{job}/slices"):
        seen = re.search(r'name="seen" value="([0-9]+)"', second.get(path)).group(1)
        first.post(f"/jobs/{job}/reject", reason="septum", seen=seen)
        assert "operator (page) has rejected" in second.post(f"/jobs/{job}/accept", status=409, seen=seen)
        assert node.setting.jobs.get(job).review is ReviewState.REJECTED


def test_an_uploaded_correction_is_matched_as_a_sent_one(node: PageNode, browser: Browse, job: int) -> None:
    """A SEG from a form is in the inbox with its row, fits the result, and counts as this reader's correction."""
    operator = browser("operator")
    file = _correction(node, job)
    answer = operator.client.post(
        f"/jobs/{job}/correct", data={"token": operator.token()}, files={"file": ("patient name.dcm", file)}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job}")
    assert "sent a correction" in operator.get(f"/jobs/{job}")
    assert node.setting.jobs.get(job).review is ReviewState.OPEN
    found = _matched(node)
    assert (str(found.state), found.job_id, found.calling_ae_title) == ("accepted", job, "PAGE")
    assert found.comparison["dsc"] < 1
    assert node.setting.jobs.get(job).review is ReviewState.CORRECTED
    last = node.site.reviews.of_job(job)[-1]
    assert (last.who, last.feedback_id) == ("operator (page)", found.id)
    assert not [path for path in node.setting.storage.rglob("*patient*") if path.suffix == ".dcm"]
    reviews = len(node.site.reviews.of_job(job))
    again = operator.client.post(f"/jobs/{job}/correct", data={"token": operator.token()}, files={"file": ("x", file)})
    assert again.status_code == 409 and "already here" in again.text
    assert len(node.site.reviews.of_job(job)) == reviews


def test_who_uploads_is_known_before_the_object_is_there(
    node: PageNode, browser: Browse, job: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matching may begin, or the process be killed, at the moment the object is stored: its reader is written down by
    then. Where that fails, as for a result that was withdrawn meanwhile, nothing is stored."""
    operator, file, desk = browser("operator"), _correction(node, job), node.site.uploads
    uid = str(pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True).SOPInstanceUID)
    opened = node.setting.inbox.open_association

    def look(*arguments: Any) -> int:
        last = node.site.reviews.of_job(job)[-1]
        assert (last.who, str(last.verdict), last.sop_instance_uid) == ("operator (page)", "sent", uid)
        return opened(*arguments)

    monkeypatch.setattr(node.site.inbox, "open_association", look)
    sent = {"data": {"token": operator.token()}, "files": {"file": ("x", file)}}
    assert operator.client.post(f"/jobs/{job}/correct", **sent).status_code == 303

    def refuse(_uid: str, _sha256: str) -> None:
        raise IllegalTransition("withdrawn")

    before, other = sorted(node.setting.storage.rglob("*.dcm")), _correction(node, job)
    with pytest.raises(IllegalTransition):
        desk.store(io.BytesIO(other), len(other), refuse)
    assert sorted(node.setting.storage.rglob("*.dcm")) == before
    assert not list((node.setting.storage / "inbox" / "tmp").glob("*.part"))


@pytest.mark.parametrize("kind", ["nothing", "text", "image", "cut off", "no form"])
def test_what_is_no_segmentation_is_not_stored(node: PageNode, browser: Browse, job: int, kind: str) -> None:
    """Another file, a damaged one or none is refused in words, and leaves neither a row nor a file."""
    operator = browser("operator")
    seg = _correction(node, job)
    flair = node.setting.inbox.instances_of_job(node.setting.jobs.get(job))[0]
    files = {
        "text": b"hello", "image": (node.setting.storage / flair.path).read_bytes(), "cut off": seg[: len(seg) // 2],
    }  # fmt: skip
    before = sorted(node.setting.storage.rglob("*.dcm"))
    sent = {"file": ("x.dcm", files[kind])} if kind in files else {}
    answer = operator.client.post(f"/jobs/{job}/correct", data={"token": operator.token()}, files=sent or None)
    assert answer.status_code == (400 if kind in ("nothing", "no form") else 422), answer.text
    assert "Nothing was stored" in answer.text or "Expected the form" in answer.text
    assert sorted(node.setting.storage.rglob("*.dcm")) == before
    assert not list((node.setting.storage / "inbox" / "tmp").glob("*.part"))


def test_an_upload_needs_role_and_token(node: PageNode, browser: Browse, job: int) -> None:
    """A viewer and a form without the token get 403, also with a file; a file that is too large gets 413."""
    file = {"file": ("x.dcm", b"x" * 1000)}
    assert browser("viewer").client.post(f"/jobs/{job}/correct", files=file).status_code == 403
    operator = browser("operator")
    assert operator.client.post(f"/jobs/{job}/correct", files=file).status_code == 403
    huge = {"file": ("x.dcm", b"x" * (65 * 1024 * 1024))}
    token = {"token": operator.token()}
    assert operator.client.post(f"/jobs/{job}/correct", data=token, files=huge).status_code == 413


def test_uploads_at_the_same_time(node: PageNode, browser: Browse, job: int) -> None:
    """Two readers who upload at once are both served."""
    readers = [browser("operator"), browser("admin")]
    sent = [(reader, {"token": reader.token()}, _correction(node, job)) for reader in readers]
    statuses: list[int] = []

    def upload(reader: Any, data: dict[str, str], file: bytes) -> None:
        answer = reader.client.post(f"/jobs/{job}/correct", data=data, files={"file": ("x", file)})
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=upload, args=arguments) for arguments in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert statuses == [303, 303]


def test_verdicts_by_token(node: PageNode, browser: Browse, job: int) -> None:
    """A script with an operator's token may decide; a viewer's may not, and what is no verdict changes nothing."""
    secrets = {}
    for name in ("viewer", "operator"):
        secrets[name] = new_secret()
        node.site.accounts.add_token(name, f"reviewing {name}", digest_of(secrets[name]), "test")
    client = browser().client

    def decide(name: str, number: int | str = job, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {secrets[name]}"}
        return client.post(f"/api/v1/jobs/{number}/review", json=body, headers=headers)

    assert decide("viewer", verdict="accepted").status_code == 403
    for wrong in ({}, {"verdict": "sent"}, {"verdict": "rejected"}, {"verdict": "accepted", "reason": 3}, {"x": 1}):
        assert decide("operator", **wrong).status_code == 400, wrong
    assert decide("operator", 999, verdict="accepted").status_code == 404
    assert decide("operator", node.jobs["rejected"], verdict="accepted").status_code == 409
    assert node.setting.jobs.get(job).review is ReviewState.OPEN
    made = decide("operator", verdict="rejected", reason="septum").json()
    assert (made["who"], made["verdict"]) == ("operator (token)", "rejected")
    assert node.setting.jobs.get(job).review is ReviewState.REJECTED
