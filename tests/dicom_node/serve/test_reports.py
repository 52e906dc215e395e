"""Reports to other systems on their way: queued, retried, refused, replaced and withdrawn as objects are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import hl7
import pytest
from support.databases import sqlite_url, with_schema
from support.fhir_server import FhirStore, fhir_server
from support.mllp import mllp_server
from support.processes import free_port
from support.proving import Proving, proving
from support.report_messages import reported
from support.result_cases import ANALYSED_AT

from db.deliveries import DeliveryTable
from db.engine.database import utc_now
from db.errors import IllegalTransition
from db.jobs import JobTable
from db.records import NewDelivery
from db.withdrawals import WithdrawalTable
from dicom_node.node.destinations import FhirDestination, MllpDestination
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.result_set import write_result_set
from dicom_node.results.withdrawing import holders_of_wrong, withdraw_results

_MEASURED = {"model": {"name": "m", "version": "1", "digest": "ab" * 32}}


@contextmanager
def node_with(storage: Path, url: str, ris_port: int, fhir_url: str, clock: Any = None) -> Iterator[Proving]:
    destinations = {
        "ris": MllpDestination(name="ris", host="127.0.0.1", port=ris_port, message="oru", tls=False),
        "ehr": FhirDestination(name="ehr", url=fhir_url),
    }
    with proving(storage, url, destinations, clock) as node:
        yield node


def result_of(node: Proving, number: int, predecessor: ReportReference | None = None, *, digest: str = "") -> int:
    """A job of one series whose result set lies in the outbox, with rows for both systems; returns its number."""
    jobs = JobTable(node.database)
    job = jobs.enqueue("1.2.3", (digest or f"{number:x}") * 64, 1)
    assert jobs.claim("worker", 60) is not None
    folder = node.storage / "outbox" / str(job.id) / "1"
    folder.mkdir(parents=True)
    _series, result = reported(node.storage / "source", predecessor=predecessor)
    write_result_set(result, folder)
    inside = f"outbox/{job.id}/1"
    rows = [NewDelivery("ris", [f"{inside}/oru.hl7"]), NewDelivery("ehr", [f"{inside}/fhir.json"])]
    jobs.deliver(job.id, "worker", _MEASURED, rows, ReportReference.to(result.sr).uids)
    return job.id


def deliver_all(node: Proving) -> None:
    while node.deliverer.deliver_once():
        pass


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, str]:
    url = sqlite_url(tmp_path)
    with_schema(url)
    return tmp_path, url


def test_both_systems_get_the_report_and_its_withdrawal(place: tuple[Path, str]) -> None:
    """The job is done when both have the report; withdrawn, both are sent the word that takes the number back."""
    store = FhirStore()
    with mllp_server() as (port, received), fhir_server(store) as url, node_with(*place, port, url) as node:
        job = result_of(node, 1)
        deliver_all(node)
        assert node.standing(job) == (["sent", "sent"], "done")
        (sent,) = received
        assert str(sent.segment("OBR")[25]) == "P"
        withdraw_results(WithdrawalTable(node.database), place[0], job, "alice", "wrong side", ANALYSED_AT)
        deliver_all(node)
        assert [str(row.kind) for row in node.rows(job)] == ["results", "results", "withdrawal", "withdrawal"]
        assert node.standing(job)[0] == ["sent"] * 4
    assert str(received[1].segment("OBR")[25]) == "C"
    assert str(received[1].segment("OBR")[3]) == str(sent.segment("OBR")[3])
    assert {one["status"] for one in store.all("Observation")} == {"entered-in-error"}


def test_a_newer_result_is_not_taken_back_with_an_older_one(place: tuple[Path, str]) -> None:
    """The report stands for the series: once the newer result is there, a withdrawal of the older sends nothing; a
    withdrawal of the newer does."""
    store = FhirStore()
    with mllp_server() as (port, received), fhir_server(store) as url, node_with(*place, port, url) as node:
        first = result_of(node, 1)
        deliver_all(node)
        earlier = ReportReference.of(JobTable(node.database).get(first).report)
        second = result_of(node, 2, earlier)
        deliver_all(node)
        assert [str(message.segment("OBR")[25]) for message in received] == ["P", "C"]
        withdrawals = WithdrawalTable(node.database)
        assert holders_of_wrong(withdrawals, first) == []
        done = withdraw_results(withdrawals, place[0], first, "alice", "wrong side", ANALYSED_AT)
        assert done.destinations == ()
        deliver_all(node)
        assert len(received) == 2
        assert {one["status"] for one in store.all("Observation")} == {"preliminary"}
        done = withdraw_results(withdrawals, place[0], second, "alice", "wrong side", ANALYSED_AT)
        assert done.destinations == ("ehr", "ris")
        deliver_all(node)
    assert len(received) == 3
    assert {one["status"] for one in store.all("Observation")} == {"entered-in-error"}


def test_a_newer_result_on_its_way_is_not_taken_back(place: tuple[Path, str]) -> None:
    """While the newer report is being sent nothing of the older is withdrawn; a note that failed is not sent again once
    the newer report is there."""
    store = FhirStore()
    with mllp_server() as (port, received), fhir_server(store) as url, node_with(*place, port, url) as node:
        first = result_of(node, 1)
        deliver_all(node)
        second = result_of(node, 2, ReportReference.of(JobTable(node.database).get(first).report))
        table, withdrawals = DeliveryTable(node.database), WithdrawalTable(node.database)
        under_way = table.claim("other", 60, ["ehr"])
        assert under_way is not None and under_way.job_id == second
        with pytest.raises(IllegalTransition, match="began to go to ris just now; run the command again"):
            withdraw_results(withdrawals, place[0], first, "alice", "wrong side", ANALYSED_AT)
        assert JobTable(node.database).get(first).withdrawn_at is None
        table.postpone(under_way.id, "other", "down", 0.0)
        withdraw_results(withdrawals, place[0], first, "alice", "wrong side", ANALYSED_AT)
        for destination in ("ehr", "ris"):
            note = table.claim("other", 60, [destination])
            assert note is not None and note.job_id == first
            table.give_up(note.id, "other", "refused")
        deliver_all(node)
        assert len(received) == 2
        withdraw_results(withdrawals, place[0], first, "alice", "wrong side", ANALYSED_AT)
        deliver_all(node)
    assert len(received) == 2
    assert not any(one["status"] == "entered-in-error" for one in store.all("Observation"))


def test_three_outcomes(place: tuple[Path, str]) -> None:
    """AE three times gives the report up with the receiver's words; AR and silence leave it waiting; AA ends it."""
    now = [utc_now()]
    codes = ["AR", "AE", "AE", "AE"]

    def answer(message: hl7.Message) -> hl7.Message:
        return message.create_ack(codes.pop(0) if codes else "AA")

    def later() -> None:
        now[0] += timedelta(hours=2)

    with (
        mllp_server(answer) as (port, received),
        fhir_server(FhirStore()) as url,
        node_with(*place, port, url, lambda: now[0]) as node,
    ):
        job = result_of(node, 1)
        deliver_all(node)
        ris = node.rows(job)[0]
        assert (str(ris.state), ris.reason) == (
            "pending", "oru.hl7: answer AR (it cannot take messages now, and does not say why)",
        )  # fmt: skip
        for _ in range(3):
            later()
            deliver_all(node)
        ris, ehr = node.rows(job)
        assert (str(ris.state), str(ehr.state)) == ("given_up", "sent")
        assert ris.reason == "refused 3 times: oru.hl7: answer AE (it found an error, and does not say which)"
        assert str(JobTable(node.database).get(job).state) == "failed"
        JobTable(node.database).retry(job)
        deliver_all(node)
        assert node.standing(job) == (["sent", "sent"], "done")
    ids = {str(message.segment("MSH")[10]) for message in received}
    assert (len(received), len(ids)) == (5, 1)


def test_a_report_that_may_be_out_is_named_by_the_next(place: tuple[Path, str]) -> None:
    """A receiver that took the report and gave no answer may have it: a newer result must be a correction."""
    with node_with(*place, free_port(), f"http://127.0.0.1:{free_port()}/fhir") as node:
        job = result_of(node, 1)
        deliver_all(node)
        assert [row.report_out for row in node.rows(job)] == [False, False], "no connection: nothing was sent"
    no_acknowledgment = hl7.parse("MSH|^~\\&|RIS\rEVN|A01\r")
    with (
        mllp_server(lambda _message: no_acknowledgment) as (port, _received),
        fhir_server(FhirStore()) as url,
        node_with(*place, port, url) as node,
    ):
        job = result_of(node, 2)
        JobTable(node.database).cancel(1)
        deliver_all(node)
        assert DeliveryTable(node.database).list(job)[0].report_out
