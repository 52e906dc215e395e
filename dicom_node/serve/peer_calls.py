"""How the role `deliver` calls destinations: with our AE title, TLS and secrets filled in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from db.records import CommitmentAnswer
from dicom_node.deliver.commit.ask import ProofNotOffered, TakeReport, ask_commitment
from dicom_node.deliver.commit.reporter import report_commitment
from dicom_node.deliver.fhir import post_bundles
from dicom_node.deliver.mllp import MllpCall, send_message
from dicom_node.deliver.send import SendOutcome, send_files
from dicom_node.deliver.send.association import Call, Timeouts
from dicom_node.deliver.stow import RefusedSyntaxes, WebCall, find_missing_by_web, store_files
from dicom_node.deliver.verify.find import find_missing
from dicom_node.deliver.verify.sent_object import SentObject
from dicom_node.node.commitment import Reference
from dicom_node.node.destinations import AnyDestination, Destination, FhirDestination, MllpDestination, WebDestination
from dicom_node.node.settings import Settings


class PeerCalls:
    """Calls to destinations, by the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._refused_by_web = RefusedSyntaxes()

    def send(
        self, paths: Sequence[Path], destination: AnyDestination, go_on: Callable[[SendOutcome], bool]
    ) -> list[SendOutcome]:
        """Bring files there: objects by C-STORE or STOW-RS, reports over MLLP or as a FHIR transaction."""
        tls = self._settings.client_tls(destination)
        match destination:
            case WebDestination():
                return store_files(paths, WebCall(destination, tls), go_on, self._refused_by_web)
            case FhirDestination():
                return post_bundles(paths, destination, WebCall(destination, tls), go_on)
            case MllpDestination():
                return send_message(paths, MllpCall(destination, tls), go_on)
            case Destination():
                return send_files(
                    paths,
                    destination,
                    go_on=go_on,
                    calling_ae_title=self._settings.ae_title,
                    tls=tls,
                    compress=destination.compress,
                )

    def ask(
        self, destination: Destination, transaction_uid: str, objects: Sequence[Reference], take: TakeReport
    ) -> bool:
        """Ask for storage commitment."""
        return ask_commitment(self._call(destination), transaction_uid, objects, take)

    def report(self, destination: Destination, answer: CommitmentAnswer) -> None:
        """Report storage commitment to a sender."""
        report_commitment(self._call(destination), answer)

    def find_missing(self, destination: AnyDestination, objects: Sequence[SentObject]) -> list[SentObject]:
        """The objects that a destination does not list."""
        match destination:
            case WebDestination():
                return find_missing_by_web(WebCall(destination, self._settings.client_tls(destination)), objects)
            case Destination():
                return find_missing(self._call(destination), objects)
            case _:
                raise ProofNotOffered(f"{destination.name}: it takes reports, and lists no objects")

    def _call(self, destination: Destination) -> Call:
        return Call(destination, self._settings.ae_title, Timeouts(), self._settings.client_tls(destination))
