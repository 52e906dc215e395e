"""Section 4 of the statement: the two application entities, their contexts, roles, statuses, limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydicom.uid import UID

from dicom_node.conformance.document import Section, Table
from dicom_node.deliver.send.association import MAX_PDU_BYTES, Timeouts
from dicom_node.deliver.send.compressing import SYNTAXES
from dicom_node.deliver.send.plan import IMPLICIT_VR_LITTLE_ENDIAN, MAX_CONTEXTS
from dicom_node.deliver.send.result_classes import classes_of
from dicom_node.deliver.send.statuses import STATUSES
from dicom_node.deliver.verify.find import STUDY_ROOT_FIND
from dicom_node.node.commitment import STORAGE_COMMITMENT
from dicom_node.node.destinations import AnyDestination, Destination, FhirDestination, MllpDestination, WebDestination
from dicom_node.node.dicom_uids import (
    APPLICATION_CONTEXT,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)
from dicom_node.node.profiles import PROFILES, DeliveryOptions
from dicom_node.node.settings import Settings
from dicom_node.node.storage_classes import STORAGE_CLASSES
from dicom_node.receive.negotiation import REPORT_SYNTAXES
from dicom_node.receive.statuses import Status

_CONTEXT: Final = ("SOP class", "UID", "transfer syntaxes", "role")
_RECEIVED_WORDS: Final = {
    Status.SUCCESS: "the instance is on disk and its row committed",
    Status.OUT_OF_RESOURCES: "no room, or the object is larger than MAX_OBJECT_BYTES",
    Status.DATA_SET_DOES_NOT_MATCH: "UIDs differ from the command or lack; an MR object without pixels",
    Status.CANNOT_UNDERSTAND: "the data set does not parse, or is cut off",
    Status.PROCESSING_FAILURE: "the database takes no row; for commitment: an unknown transaction",
    Status.SOP_CLASS_NOT_SUPPORTED: "the command's class is not that of its presentation context",
    Status.INVALID_OBJECT_INSTANCE: "the SOP Instance UID of the command is missing or no UID",
    Status.UNRECOGNIZED_OPERATION: "another DIMSE service",
    Status.NO_SUCH_SOP_INSTANCE: "storage commitment on another than its well-known instance",
    Status.NO_SUCH_EVENT: "N-EVENT-REPORT with another type than 1 and 2",
    Status.NO_SUCH_ACTION: "N-ACTION with another type than 1",
    Status.INVALID_ARGUMENT: "storage commitment without a Transaction UID",
}


def networking(settings: Settings) -> Section:
    """All of section 4."""
    return Section(
        "Networking",
        sections=(
            _model(settings),
            Section("AE specifications", sections=(_receiver(settings), _sender(settings))),
            _interfaces(settings),
            _configuration(settings),
        ),
    )


def _model(settings: Settings) -> Section:
    return Section(
        "Implementation model",
        (
            f"Two application entities share the AE title {settings.ae_title}. The receiving AE stores what comes, and "
            "answers Verification and Storage Commitment. The sending AE stores results to each destination, asks "
            "for storage commitment or queries where the destination is set up so, and reports storage commitment to "
            "senders. Between them stands the analysis, which talks to no peer.",
            "A result leaves the node after the series is complete: see docs/administrator/configure.md.",
        ),
    )


def _receiver(settings: Settings) -> Section:
    commitment = [(_name(STORAGE_COMMITMENT), STORAGE_COMMITMENT, _syntaxes(REPORT_SYNTAXES), "SCP; SCU of reports")]
    storage = [
        (_name(uid), uid, _syntaxes(storage_class.transfer_syntaxes), "SCP")
        for uid, storage_class in sorted(STORAGE_CLASSES.items(), key=lambda pair: (not pair[1].is_read, pair[0]))
    ]
    contexts = Table(
        _CONTEXT, ((_name(VERIFICATION), VERIFICATION, _syntaxes(REPORT_SYNTAXES), "SCP"), *commitment, *storage)
    )
    limits = Table(
        ("limit", "value"),
        (
            ("Application context", APPLICATION_CONTEXT),
            ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
            ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
            ("Maximum PDU size announced", f"{settings.max_pdu_bytes} bytes"),
            ("Associations at one time", f"{settings.max_associations} for each of {settings.receiver_processes}"),
            ("Asynchronous operations window", "not supported (1 operation)"),
            ("Time-out of association request, with TLS handshake", _seconds(settings.acse_timeout_seconds)),
            ("Time-out inside a message", _seconds(settings.dimse_timeout_seconds)),
            ("Time-out between messages", _seconds(settings.network_timeout_seconds)),
            ("Largest object", f"{settings.max_object_bytes} bytes"),
        ),
    )
    statuses = Table(
        ("status", "when"), tuple((f"0x{received:04X}", words) for received, words in _RECEIVED_WORDS.items())
    )
    policy = (
        "Of the transfer syntaxes that a context offers, the first that is accepted in the sender's order is taken, "
        "but Explicit VR Little Endian in place of Implicit where both are offered. Extended negotiation: role "
        "selection for Storage Commitment is answered as proposed; no other."
    )
    storage_words = (
        "Storage is at level 2 (full): nothing is coerced, changed or discarded. A success means that the instance "
        "is on disk (synced) and its row is committed. An instance that comes again with the same bytes is a success. "
        "Priority (0000,0700) decides how soon a series is analysed, unless PEERS says it of the calling AE title."
    )
    return Section(
        "Receiving AE",
        sections=(
            Section("SOP classes and presentation contexts accepted", (contexts, policy, storage_words)),
            Section("Association policies", (limits, _admission(settings))),
            Section("Response status codes", (statuses,)),
        ),
    )


def _admission(settings: Settings) -> str:
    if not settings.peers:
        return "Any calling AE title is accepted, under any called AE title (PEERS is not set)."
    peers = ", ".join(map(str, settings.peers))
    return f"Only these calling AE titles are accepted, and only for the called AE title {settings.ae_title}: {peers}."


def _sender(settings: Settings) -> Section:
    options = [DeliveryOptions(profile) for profile in PROFILES.values()]
    options += [DeliveryOptions(PROFILES["generic"], probability_map=True)]
    options += [destination.options for destination in settings.destinations]
    classes = sorted({uid for option in options for uid in classes_of(option)})
    written = (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN)
    implicit = _name(IMPLICIT_VR_LITTLE_ENDIAN)
    contexts = Table(
        _CONTEXT,
        (
            (_name(VERIFICATION), VERIFICATION, implicit, "SCU"),
            *((_name(uid), uid, _syntaxes((*SYNTAXES.get(uid, ()), *written)), "SCU") for uid in classes),
            (_name(STORAGE_COMMITMENT), STORAGE_COMMITMENT, implicit, "SCU; SCP of reports"),
            (_name(STUDY_ROOT_FIND), STUDY_ROOT_FIND, implicit, "SCU"),
            (_name(STUDY_ROOT_MOVE), STUDY_ROOT_MOVE, implicit, "SCU"),
            (_name(STUDY_ROOT_GET), STUDY_ROOT_GET, implicit, "SCU; SCP of storage for what the receiving AE takes"),
        ),
    )
    compression = (
        "Each transfer syntax is proposed in a presentation context of its own, and the first of the list that the "
        "peer accepts is used. The compressed ones are without loss and change no UID; they are proposed for objects "
        "from 64 KB on, unless the destination is set up as +uncompressed; the deflated one only where it is set up as "
        "+deflated. An object that the peer did not store in "
        "one of them is sent again in Explicit or Implicit VR Little Endian."
    )
    cohorts = (
        "Studies of a cohort are found by Study Root C-FIND at study, series and image level and fetched as whole "
        "series (at image level with a list of UIDs where some instances are here already), with low priority, one at "
        "a time of one archive: by C-MOVE to the node's own AE title, or by C-GET "
        "with role selection. A web destination is asked by QIDO-RS (studies, series, instances) and WADO-RS (one "
        "instance a request, in the transfer syntax in which it is stored) (docs/administrator/cohorts.md)."
    )
    timeouts = Timeouts()
    limits = Table(
        ("limit", "value"),
        (
            ("Maximum PDU size sent and taken", f"{MAX_PDU_BYTES} bytes"),
            ("Presentation contexts in one association", str(MAX_CONTEXTS)),
            ("Associations at one time", "one for each destination"),
            ("Time-out to connect", _seconds(timeouts.connection)),
            ("Time-out of association control", _seconds(timeouts.acse)),
            ("Time-out of a response", _seconds(timeouts.dimse)),
            ("Silence on the network", _seconds(timeouts.network)),
            ("First wait after a failure, longest wait", _waits(settings)),
            ("A delivery is tried for", f"{settings.delivery_days:g} days"),
            ("A report of storage commitment is awaited for", f"{settings.commit_hours:g} hours"),
        ),
    )
    statuses = Table(
        ("status", "meaning", "behaviour"),
        tuple(
            (_range(status.first, status.last), status.words or "success", status.answer.value) for status in STATUSES
        ),
    )
    web = (
        "A destination with an https address is served by the STOW-RS Store transaction (PS3.18 10.5), one instance a "
        "request, and proven by the QIDO-RS search for instances where it is set up so. Where it is set up as "
        "+compressed, pages from 64 KB on go in the first compressed transfer syntax of their list, named in the "
        "request's Content-Type; one that the server does not store so is sent again in Explicit VR Little Endian."
    )
    reports = (
        "Destinations without DICOM get a report: an HL7 v2.5.1 message ORU^R01 over MLLP, or a FHIR R4 transaction "
        "(docs/administrator/reports.md). Both name the DICOM study by its UID."
    )
    return Section(
        "Sending AE",
        sections=(
            Section("SOP classes and presentation contexts proposed", (contexts, compression, web, reports, cohorts)),
            Section("Association policies", (limits,)),
            Section("Behaviour on C-STORE response status", (statuses,)),
            Section("What each profile sends", (_profiles(),)),
        ),
    )


def _profiles() -> Table:
    rows = tuple(
        (name, ", ".join(map(str, profile.objects)), profile.seg_encoding, profile.why)
        for name, profile in PROFILES.items()
    )
    return Table(("profile", "objects, in sending order", "segmentations", "for"), rows)


def _interfaces(settings: Settings) -> Section:
    rows = [
        ("DICOM", f"{settings.bind}:{settings.dicom_port}" if settings.dicom_port else "closed"),
        ("DICOM over TLS", f"{settings.bind}:{settings.dicom_tls_port}" if settings.dicom_tls_port else "closed"),
    ]
    return Section(
        "Network and communication support", ("TCP/IP, IPv4 and IPv6.", Table(("port", "open"), tuple(rows)))
    )


def _configuration(settings: Settings) -> Section:
    destinations = tuple(_destination_row(destination) for destination in settings.destinations)
    names = ("name", "AE title or address", "profile", "proof", "TLS")
    return Section(
        "Configuration",
        (
            "AE titles, addresses, ports and time-outs are settings: docs/administrator/settings.md.",
            Table(names, destinations) if destinations else "No destination is configured.",
        ),
    )


def _destination_row(destination: AnyDestination) -> tuple[str, ...]:
    where = (
        f"{destination.ae_title}, {destination.host}:{destination.port}"
        if isinstance(destination, Destination)
        else _web(destination)
    )
    status = "C-STORE status" if isinstance(destination, Destination) else "its answer"
    proof = {"commit": "storage commitment", "verify": "query", None: status}[destination.proof]
    return (destination.name, where, destination.profile, proof, "yes" if destination.uses_tls else "no")


def _web(destination: WebDestination | FhirDestination | MllpDestination) -> str:
    if isinstance(destination, MllpDestination):
        return f"{destination.host}:{destination.port}"
    return destination.url


def _waits(settings: Settings) -> str:
    return f"{_seconds(settings.delivery_retry_seconds)}, {_seconds(settings.delivery_retry_longest_seconds)}"


def _seconds(value: float) -> str:
    return f"{value:g} s"


def _range(first: int, last: int) -> str:
    return f"0x{first:04X}" if first == last else f"0x{first:04X} to 0x{last:04X}"


def _name(uid: str) -> str:
    known = UID(uid).name
    return f"Private: {STORAGE_CLASSES[uid].called}" if known == uid and uid in STORAGE_CLASSES else known


def _syntaxes(uids: Iterable[str]) -> str:
    return ", ".join(f"{UID(uid).name} ({uid})" for uid in uids)
