"""The whole statement, in the order of PS3.2."""

from __future__ import annotations

from datetime import date
from typing import Final

from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword
from pydicom.uid import UID

from dicom_node.conformance.document import Document, Section, Table
from dicom_node.conformance.network import networking
from dicom_node.conformance.result_contents import CONTENTS, REPORT_CONCEPTS, Attribute
from dicom_node.deliver.send.result_classes import class_of_kind
from dicom_node.node.profiles import ObjectKind
from dicom_node.node.settings import Settings
from dicom_node.node.storage_classes import STORAGE_CLASSES
from dicom_node.node.version import MANUFACTURER, SOFTWARE_NAME, SOFTWARE_VERSION
from dicom_node.results.common.codes import PRIVATE_CODES, PRIVATE_SCHEME

_TITLE: Final = f"DICOM Conformance Statement: {SOFTWARE_NAME} {SOFTWARE_VERSION}"


def conformance_statement(settings: Settings, made_on: date | None = None) -> Document:
    """The statement of a node with these settings.

    Args:
        made_on: its date; None: none is named, so that the same settings give the same document.
    """
    lines = [
        f"Product: {SOFTWARE_NAME} {SOFTWARE_VERSION}, {MANUFACTURER}",
        f"Node: {settings.ae_title}",
        *([] if made_on is None else [f"Date: {made_on.isoformat()}"]),
        "Research use only, not a medical device.",
    ]
    return Document(
        _TITLE,
        tuple(lines),
        (
            _overview(),
            _introduction(),
            Section("Transformations", ("None: results are new objects; received objects are never changed.",)),
            networking(settings),
            Section("Media interchange", ("Media are not written. `wmh-node segment` reads folders and DICOMDIRs.",)),
            _character_sets(),
            _security(settings),
            _annexes(),
        ),
    )


def _overview() -> Section:
    rows = [("Verification", "yes", "yes"), ("Storage Commitment Push Model", "yes", "yes")]
    rows += [("Study Root Query/Retrieve - FIND", "yes", "no")]
    read = [uid for uid, storage_class in STORAGE_CLASSES.items() if storage_class.is_read]
    ours = list(dict.fromkeys(class_of_kind(kind) for kind in ObjectKind))
    for uid in dict.fromkeys((*ours, *read)):
        rows.append((UID(uid).name, "yes" if uid in ours else "no", "yes" if uid in STORAGE_CLASSES else "no"))
    others = len(STORAGE_CLASSES) - len({*read, *ours} & STORAGE_CLASSES.keys())
    rows.append((f"{others} other storage classes, kept and not analysed: section 4.2.1", "no", "yes"))
    return Section(
        "Conformance statement overview",
        (
            "The node receives brain FLAIR series, segments white matter hyperintensities, and sends segmentations, a "
            "measurement report and pictures to destinations, by DICOM and DICOMweb.",
            Table(("SOP class", "user (SCU)", "provider (SCP)"), tuple(rows)),
        ),
    )


def _introduction() -> Section:
    return Section(
        "Introduction",
        (
            "For people who connect systems. `wmh-node conformance` makes this document from the tables that the "
            "program uses and from the settings of this node; a test fails when it and the program differ.",
            "A conformance statement does not prove that two systems work together: test the connection, for example "
            "by `wmh-node destinations test NAME`.",
        ),
    )


def _character_sets() -> Section:
    words = (
        "Received objects are kept in whatever character set they have. Results are written in ISO_IR 192 (UTF-8); "
        "values that are copied from images are converted."
    )
    return Section("Support of character sets", (words,))


def _security(settings: Settings) -> Section:
    tls = (
        "TLS 1.2 and 1.3 by the BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12), as "
        "receiver and as sender, with or without certificates of callers."
    )
    asked = "callers need a certificate" if settings.tls_ca else "callers need no certificate"
    now = f"On this node: TLS is open, {asked}." if settings.dicom_tls_port else "On this node: TLS is closed."
    audit = "Audit messages of PS3.15 A.5 go to an audit repository by syslog over TLS, where one is set up."
    return Section("Security", (f"{tls} {now}", f"{audit} Peers are known by AE title, address and certificate."))


def _annexes() -> Section:
    objects = tuple(
        Section(f"{UID(class_of_kind(kind)).name} ({kind})", (_attributes(CONTENTS[kind]),)) for kind in CONTENTS
    )
    concepts = Table(("type", "code", "scheme", "meaning", "unit"), REPORT_CONCEPTS)
    private = Table(
        ("code", "meaning", "definition"), tuple((code.value, code.meaning, code.definition) for code in PRIVATE_CODES)
    )
    return Section(
        "Annexes",
        sections=(
            Section(
                "Contents of created objects",
                ("The form that the profile `generic` has. Other forms differ in the encoding of the voxels.",),
                objects,
            ),
            Section("Concepts of the report (TID 1500, TID 1411, TID 4019)", (concepts,)),
            Section(f"Private codes ({PRIVATE_SCHEME})", (private,)),
            Section("Private attributes", ("None is written; those of received objects are kept.",)),
            Section("Standard extended, specialized and private SOP classes", ("None is created.",)),
        ),
    )


def _attributes(attributes: tuple[Attribute, ...]) -> Table:
    def key(attribute: Attribute) -> int:
        return tag_for_keyword(attribute.keyword) or 0

    rows = []
    for attribute in sorted(attributes, key=key):
        tag = key(attribute)
        rows.append(
            (
                dictionary_description(tag), f"({tag >> 16:04X},{tag & 0xFFFF:04X})", dictionary_VR(tag),
                attribute.value, str(attribute.source),
            )
        )  # fmt: skip
    return Table(("attribute", "tag", "VR", "value", "source"), tuple(rows))
