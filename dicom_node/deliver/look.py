"""A look at a destination that is no DICOM peer: address, TLS and login, and nothing is sent."""

from __future__ import annotations

from dicom_node.deliver.fhir import look_at_fhir
from dicom_node.deliver.mllp import MllpCall, look_at_receiver
from dicom_node.deliver.stow import WebCall, look_at_service
from dicom_node.node.destinations import FhirDestination, MllpDestination, WebDestination
from dicom_node.node.tls import ClientTls


def look_at(destination: WebDestination | FhirDestination | MllpDestination, tls: ClientTls | None) -> str:
    """What it was asked, and what that says, as a sentence.

    Raises:
        DeliveryError: what is wrong.
    """
    match destination:
        case WebDestination():
            look_at_service(WebCall(destination, tls))
            return "It answers a search for a study: address, TLS and login are right."
        case FhirDestination():
            look_at_fhir(destination, WebCall(destination, tls))
            return "It speaks FHIR R4 and takes transactions: address, TLS and login are right."
        case MllpDestination():
            look_at_receiver(MllpCall(destination, tls))
            return (
                f"It can be called{'' if tls is None else ' over TLS'}; no message was sent.{open_warning(destination)}"
            )


def open_warning(destination: MllpDestination) -> str:
    """What to say of a receiver that is called without TLS; "" where it is, or is this machine."""
    if not destination.is_open:
        return ""
    return " Without TLS everybody on the way can read the report: use mllps:// where the receiver has it."


def tested_with(destination: WebDestination | FhirDestination | MllpDestination) -> str:
    """What `look_at` does, for a list."""
    match destination:
        case WebDestination():
            return "a search for studies (QIDO-RS); what STOW-RS stores shows with the first result"
        case FhirDestination():
            return "its CapabilityStatement; what it stores shows with the first result"
        case MllpDestination():
            return "a connection; what it takes shows with the first result"
