"""Who may associate, and for what (PS3.8 7.1.1 and 9.3.3.2).

| case | answer | PS3.8 |
|---|---|---|
| protocol version 1 not offered | rejected for good, by the ACSE: protocol version not supported | table 9-21 |
| another application context than DICOM's | rejected for good: application context name not supported | table 9-21 |
| `peers` set, called AE title is not ours | rejected for good: called AE title not recognized | table 9-21 |
| `peers` set, calling AE title or address not in it | rejected for good: calling AE title not recognized | table 9-21 |
| no room for one more association | rejected for now: local limit exceeded | table 9-21 |
| the receiver stops, or the database is away | rejected for now: temporary congestion | table 9-21 |
| only a destination with `+commit` is so called, and another class than commitment | as the next | table 9-18 |
| context of a class not in `storage_classes.py`, other service | context rejected: abstract syntax (3) | table 9-18 |
| context without a transfer syntax of that class | context rejected: transfer syntaxes not supported (4) | table 9-18 |

The called AE title is looked at only when `peers` is set, together with the calling one: without the list the node is
open to anyone who can reach the port, and refusing a mistyped title then would be an obstacle and no protection. This
is what PACS administrators know from Orthanc (DicomCheckCalledAet is off by default). A peer that may not associate
gets the same answer whether its title or its address is wrong; the log says which.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Container, Sequence
from dataclasses import dataclass

from db.records import Priority
from dicom_node.node.commitment import STORAGE_COMMITMENT
from dicom_node.node.dicom_uids import (
    APPLICATION_CONTEXT,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    VERIFICATION,
)
from dicom_node.node.storage_classes import STORAGE_CLASSES
from dicom_node.node.upper_layer.associate import (
    AssociateRequest,
    ContextResult,
    ProposedContext,
    Role,
    supports_version_1,
)
from dicom_node.node.upper_layer.pdu import (
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLED_AE_NOT_RECOGNIZED,
    CALLING_AE_NOT_RECOGNIZED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Rejection,
)
from dicom_node.receive.receiver_settings import AllowedPeer

ACCEPTANCE = 0
ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED = 4

_REPORT_CLASSES = (VERIFICATION, STORAGE_COMMITMENT)
REPORT_SYNTAXES = (IMPLICIT_VR_LITTLE_ENDIAN.uid, EXPLICIT_VR_LITTLE_ENDIAN.uid)


@dataclass(frozen=True)
class Admission:
    """Decides from AE titles and address. `peers` empty: everyone may come."""

    ae_title: str
    peers: tuple[AllowedPeer, ...]

    def refusal_of(self, request: AssociateRequest, address: str) -> tuple[Rejection, str] | None:
        """None when the association may be accepted, else the rejection and the reason for the log."""
        if not supports_version_1(request):
            return PROTOCOL_VERSION_NOT_SUPPORTED, f"protocol version {request.protocol_version:#06x}"
        if request.application_context != APPLICATION_CONTEXT:
            return APPLICATION_CONTEXT_NOT_SUPPORTED, f"application context {request.application_context or 'missing'}"
        return self._check_titles(request, address) if self.peers else None

    def _check_titles(self, request: AssociateRequest, address: str) -> tuple[Rejection, str] | None:
        if request.called_ae_title != self.ae_title:
            return CALLED_AE_NOT_RECOGNIZED, f"called AE title {request.called_ae_title!r} is not {self.ae_title!r}"
        named = [peer for peer in self.peers if peer.ae_title == request.calling_ae_title]
        if not named:
            return CALLING_AE_NOT_RECOGNIZED, "the calling AE title is not in peers"
        if not any(_address_matches(peer.address, address) for peer in named):
            return CALLING_AE_NOT_RECOGNIZED, "peers names another address for this calling AE title"
        return None

    def only_reports(self, request: AssociateRequest, address: str) -> bool:
        """Whether the peer may only report storage commitment: a destination names it, and no entry of `peers`."""
        named = [peer for peer in self.peers if peer.ae_title == request.calling_ae_title]
        matching = [peer for peer in named if _address_matches(peer.address, address)]
        return bool(matching) and all(peer.reports_only for peer in matching)

    def priority_of(self, request: AssociateRequest, address: str) -> Priority | None:
        """What `peers` says of this peer's priority, by the first entry that says something; None: nothing."""
        for peer in self.peers:
            says = peer.ae_title == request.calling_ae_title and peer.priority is not None
            if says and _address_matches(peer.address, address):
                return peer.priority
        return None


def negotiate(proposed: Sequence[ProposedContext], *, only_reports: bool = False) -> list[ContextResult]:
    """One answer per proposed presentation context, in the order they came (PS3.8 9.3.3.2).

    Args:
        proposed: by the peer.
        only_reports: see `Admission.only_reports`.
    """
    return [
        _result(context, ABSTRACT_SYNTAX_NOT_SUPPORTED, context.transfer_syntaxes[0])
        if only_reports and context.abstract_syntax not in _REPORT_CLASSES
        else _answer(context)
        for context in proposed
    ]


def accepted_roles(request: AssociateRequest, results: Sequence[ContextResult]) -> tuple[Role, ...]:
    """Our answers to role selection (PS3.7 D.3.3.4): for storage commitment, what the peer proposes, since we take both
    sides of it; for other classes none, which leaves the peer the SCU."""
    accepted = {result.abstract_syntax for result in results if result.result == ACCEPTANCE}
    return tuple(
        role for role in request.roles if role.sop_class_uid == STORAGE_COMMITMENT and role.sop_class_uid in accepted
    )


def _answer(context: ProposedContext) -> ContextResult:
    if context.abstract_syntax in _REPORT_CLASSES:
        wanted = next((syntax for syntax in context.transfer_syntaxes if syntax in REPORT_SYNTAXES), None)
    elif context.abstract_syntax in STORAGE_CLASSES:
        wanted = _preferred(context.transfer_syntaxes, STORAGE_CLASSES[context.abstract_syntax].transfer_syntaxes)
    else:
        return _result(context, ABSTRACT_SYNTAX_NOT_SUPPORTED, context.transfer_syntaxes[0])
    if wanted is None:
        return _result(context, TRANSFER_SYNTAXES_NOT_SUPPORTED, context.transfer_syntaxes[0])
    return _result(context, ACCEPTANCE, wanted)


def _result(context: ProposedContext, result: int, transfer_syntax: str) -> ContextResult:
    return ContextResult(context.context_id, result, context.abstract_syntax, transfer_syntax)


def _preferred(offered: Sequence[str], taken: Container[str]) -> str | None:
    """The first that we take in the sender's order, which is mostly how the object is stored there.

    But Explicit VR Little Endian in place of Implicit when both are offered: private elements keep their VR.
    """
    first = next((syntax for syntax in offered if syntax in taken), None)
    if first == IMPLICIT_VR_LITTLE_ENDIAN.uid and EXPLICIT_VR_LITTLE_ENDIAN.uid in offered:
        return EXPLICIT_VR_LITTLE_ENDIAN.uid
    return first


def _address_matches(allowed: str | None, address: str) -> bool:
    """Whether a peer's address is the allowed one: an IP address, a network, or a host name that resolves to it."""
    if allowed is None:
        return True
    came = _plain(ipaddress.ip_address(address))
    try:
        return came in ipaddress.ip_network(allowed, strict=False)
    except ValueError:
        return came in _resolve(allowed)


def _resolve(host: str) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except OSError:
        return set()
    return {_plain(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in found}


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address that came through an IPv6 socket is an IPv4 address."""
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address
