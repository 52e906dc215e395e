"""FHIR reports: a server that validates with fhir.resources, and answers that are no success."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.fhir_server import Answer, FhirStore, fhir_server, outcome
from support.processes import free_port
from support.report_messages import content_of, reported
from support.result_cases import ANALYSED_AT

from dicom_node.deliver.fhir import look_at_fhir, post_bundles
from dicom_node.deliver.send import SendOutcome
from dicom_node.deliver.stow import WebCall
from dicom_node.deliver.stow.answer_limits import MOST_BYTES, AnswerTooLong, LimitedBody
from dicom_node.node.destinations import FhirDestination
from dicom_node.node.errors import DeliveryError
from dicom_node.node.profiles import MessageKind
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.report.message import build_message_withdrawal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report, the one that replaces it, and what takes that back."""
    folder = tmp_path_factory.mktemp("reports")
    earlier = ReportReference("1.2.3", "1.2.3.4", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.3.4.5")
    first, later = (
        content_of(reported(folder / "source", predecessor=one)[1], MessageKind.FHIR) for one in (None, earlier)
    )
    back = build_message_withdrawal(MessageKind.FHIR, later, "wrong side", ANALYSED_AT)
    found = {}
    for name, content in (("first", first), ("later", later), ("back", back)):
        found[name] = folder / f"{name}.json"
        found[name].write_bytes(content)
    return found


def send(url: str, report: Path, **options: Any) -> SendOutcome:
    destination = FhirDestination(name="ehr", url=url, **options)
    (sent,) = post_bundles([report], destination, WebCall(destination, None), lambda _outcome: True)
    return sent


def test_create_replace_withdraw(reports: dict[str, Path]) -> None:
    """A validating server takes the report once however often it is sent; the newer one takes its place; withdrawn,
    nothing of it has a number."""
    store = FhirStore()
    with fhir_server(store) as url:
        assert send(url, reports["first"]).ok
        made = store.versions
        assert send(url, reports["first"]).ok
        assert store.versions == made == len(store.resources)
        assert {one["status"] for one in store.all("Observation")} == {"preliminary"}
        assert send(url, reports["later"]).ok
        assert len(store.resources) == made
        assert store.versions > made
        assert {one["status"] for one in (*store.all("Observation"), *store.all("DiagnosticReport"))} == {"preliminary"}
        assert send(url, reports["back"]).ok
    assert len(store.resources) == made
    assert {one["status"] for one in store.all("Observation")} == {"entered-in-error"}
    assert not any("valueQuantity" in one for one in store.all("Observation"))
    (report,) = store.all("DiagnosticReport")
    assert report["conclusion"] == "Withdrawn: wrong side"


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ((422, {}, outcome("DiagnosticReport.code: unknown", expression=["DiagnosticReport.code"])), 0xA900,
         "the report breaks its rules: error: DiagnosticReport.code: unknown at DiagnosticReport.code"),
        ((422, {}, outcome("", details={"text": "no patient 4711-0815"})), 0xA900, "no patient [hidden]"),
        ((400, {}, outcome("cannot parse")), 0xC000, "does not understand the transaction: error: cannot parse"),
        ((412, {}, b""), 0xA900, "it holds several of that identifier"),
        ((409, {}, outcome("version conflict")), 0xA900, "version conflict"),
        ((401, {}, outcome("expired token")), None, "check the secret of +none: error: expired token"),
        ((404, {}, b"<html>"), None, "no FHIR service at that address"),
        ((500, {}, outcome("out of memory", severity="fatal")), None, "fatal: out of memory"),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), None, "sends us elsewhere"),
        ((200, {}, b"<html>log in first"), None, "does not say that the report is stored"),
        ((200, {}, {"resourceType": "Bundle", "type": "transaction-response", "entry": []}), 0xA900,
         "did not store every part"),
    ],
)  # fmt: skip
def test_answers(reports: dict[str, Path], answer: Answer, status: int | None, words: str) -> None:
    """Each answer means what the table says, with the OperationOutcome in words and without the patient."""
    with fhir_server(FhirStore(lambda _body: answer)) as url:
        sent = send(url, reports["first"])
    assert (sent.status, sent.answered, sent.ok) == (status, True, False)
    assert words in sent.detail
    assert sent.answer == f"HTTP {answer[0]}"


@pytest.mark.parametrize(
    ("headers", "body", "words"),
    [
        ({}, b" " * (MOST_BYTES + 1), "more than"),
        # Without a time: it is in the test's name, which every process of a run must give alike.
        ({"Content-Encoding": "gzip"}, gzip.compress(b" " * 1000, mtime=0), "compressed"),
    ],
)
def test_an_answer_that_is_too_long(reports: dict[str, Path], headers: dict[str, str], body: bytes, words: str) -> None:
    """An answer that would fill the memory is not read to its end; the server may have the report."""
    store = FhirStore(lambda _body: (200, headers, body))
    with fhir_server(store) as url:
        sent = send(url, reports["first"])
    assert (sent.status, sent.ok, sent.lost) == (None, False, True)
    assert words in sent.detail
    assert store.headers[0]["Accept-Encoding"] == "identity"


def test_an_answer_that_does_not_end() -> None:
    """A server that sends a byte now and then keeps no sender for ever."""
    now = count(0.0, 100.0)
    body = LimitedBody(Trickle(), still=lambda: next(now))
    with pytest.raises(AnswerTooLong, match="did not end in 300 s"):
        list(body)


class Trickle(httpx2.SyncByteStream):
    """A body without end."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b" "


@pytest.mark.parametrize(
    "said",
    [
        b"[" * 100_000,
        {"resourceType": "Bundle", "type": "transaction-response", "entry": 5},
        {"resourceType": "OperationOutcome", "issue": 5},
    ],
)
def test_hostile_json_is_an_answer(reports: dict[str, Path], said: Any) -> None:
    """JSON of another shape is no success, and breaks nothing."""
    with fhir_server(FhirStore(lambda _body: (200, {}, said))) as url:
        sent = send(url, reports["first"])
    assert (sent.ok, sent.answered) == (False, True)


def test_a_busy_server_is_left_alone(reports: dict[str, Path]) -> None:
    """Retry-After says for how long; a part that failed is named."""
    with fhir_server(FhirStore(lambda _body: (503, {"Retry-After": "90"}, b""))) as url:
        assert send(url, reports["first"]).wait_seconds == 90
    one = {"response": {"status": "422", "outcome": outcome("unknown code")}}
    said = {"resourceType": "Bundle", "type": "batch-response", "entry": [one] * 8}
    with fhir_server(FhirStore(lambda _body: (200, {}, said))) as url:
        assert "error: unknown code" in send(url, reports["first"]).detail


def test_the_token_goes_to_the_server_alone(reports: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret is read from the environment at each use, and is in no word of ours; without it nothing is sent."""
    store = FhirStore(lambda _body: (401, {}, outcome("bad token s3cret")))
    with fhir_server(store) as url:
        assert "set WMH_NODE_SECRET_EHR to the token" in send(url, reports["first"], login="bearer").detail
        assert store.headers == []
        monkeypatch.setenv("WMH_NODE_SECRET_EHR", "s3cret")
        sent = send(url, reports["first"], login="bearer")
    assert store.headers[0]["Authorization"] == "Bearer s3cret"
    assert "check the secret of +bearer" in sent.detail
    assert "s3cret" not in sent.detail


def test_no_server(reports: dict[str, Path]) -> None:
    """Nothing was sent where no server listens."""
    sent = send(f"http://127.0.0.1:{free_port()}/fhir", reports["first"])
    assert (sent.status, sent.lost) == (None, False)
    assert "connection refused" in sent.detail


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"<html>", "no CapabilityStatement"),
        ({"fhirVersion": "5.0.0", "rest": []}, "it speaks FHIR 5.0.0, expected R4"),
        ({"fhirVersion": "4.0.1", "rest": [{"interaction": [{"code": "batch"}]}]}, "offers no transactions"),
    ],
)
def test_a_look_says_what_is_missing(said: Any, words: str) -> None:
    """A test of the destination reads what the server offers: another version and no transactions are trouble."""
    with fhir_server(FhirStore()) as url:
        destination = FhirDestination(name="ehr", url=url)
        look_at_fhir(destination, WebCall(destination, None))
    with fhir_server(FhirStore(lambda _body: (200, {}, said))) as url:
        destination = FhirDestination(name="ehr", url=url)
        with pytest.raises(DeliveryError, match=words):
            look_at_fhir(destination, WebCall(destination, None))
