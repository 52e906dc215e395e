"""Every page of a node with real jobs."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from markupsafe import escape
from PIL import Image
from support.page_node import ATTRIBUTE, HOSTILE_AE, SCRIPT, PageNode

from db.audit import audit_entries
from db.schema import jobs

pytestmark = pytest.mark.slow

Browse = Callable[..., Any]


def test_start(node: PageNode, browser: Browse) -> None:
    """The start page says the state in one sentence, and offers the button that mends a failed job to who may."""
    text = browser("viewer").get("/")
    assert (
        "The destination takes results; 1 series is waiting for the worker; 2 series are being sent; 1 thing needs you."
        in text
    )
    assert f"Job {node.jobs['failed']} failed" in text
    assert "Try again" not in text
    assert f'action="/jobs/{node.jobs["failed"]}/retry"' in browser("operator").get("/")


def test_hostile_headers_stay_text(node: PageNode, browser: Browse) -> None:
    """No text of a DICOM object, an AE title or a reason becomes an element of any page."""
    person = browser("admin")
    token = person.token()
    pages = [
        "/",
        "/jobs",
        "/series",
        "/review",
        "/cohorts",
        "/cohorts/1",
        "/models",
        "/destinations",
        "/settings",
        "/audit",
    ]
    pages += [f"/jobs/{job}" for job in node.jobs.values()] + [f"/jobs/{node.jobs['late']}/slices"]
    texts = [person.get(path) for path in pages]
    texts.append(person.client.post(f"/jobs/{node.jobs['late']}/patient", data={"token": token}).text)
    for text in texts:
        assert SCRIPT not in text
        assert ATTRIBUTE not in text
        assert HOSTILE_AE not in text
    together = "".join(texts)
    assert "&lt;script&gt;" in together
    assert "&lt;i&gt;AE" in together


def test_patients_only_on_request_and_audited(node: PageNode, browser: Browse) -> None:
    """No page shows who a patient is; an operator may look, and each look is in the audit."""
    operator = browser("operator")
    job = node.jobs["late"]
    for path in ("/", "/jobs", f"/jobs/{job}", "/review", "/cohorts", "/cohorts/1", f"/jobs/{job}/slices"):
        assert "Zwetschge" not in operator.get(path)
        assert "774411" not in operator.get(path)
    assert "Zwetschge" in operator.post(f"/jobs/{job}/patient", status=200)
    looked = [entry for entry in audit_entries(node.setting.database) if entry.action == "look at patient"]
    assert (looked[0].who, looked[0].job_id) == ("operator (page)", job)


def test_jobs_are_filtered_and_paged(node: PageNode, browser: Browse) -> None:
    """State, reason, scanner, day and UID narrow the list; a value that cannot be is no filter."""
    person = browser("viewer")

    def listed(query: str) -> set[int]:
        text = person.get(f"/jobs?{query}")
        return {job for job in node.jobs.values() if f'<a href="/jobs/{job}">' in text}

    every = set(node.jobs.values())
    assert listed("") == every
    assert listed("state=rejected") == {node.jobs["rejected"]} == listed("code=not_axial")
    assert listed("scanner=MR3") == {node.jobs["failed"]}
    assert listed("since=2001-01-01&until=2002-01-01") == set()
    series = node.setting.jobs.get(node.jobs["late"]).series_instance_uid
    assert listed(f"uid={series}") == {node.jobs["late"]}
    assert listed("state=lost&since=yesterday&before=x&after=%00") == every
    assert listed(f"before={node.jobs['rejected']}") == {node.jobs["early"], node.jobs["late"]}
    assert listed("before=99999999999") == every


def test_job_in_detail(node: PageNode, browser: Browse) -> None:
    """A job shows its timeline, numbers, deliveries, objects and earlier scans; a rejected one what to do."""
    person = browser("viewer")
    text = person.get(f"/jobs/{node.jobs['late']}")
    noted = "The model marked tissue outside the brain; it was left out."
    for words in ("Timeline", "WMH volume", noted, "sr.dcm", "pending", "WMH volume of 2 scans over time"):
        assert words in text, words
    assert "Send an axial FLAIR series of the examination" in person.get(f"/jobs/{node.jobs['rejected']}")
    assert "The model could not be loaded" not in person.get("/nowhere", 404)
    assert "There is no job 999" in person.get("/jobs/999", 404)
    person.get("/jobs/%3Cscript%3E", 404)


def test_numbers_that_are_not_reliable_are_not_shown(node: PageNode, browser: Browse) -> None:
    """Lists, job and course say "not reliable" in place of the volume, and the reason stands above the numbers."""
    person, table = browser("viewer"), node.setting.jobs
    early, late = (table.get(node.jobs[name]) for name in ("early", "late"))
    volume = f"{early.measurements['wmh_volume_ml']:.1f}"
    assert volume in person.get(f"/jobs/{late.id}")
    reason = {"code": "not_brain", "reliability": "not_reliable", "sentence": "Most of the mask lies in the jaw."}
    _store(node, early.id, {**early.measurements, "reliability": "not_reliable", "reasons": [reason]})
    try:
        text = person.get(f"/jobs/{early.id}")
        assert text.index("Most of the mask lies in the jaw.") < text.index("not reliable: no volume is given")
        for path in (f"/jobs/{early.id}", f"/jobs/{late.id}", "/jobs", "/review"):
            shown = person.get(path)
            assert f">{volume}<" not in shown
            assert f"{volume} mL" not in shown
            assert "not reliable" in shown, path
    finally:
        _store(node, early.id, early.measurements)


def _store(node: PageNode, job: int, measured: dict[str, Any]) -> None:
    with node.setting.database.write() as connection:
        connection.execute(jobs.update().where(jobs.c.id == job).values(measurements=measured))


def test_slices_with_and_without_the_mask(node: PageNode, browser: Browse) -> None:
    """Slices are our own PNGs; the mask colours some voxels and changes nothing else; a look is audited."""
    person = browser("viewer")
    job = node.jobs["late"]
    page = person.get(f"/jobs/{job}/slices")
    assert 'data-count="12"' in page

    def picture(path: str) -> np.ndarray:
        answer = person.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), path
        return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"), int)

    found = node.site.slices.pictures(node.setting.jobs.get(job))
    number = found.fullest + 1
    plain, marked = (picture(f"/jobs/{job}/slices/{number}.png?mask={mask}") for mask in "01")
    different = np.abs(plain - marked).max(axis=2) > 12
    assert 0.001 < different.mean() < 0.3
    assert np.ptp(plain[..., 0] - plain[..., 2]) == 0  # grey
    assert picture(f"/jobs/{job}/pages/1.png").shape[0] > 500
    for path in (f"/jobs/{job}/slices/13.png", f"/jobs/{job}/slices/0.png", f"/jobs/{job}/pages/99.png"):
        person.get(path, 404)
    person.get(f"/jobs/{node.jobs['rejected']}/slices", 404)
    assert audit_entries(node.setting.database)[0].action == "look at images"


def test_actions_go_by_the_transitions(node: PageNode, browser: Browse) -> None:
    """Retry, prioritise and cancel change the job as the command line does, with the person in the audit; once only."""
    operator = browser("operator")
    failed = node.jobs["failed"]
    assert f'action="/jobs/{failed}/acknowledge"' in operator.get("/")
    operator.post(f"/jobs/{failed}/acknowledge")
    assert f"Job {failed} failed" not in operator.get("/")
    operator.post(f"/jobs/{failed}/retry")
    assert str(node.setting.jobs.get(failed).state) == "queued"
    assert f'action="/jobs/{failed}/prioritise"' in operator.get(f"/jobs/{failed}")
    operator.post(f"/jobs/{failed}/prioritise", status=422, priority="high", reason=" ")
    operator.post(f"/jobs/{failed}/prioritise", status=422, priority="at once", reason="theatre")
    assert str(node.setting.jobs.get(failed).priority) == "medium"
    operator.post(f"/jobs/{failed}/prioritise", priority="high", reason="theatre")
    assert str(node.setting.jobs.get(failed).priority) == "high"
    assert audit_entries(node.setting.database)[0].detail == "from medium to high: theatre"
    operator.post(f"/jobs/{failed}/cancel", reason="sent twice <b>")
    assert str(node.setting.jobs.get(failed).state) == "cancelled"
    assert "sent twice &lt;b&gt;" in operator.get(f"/jobs/{failed}")
    assert "expected" in operator.post(f"/jobs/{failed}/cancel", status=409)
    assert "expected queued" in operator.post(f"/jobs/{failed}/prioritise", status=409, priority="low", reason="x")
    assert f'action="/jobs/{failed}/prioritise"' not in operator.get(f"/jobs/{failed}")
    entry = audit_entries(node.setting.database)[0]
    assert (entry.action, entry.job_id) == ("cancel", failed)
    assert "operator (page)" in entry.who


def test_results_are_withdrawn_and_studies_held(node: PageNode, browser: Browse) -> None:
    """Withdrawing and holding need a reason and do what the commands do: a note goes out, the study is kept."""
    operator, job = browser("operator"), node.jobs["early"]
    page = f"/jobs/{job}"
    for action in ("withdraw", "hold"):
        operator.post(f"{page}/{action}", status=422, reason=" ")
    operator.post(f"{page}/hold", reason="a study <b>")
    assert "held by operator (page)" in operator.get(page)
    assert "a study &lt;b&gt;" in operator.get(page)
    (held,) = node.site.retention.holds()
    assert held.study_instance_uid == node.setting.jobs.get(job).study_instance_uid
    operator.post(f"{page}/release")
    operator.post(f"{page}/release", status=404)
    assert node.site.retention.holds() == []
    operator.post(f"{page}/withdraw", reason="wrong patient <b>", patient_safety="1")
    assert node.setting.jobs.get(job).withdrawn_reason == "wrong patient <b>"
    text = operator.get(page)
    assert "wrong patient &lt;b&gt;" in text
    assert f"{page}/withdraw" not in text
    operator.post(f"/jobs/{node.jobs['rejected']}/withdraw", status=409, reason="x")
    actions = [(entry.action, entry.who) for entry in audit_entries(node.setting.database)[:3]]
    assert actions == [(action, "operator (page)") for action in ("withdraw results", "release", "hold")]


def test_cohorts(node: PageNode, browser: Browse) -> None:
    """A cohort shows its counts and each row with its reason, by state and page by page; an operator pauses and resumes
    it, with the account in the audit, and a viewer sees no button."""
    operator, viewer = browser("operator"), browser("viewer")
    assert 'href="/cohorts/1"' in viewer.get("/cohorts")
    shown = viewer.get("/cohorts/1")
    for words in ("<dt>waiting</dt><dd>1</dd>", "<dt>failed</dt><dd>1</dd>", "tried 5 times", "20-6 o'clock"):
        assert words in shown
    assert 'action="/cohorts/1/pause"' not in shown
    assert f"cohort export {escape(shlex.quote(node.site.cohorts.list()[0].name))} --out" in shown
    failed = viewer.get("/cohorts/1?state=failed")
    assert "1.2.826.9.3" in failed and "1.2.826.9.4" not in failed
    behind = viewer.get("/cohorts/1?after=3")
    assert "1.2.826.9.4" in behind and "1.2.826.9.3" not in behind
    assert 'action="/cohorts/1/pause"' in operator.get("/cohorts/1")
    operator.post("/cohorts/1/pause")
    paused = operator.get("/cohorts/1")
    assert "Paused: no further study is begun." in paused and 'action="/cohorts/1/resume"' in paused
    assert not node.site.cohorts.something_waits()
    operator.post("/cohorts/1/resume")
    assert node.site.cohorts.something_waits()
    done = [(entry.who, entry.action) for entry in audit_entries(node.setting.database)][:2]
    assert done == [("operator (page)", "resume cohort"), ("operator (page)", "pause cohort")]
    viewer.get("/cohorts/999", status=404)
    viewer.get("/cohorts/x", status=404)
    operator.post("/cohorts/999/pause", status=404)


def test_settings_and_destinations(node: PageNode, browser: Browse) -> None:
    """Settings show names, values and sources; a destination answers a test; nothing to roll back changes nothing."""
    admin = browser("admin")
    settings = admin.get("/settings")
    assert "WMH_NODE_WEB_PORT" in settings and '<td class="wrap">pacs=PACS@127.0.0.1:9</td>' in settings
    assert "pacs answers C-ECHO." in admin.post("/destinations/pacs/test", status=200)
    admin.post("/destinations/nowhere/test", status=404)
    assert "Nothing was changed" in admin.post("/models/rollback", status=409, reason="x")


def test_theme_is_remembered(browser: Browse) -> None:
    """Light or dark is chosen without JavaScript, also before the login; another value is none."""
    client = browser().client
    for theme, shown in (("dark", "dark"), ("<script>", "auto")):
        assert client.post("/theme", data={"theme": theme}).headers["location"] == "/"
        assert f'data-theme="{shown}"' in client.get("/login").text
