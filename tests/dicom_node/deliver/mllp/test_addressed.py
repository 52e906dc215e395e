"""What a receiver of HL7 gets beside the report: its address, and ORC."""

from __future__ import annotations

from pathlib import Path

import hl7
import pytest
from hl7apy.parser import parse_message as parse_by_tables
from pydantic import ValidationError
from support.mllp import mllp_server

from dicom_node.deliver.mllp import MllpCall, send_message
from dicom_node.deliver.mllp.addressed import addressed
from dicom_node.node.destinations import MllpDestination
from dicom_node.node.hl7_text import parse_message
from dicom_node.node.settings import Settings

REPORT = (
    "MSH|^~\\&|WMHNODE||||20261201120000+0000||ORU^R01^ORU_R01|ABC|P|2.5.1||||||UNICODE UTF-8\r"
    "PID|1||4711\r"
    "OBR|1|P\\T\\1|F1^WMHNODE|C^MR^DCM\r"
    "OBX|1|TX|S^Summary^DCM||Müller||||||P\r"
).encode()


def destination(**more: object) -> MllpDestination:
    return MllpDestination.model_validate(
        {"name": "ris", "host": "127.0.0.1", "port": 2575, "message": "oru", "tls": False, **more}
    )


def test_without_a_wish_the_report_leaves_as_it_is() -> None:
    """Byte for byte."""
    assert addressed(parse_message(REPORT), destination()).as_bytes() == REPORT


def test_each_receiver_has_its_own_address(tmp_path: Path) -> None:
    """MSH-4 to MSH-6 and ORC, as the settings have them, with parts; report and control ID are those of the outbox, and
    its acknowledgment is ours."""
    (tmp_path / "oru.hl7").write_bytes(REPORT)
    with mllp_server() as (port, received):
        to = destination(
            port=port, sending_facility="RADIOLOGY", receiving_application="RIS^1.2.3^ISO",
            receiving_facility="St. Ägid", order_segment=True,
        )  # fmt: skip
        (outcome,) = send_message([tmp_path / "oru.hl7"], MllpCall(to, None), lambda _outcome: True)
    assert outcome.ok, outcome.detail
    (read,) = received
    header = read.segment("MSH")
    assert [str(header[number]) for number in (3, 4, 5, 6, 10)] == [
        "WMHNODE", "RADIOLOGY", "RIS^1.2.3^ISO", "St. Ägid", "ABC",
    ]  # fmt: skip
    assert [str(one[0]) for one in read] == ["MSH", "PID", "ORC", "OBR", "OBX"]
    order = read.segment("ORC")
    assert [str(order[number]) for number in (1, 2, 3)] == ["RE", "P\\T\\1", "F1^WMHNODE"]
    assert str(read.segment("OBX")[5]) == "Müller"
    assert isinstance(read, hl7.Message)


def test_orc_stands_where_the_structure_wants_it() -> None:
    """A parser that goes by the tables of v2.5.1 finds ORC in the group of its OBR."""
    text = addressed(parse_message(REPORT), destination(order_segment=True)).as_bytes().decode()
    read = parse_by_tables(text, find_groups=True)
    order = read.ORU_R01_PATIENT_RESULT.ORU_R01_ORDER_OBSERVATION.ORC
    assert order.orc_1.value == "RE"


@pytest.mark.parametrize("name", ["", "A|B", "A~B", "A\\B", "A&B", "A\rB", "A^B^C^D", "x" * 228])
def test_names_that_would_break_the_header(name: str) -> None:
    """A delimiter, a line break or a fourth part is refused in the settings, not sent."""
    with pytest.raises(ValidationError, match="as in MSH"):
        destination(receiving_facility=name)


def test_the_short_form() -> None:
    """`+orc` is read and written."""
    settings = Settings(destinations=["ris=mllps://10.0.0.8:2575+oru+orc"])  # type: ignore[list-item]
    (found,) = settings.destinations
    assert isinstance(found, MllpDestination) and found.order_segment
    assert str(found) == "ris=mllps://10.0.0.8:2575+oru+orc"
