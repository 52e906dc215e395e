"""What strangers put into DICOM strings, addresses and forms: text stays text, and each role keeps to its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataelem import DataElement
from support.models import tiny_bundle
from support.page_node import PASSWORD, PageNode, close_page_node, make_page_node
from support.worker_setting import READER

from db.feedback import FeedbackTable
from db.records import AccountRole, AssociationEnd, FeedbackDecision, FeedbackFacts, FeedbackState, ReceivedInstance
from dicom_node.models.adding import add_model
from dicom_node.models.choice import shipped_digest, store_of
from dicom_node.web.app import ENTRIES
from dicom_node.web.people.secrets import digest_of, new_secret
from segmentation.bundle import load_bundle
from segmentation.ensemble import open_ensemble

pytestmark = pytest.mark.slow

Browse = Callable[..., Any]

SCRIPT = "<script>window.owned=1</script>"
ATTRIBUTE = '"onmouseover="window.owned=1'
VALUES = (SCRIPT, ATTRIBUTE, f"'{ATTRIBUTE}", "</textarea>{{7*7}}<svg/onload=owned=1>")
# Every VR of text that a scanner or a viewer fills (PS3.5 6.2).
_TEXT_VRS = frozenset({"LO", "SH", "PN", "ST", "LT", "UT", "UC"})
# What the node decides by: with other words these series would not be analysed at all.
_DECIDING = frozenset({"ImageType", "ScanningSequence", "SequenceName", "SpecificCharacterSet"})
# Of the modules of an MR image that hold text (PS3.3 A.4.3), whether the phantom has them or not.
_ALSO = (
    "AccessionNumber", "StudyID", "ReferringPhysicianName", "StudyDescription", "PatientComments", "OtherPatientIDs",
    "InstitutionName", "InstitutionAddress", "StationName", "InstitutionalDepartmentName", "PerformingPhysicianName",
    "OperatorsName", "NameOfPhysiciansReadingStudy", "AdmittingDiagnosesDescription", "Manufacturer",
    "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "ProtocolName", "SeriesDescription",
    "ImageComments", "RequestedProcedureDescription", "PerformedProcedureStepDescription", "ContrastBolusAgent",
    "ReceiveCoilName", "AdditionalPatientHistory", "PatientName", "PatientID",
)  # fmt: skip
_FLAIR = ("SeriesDescription", "ProtocolName")


class _Handlers(HTMLParser):
    """Finds what a browser would run: script elements without a source of ours, and attributes that begin with on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One element as a browser would read it."""
        given = dict(attrs)
        if tag == "script" and not str(given.get("src", "")).startswith("/static/"):
            self.found.append(f"<{tag}>")
        self.found += [f"<{tag} {name}>" for name in given if name.startswith("on") or name == "style"]
        self.found += [f"<{tag} {name}>" for name in ("href", "src", "action") if "script:" in str(given.get(name))]


def _run_by_a_browser(text: str) -> list[str]:
    parser = _Handlers()
    parser.feed(text)
    return parser.found


def _fill(header: pydicom.Dataset) -> None:
    """Every element of text holds one of the values, within its VR's length; another one in the next series' header."""
    for keyword in _ALSO:
        setattr(header, keyword, "x")
    texts = [one for one in header.iterall() if one.VR in _TEXT_VRS and one.keyword not in _DECIDING]
    first = int(str(header.SeriesDate)[-2:]) + int(str(header.SeriesDate)[:4])
    for place, element in enumerate(texts, first):
        prefix = "FLAIR " if element.keyword in _FLAIR else ""
        element.value = _fitting(element, prefix + VALUES[place % len(VALUES)])


def _fitting(element: DataElement, value: str) -> str:
    return value[: {"LO": 64, "SH": 16, "PN": 64}.get(element.VR, 1024)]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageNode]:
    """A node with jobs whose headers are hostile all over, with corrections, models and a hold as well."""
    ensemble = open_ensemble(load_bundle(tiny_bundle(tmp_path_factory.mktemp("model"), sure=True)), "openvino")
    node = make_page_node(tmp_path_factory.mktemp("node"), ensemble, elements={}, change=_fill)
    for number, value in enumerate(VALUES):
        _say_everywhere(node, value, number, tmp_path_factory.mktemp("bundle"))
    yield node
    close_page_node(node)
    READER.close()


def _say_everywhere(node: PageNode, value: str, number: int, folder: Path) -> None:
    """Whatever else comes from outside and is shown: a correction's words, reasons of people, a model's card."""
    job = node.setting.jobs.get(node.jobs["late"])
    held = node.setting.jobs.get(list(node.jobs.values())[number])
    table, inbox = FeedbackTable(node.setting.database), node.setting.inbox
    association = inbox.open_association(value[:16], "WMHNODE", "10.0.0.9", "receiver")
    series, uid = f"1.2.9.{number + 1}", "1.2.840.10008.5.1.4.1.1.66.4"
    instance = ReceivedInstance(
        f"{series}.1", uid, series, "1.9", "1.2.840.10008.1.2.1", "inbox/s", "a" * 64, 9, association
    )
    inbox.record([instance])
    inbox.end_association(association, AssociationEnd.RELEASED)
    (received,) = table.receive(series, 1, (uid,), closes=True)
    facts = FeedbackFacts(value, value, value, value, {"series": [value], "instances": [], "study": ""})
    table.decide(
        received,
        FeedbackDecision(
            FeedbackState.REFUSED, facts, job.series_instance_uid, job.id, code=value[:64], reason=value, notes=(value,)
        ),
    )
    node.site.retention.hold(str(held.study_instance_uid), value, value)
    bundle = tiny_bundle(folder / "tiny", kind="random", seed=number)
    added = add_model(bundle, None, store_of(node.site.settings), node.site.models, value)
    node.site.models.note_checks(
        added.digest, value, shipped_digest(),
        {"passed": False, "margin": 0.02, "cases": [{"case": value, "live_dsc": 0.1, "dsc": 0.2}],
         "checks": [{"name": value, "state": "failed", "expected": value, "came": value}]},
    )  # fmt: skip


def test_no_text_from_outside_runs(hostile: PageNode, browser_of: Browse) -> None:
    """On every page, for each role, no element or attribute comes from a DICOM string, an AE title, a model, a reason,
    or what a person typed; the text itself is shown as text."""
    job = hostile.jobs["late"]
    operator = browser_of(hostile, "operator")
    for value in VALUES:
        operator.post(f"/jobs/{job}/reject", reason=value)
        operator.post(f"/jobs/{hostile.jobs['failed']}/cancel", status=409, reason=value)
    operator.post(f"/jobs/{hostile.jobs['queued']}/cancel", reason="".join(VALUES))
    addresses = [
        "/", "/jobs", "/series", "/review", "/cohorts", "/cohorts/1", "/models", "/destinations", f"/jobs/{job}/slices",
        *(f"/models/{model.digest}" for model in hostile.site.models.list()),
        *(f"/jobs/{number}" for number in hostile.jobs.values()),
    ]  # fmt: skip
    shown = ""
    for name in ("viewer", "operator", "admin"):
        person = browser_of(hostile, name)
        also = ["/settings", "/audit"] if name == "admin" else []
        for address in [*addresses, *also]:
            page = person.get(address)
            assert _run_by_a_browser(page) == [], (name, address)
            shown += unescape(page)
    for number in (hostile.jobs["early"], job):
        patient = operator.client.post(f"/jobs/{number}/patient", data={"token": operator.token()}).text
        assert _run_by_a_browser(patient) == []
        assert "owned=1" in patient  # it is there, as text
    assert [value for value in VALUES if value not in shown] == []


@pytest.mark.parametrize(
    "field", ["state", "code", "scanner", "since", "until", "uid", "before", "after", "slice", "mask"]
)
def test_what_an_address_holds_stays_text(node: PageNode, browser: Browse, field: str) -> None:
    """Every field of a query comes back as text or not at all, on every page that reads it (reflected XSS)."""
    person = browser("admin")
    for value in (SCRIPT, ATTRIBUTE, f"'{ATTRIBUTE}", "javascript:owned=1", "\u2028\x00"):
        for path in ("/jobs", "/review", "/audit", f"/jobs/{node.jobs['late']}/slices", "/first", "/nowhere"):
            answer = person.client.get(path, params={field: value, "key": value})
            assert answer.status_code in (200, 404), path
            assert _run_by_a_browser(answer.text) == [], (path, value)
    for path in (f"/jobs/{SCRIPT}", f"/models/{ATTRIBUTE}", f"/{SCRIPT}"):
        assert _run_by_a_browser(person.client.get(path).text) == []


def test_the_parser_of_these_tests_finds_what_runs() -> None:
    """The finder sees a script, a handler and a script's address where they are."""
    for text in (SCRIPT, '<a title=""onmouseover="x">', '<a href="javascript:x">', "<svg/onload=x>", '<p style="x">'):
        assert _run_by_a_browser(text), text
    assert _run_by_a_browser('<script src="/static/page.js" defer></script><a href="/jobs">x</a>') == []


def test_a_login_leads_to_our_own_pages_only(node: PageNode, browser: Browse) -> None:
    """Whatever the form or the address names, a redirect goes to a fixed path of this page (open redirect)."""
    wishes = ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:owned=1")
    for wish in wishes:
        fields = dict.fromkeys(("next", "url", "to", "return", "redirect", "from"), wish)
        client = browser().client
        answer = client.post("/login", params=fields, data={"name": "operator", "password": PASSWORD, **fields})
        assert answer.headers["location"] == "/"
        operator = browser("operator")
        sent = {"token": operator.token(), **fields}
        job = node.jobs["late"]
        for path, target in (
            ("/theme", "/"), (f"/jobs/{job}/accept", f"/jobs/{job}"), ("/logout", "/login"),
        ):  # fmt: skip
            answer = operator.client.post(path, params=fields, data=sent, headers={"referer": wish})
            assert (answer.status_code, answer.headers["location"]) == (303, target)


def test_each_role_reaches_its_own_objects_only(node: PageNode, browser: Browse) -> None:
    """Every address of the table, for each job, model and destination: a lower role gets 403 whether the object exists
    or not, so that nothing is learned from the difference (IDOR); and no action of it is done."""
    before = [node.setting.jobs.get(number) for number in node.jobs.values()]
    values = {
        "{job}": [str(number) for number in node.jobs.values()] + ["999", "0", "x"],
        "{name}": ["pacs", "nowhere"], "{digest}": ["0" * 64, "x"], "{slice}": ["1", "999"], "{page}": ["1", "999"],
    }  # fmt: skip
    for role in (AccountRole.VIEWER, AccountRole.OPERATOR):
        person = browser(str(role))
        token = person.token()
        for entry in ENTRIES:
            if entry.role is None or role.may(entry.role):
                continue
            for path in _filled([entry.path], values):
                answer = person.client.request(entry.method, path, data={"token": token, "reason": "x"})
                assert answer.status_code == 403, (role, path)
    assert [node.setting.jobs.get(number) for number in node.jobs.values()] == before


def test_pictures_need_a_session_and_a_token_opens_the_api_only(node: PageNode, browser: Browse) -> None:
    """Images are for people who are logged in: neither an address alone nor a script's token gives one."""
    secret = new_secret()
    node.site.accounts.add_token("admin", "pictures", digest_of(secret), "test")
    job = node.jobs["late"]
    for path in (f"/jobs/{job}/slices/1.png", f"/jobs/{job}/pages/1.png", f"/jobs/{job}/slices", "/events"):
        for headers in ({}, {"Authorization": f"Bearer {secret}"}, {"Cookie": f"wmh-node={secret}"}):
            answer = browser().client.get(path, headers=headers)
            assert answer.status_code in (303, 401), path
            assert answer.headers.get("content-type") != "image/png"


def _filled(paths: list[str], values: dict[str, list[str]]) -> list[str]:
    for name, found in values.items():
        paths = [path.replace(name, value) for path in paths for value in (found if name in path else [""])]
    return paths
