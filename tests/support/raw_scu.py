"""An SCU that can do everything wrong: bytes on a socket; pynetdicom's PDU classes make what has to be right."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.dsutils import decode as decode_data_set
from pynetdicom.dsutils import encode as encode_data_set
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification

EXPLICIT = "1.2.840.10008.1.2.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"


def associate_request(
    contexts: Sequence[tuple[str, Sequence[str]]] = ((MR, (EXPLICIT,)),),
    called: str = "WMHNODE",
    calling: str = "RAWSCU",
    max_length: int = 16382,
    application_context: str = "1.2.840.10008.3.1.1.1",
) -> bytes:
    """An A-ASSOCIATE-RQ PDU; context IDs are 1, 3, 5 ..."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = application_context
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    length = MaximumLengthNotification()
    length.maximum_length_received = max_length
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = "1.2.3.4"
    primitive.user_information = [length, implementation]
    built = []
    for index, (abstract, transfer) in enumerate(contexts):
        context = build_context(abstract, list(transfer))
        context.context_id = 2 * index + 1
        built.append(context)
    primitive.presentation_context_definition_list = built
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()


def command(**elements: Any) -> bytes:
    """A command set; `CommandGroupLength` is filled in."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    body = encode_data_set(dataset, True, True)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def store_command(instance: str, sop_class: str = MR, message_id: int = 1, **elements: Any) -> bytes:
    """A C-STORE-RQ that a data set follows."""
    values = {
        "AffectedSOPClassUID": sop_class,
        "CommandField": 1,
        "MessageID": message_id,
        "Priority": 0,
        "CommandDataSetType": 1,
        "AffectedSOPInstanceUID": instance,
        **elements,
    }
    return command(**{keyword: value for keyword, value in values.items() if value is not None})


def pdata(context_id: int, control: int, fragment: bytes) -> bytes:
    """A P-DATA-TF with one presentation data value; control 3 is a last command fragment, 0 data, 2 last data."""
    item = struct.pack(">LBB", len(fragment) + 2, context_id, control) + fragment
    return struct.pack(">BxL", 4, len(item)) + item


class RawScu:
    """One connection; use as a context manager."""

    def __init__(self, port: int, timeout: float = 60) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)

    def __enter__(self) -> RawScu:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes; fewer when the connection ends."""
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                break
            if not part:
                break
            data += part
        return data

    def pdu(self) -> tuple[int, bytes]:
        """The next PDU: type and body; (0, b"") when the connection has ended."""
        header = self.receive(6)
        if len(header) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxL", header)
        return kind, self.receive(length)

    def associate(self, **arguments: Any) -> A_ASSOCIATE_AC:
        """Associate; fails when it is not accepted."""
        self.send(associate_request(**arguments))
        kind, body = self.pdu()
        assert kind == 2, f"expected A-ASSOCIATE-AC, got PDU type {kind}"
        answer = A_ASSOCIATE_AC()
        answer.decode(struct.pack(">BxL", kind, len(body)) + body)
        return answer

    def rejection(self) -> tuple[int, int, int]:
        """The next PDU, which must be an A-ASSOCIATE-RJ: result, source, reason."""
        kind, body = self.pdu()
        assert kind == 3, f"expected A-ASSOCIATE-RJ, got PDU type {kind}"
        answer = A_ASSOCIATE_RJ()
        answer.decode(struct.pack(">BxL", kind, len(body)) + body)
        return answer.result, answer.source, answer.reason_diagnostic

    def store(
        self, instance: str, data: bytes, fragment_bytes: int = 16000, context_id: int = 1, **elements: Any
    ) -> int:
        """C-STORE raw bytes as a data set; gives the status."""
        self.send(pdata(context_id, 3, store_command(instance, **elements)))
        pieces = [data[start : start + fragment_bytes] for start in range(0, len(data), fragment_bytes)] or [b""]
        for piece in pieces[:-1]:
            self.send(pdata(context_id, 0, piece))
        self.send(pdata(context_id, 2, pieces[-1]))
        return self.response().Status

    def response(self) -> Dataset:
        """The next DIMSE response."""
        kind, body = self.pdu()
        assert kind == 4, f"expected P-DATA-TF, got PDU type {kind} {body.hex()}"
        return decode_data_set(BytesIO(body[6:]), True, True)

    def release(self) -> None:
        """A-RELEASE-RQ, and its answer."""
        self.send(struct.pack(">BxLL", 5, 4, 0))
        assert self.pdu()[0] == 6

    def is_closed(self, seconds: float) -> bool:
        """Whether the peer ends the connection within `seconds`; an A-ABORT before it is passed over."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True
