"""A report of any kind as a file of a result set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from dicom_node.node.profiles import MESSAGE_NAMES, DeliveryOptions, MessageKind
from dicom_node.results.report.fhir_bundle import build_fhir, build_fhir_withdrawal
from dicom_node.results.report.message_content import MessageContent
from dicom_node.results.report.oru import build_oru, build_oru_withdrawal

_BUILDERS: Final[Mapping[MessageKind, Callable[[MessageContent], bytes]]] = MappingProxyType(
    {MessageKind.ORU: build_oru, MessageKind.FHIR: build_fhir}
)
_WITHDRAWALS: Final[Mapping[MessageKind, Callable[[bytes, str, datetime], bytes]]] = MappingProxyType(
    {MessageKind.ORU: build_oru_withdrawal, MessageKind.FHIR: build_fhir_withdrawal}
)


@dataclass(frozen=True)
class ResultMessage:
    """A report that goes to a system without DICOM. `content`: the bytes that are sent."""

    kind: MessageKind
    name: str
    content: bytes


def build_messages(content: MessageContent, all_options: Collection[DeliveryOptions]) -> tuple[ResultMessage, ...]:
    """The reports that some destination is sent, each kind once."""
    wanted = {options.message for options in all_options}
    return tuple(
        ResultMessage(kind, MESSAGE_NAMES[kind], build(content)) for kind, build in _BUILDERS.items() if kind in wanted
    )


def build_message_withdrawal(kind: MessageKind, sent: bytes, reason: str, withdrawn_at: datetime) -> bytes:
    """What takes a sent report back.

    Raises:
        ResultError: the sent report is none of ours any more.
    """
    return _WITHDRAWALS[kind](sent, reason, withdrawn_at)
