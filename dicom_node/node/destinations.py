"""Where results go: a DICOM peer (C-STORE) or a web server (STOW-RS), and how each proves that it holds them; and
reports to systems that take no DICOM: HL7 v2 over MLLP, FHIR.

Compact forms (`name=AET@host:port+option...`, `name=https://host/path+option...`, `name=mllps://host:port+oru`,
`name=https://host/fhir+option...`), and the options behind them:

| option | for | meaning |
|---|---|---|
| `+commit` | DICOM | storage commitment (PS3.4 J): done when the peer takes responsibility |
| `+verify` | both | done when C-FIND, or QIDO-RS, lists every object |
| `+compressed` | web | pages go compressed, where the server takes that |
| `+uncompressed` | DICOM | objects go as they are, in no compressed transfer syntax |
| `+deflated` | DICOM | segmentations go deflated, too, where the peer accepts that |
| `+tls` | DICOM | over TLS; `https` is always |
| `+basic`, `+bearer`, `+mtls` | web | how we log in; the secret is a file or an environment variable, never a setting |
| `+<profile>`, `+labelmap`, `+probability`, ... | both | what is sent, see `dicom_node.node.profiles` |
| `+oru` | MLLP | what is sent: HL7 v2.5.1 ORU^R01; `mllps` is MLLP over TLS |
| `+orc` | MLLP | with the segment ORC before OBR |
| `+fhir` | FHIR | what is sent: a FHIR R4 transaction; not needed where a part of the path is `fhir` |
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from dicom_node.node.addresses import host_to_call, is_host_of_url, is_loopback, shown
from dicom_node.node.profiles import (
    MESSAGE_OPTIONS,
    PROFILES,
    DeliveryOptions,
    MessageKind,
    ProfileName,
    SegEncoding,
)
from dicom_node.node.secret_values import secret_value

# AE: at most 16 characters of the default repertoire, no backslash, no control character, not spaces only
# (PS3.5 table 6.2-1).
_AE_TITLE = re.compile(r"^(?=.*[^ ])[\x20-\x5b\x5d-\x7e]{1,16}$")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
# Also what no editor shows: a path of them is of a copy that went wrong.
_CONTROL = re.compile("[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060\ufeff]")
_LONGEST_PATH, _LONGEST_NAME = 4095, 255  # bytes, of Linux (limits.h)
_ADDRESS_FORM = re.compile(r"^(?P<ae>.+)@(?P<host>\[[^\]]+\]|[^:\[\]@]+):(?P<port>\d{1,5})(?P<options>(\+[a-z-]+)*)$")
_MLLP_FORM = re.compile(
    r"^(?P<scheme>mllps?)://(?P<host>\[[^\]]+\]|[^:/\[\]@+]+):(?P<port>\d{1,5})/?(?P<options>(\+[a-z-]+)*)$"
)
# HD (HL7 v2.5.1, 2.A.36), at most 227 characters; what would need an escape is in no name of a system.
_HD = re.compile(r"^(?=.{1,227}$)[^|~\\&^\x00-\x1f\x7f]+(\^[^|~\\&^\x00-\x1f\x7f]*){0,2}$")
_WEB_FORM = re.compile(r"^(?P<url>https?://[^\s+]+?)(?P<options>(\+[a-z-]+)*)$")


def _ae_title(value: str) -> str:
    stripped = value.strip(" ")
    if not _AE_TITLE.match(stripped):
        raise ValueError("expected an AE title: 1 to 16 printable characters without backslash")
    return stripped


def _name(value: str) -> str:
    if not _NAME.match(value):
        raise ValueError("expected a short name of letters, digits, '_', '.', '-'")
    return value


def _hd(value: str) -> str:
    if not _HD.match(value):
        raise ValueError(
            "expected a name as in MSH: up to three parts with ^ between them (HD: name^identifier^type), without "
            "other HL7 delimiters"
        )
    return value


def _path(value: Path) -> Path:
    if _CONTROL.search(str(value)):
        raise ValueError("expected a path on one line, without control or invisible characters")
    if len(os.fsencode(value)) > _LONGEST_PATH or any(len(os.fsencode(part)) > _LONGEST_NAME for part in value.parts):
        raise ValueError(
            f"expected a path of at most {_LONGEST_PATH} bytes, and at most {_LONGEST_NAME} in one of its names"
        )
    return value


def _given(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("expected a path, got an empty text: leave the setting out where there is none")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if "@" in parts.netloc or "@" in value.partition("?")[0]:
        # Not the value itself: it holds a password.
        raise ValueError("expected a URL without a user, got one with: use +basic with a file or environment variable")
    if parts.scheme not in ("http", "https") or not is_host_of_url(host) or parts.query or parts.fragment:
        raise ValueError("expected the address of a web service, for example https://pacs.example/dicom-web")
    return value.rstrip("/")


AeTitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=1, le=65535)]
HierarchicDesignator = Annotated[str, AfterValidator(_hd)]
FilePath = Annotated[Path, BeforeValidator(_given), AfterValidator(_path)]
WebLogin = Literal["none", "basic", "bearer", "mtls"]
Compression = Literal["none", "pages", "all"]
"""Which results go compressed, where the peer accepts that: all is pages and segmentations."""

# What may stand behind any destination in the compact form, and the fields that it sets.
_COMMON: Final[Mapping[str, Mapping[str, Any]]] = {
    "verify": {"verify": True},
    **{name: {"profile": name} for name in PROFILES},
    **{encoding: {"seg_encoding": encoding} for encoding in get_args(SegEncoding)},
    "probability": {"probability_map": True},
}
_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "tls": {"tls": True},
    "commit": {"commit": True},
    **_COMMON,
    "uncompressed": {"compress": "none"},
    "deflated": {"compress": "all"},
}
_LOGINS: Final[Mapping[str, Mapping[str, Any]]] = {
    login: {"login": login} for login in get_args(WebLogin) if login != "none"
}
_WEB_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    **_LOGINS,
    **_COMMON,
    "compressed": {"compress": "pages"},
}
_FHIR_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {**_LOGINS, "fhir": {"message": "fhir"}}
_MLLP_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {"oru": {"message": "oru"}, "orc": {"order_segment": True}}
_FOR_WHICH: Final = (
    (_OPTIONS, "a DICOM destination"),
    (_WEB_OPTIONS, "a web destination"),
    (_FHIR_OPTIONS, "a FHIR destination"),
    (_MLLP_OPTIONS, "an MLLP destination"),
)


class _AnyDestination(BaseModel):
    """What all destinations have in common.

    Attributes:
        name: our own short name, used in rows, logs and reports.
        tls_ca: the CA that its certificate must come from; None: the node's `tls_ca`, and without that the system's
            CAs.
        tls_certificate, tls_key: what we show it, in place of the node's own.
        tls_check_name: whether its certificate has to name its host.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_name)]
    tls_ca: FilePath | None = None
    tls_certificate: FilePath | None = None
    tls_key: FilePath | None = None
    tls_check_name: bool = True

    def _options_of(self, known: Mapping[str, Mapping[str, Any]]) -> str:
        return "".join(f"+{word}" for word, set_to in known.items() if self._departs_by(set_to))

    def _departs_by(self, set_to: Mapping[str, Any]) -> bool:
        """Whether it has these values, and they are not the defaults."""
        fields = type(self).model_fields
        return all(value == getattr(self, name) != fields[name].default for name, value in set_to.items())

    def _check_tls_files(self) -> None:
        if self.tls_key is not None and self.tls_certificate is None:
            raise ValueError("expected tls_certificate with tls_key, got none")

    @property
    def _has_tls_settings(self) -> bool:
        return bool(self.tls_ca or self.tls_certificate or self.tls_key or not self.tls_check_name)


class _ObjectDestination(_AnyDestination):
    """What a DICOM peer and a DICOMweb server have in common.

    Attributes:
        profile: what the destination's viewers can show, see `dicom_node.node.profiles`.
        seg_encoding: of its segmentations, in place of the profile's.
        probability_map: whether it also gets the ensemble's probabilities (FRACTIONAL SEG).
        verify: whether a result counts as delivered only when the destination lists it (C-FIND, QIDO-RS).
    """

    profile: ProfileName = "generic"
    seg_encoding: SegEncoding | None = None
    probability_map: bool = False
    verify: bool = False

    @property
    def options(self) -> DeliveryOptions:
        """What it is sent: its profile, with the encoding that it wants in place of the profile's."""
        profile = PROFILES[self.profile]
        if self.seg_encoding is not None:
            profile = replace(profile, seg_encoding=self.seg_encoding)
        return DeliveryOptions(profile, self.probability_map)


class Destination(_ObjectDestination):
    """A DICOM peer that results are sent to by C-STORE.

    Attributes:
        ae_title: called AE title.
        host: name or address; IPv6 without brackets.
        port: TCP port of the peer's storage SCP.
        tls: whether to call it over TLS (PS3.15 B.12).
        commit: whether a result counts as delivered only when the peer takes responsibility for it (PS3.4 J).
        compress: which results go compressed, without loss, in a transfer syntax that the peer accepts.

    The others: see `_ObjectDestination` and `_AnyDestination`.
    """

    ae_title: AeTitle
    host: Annotated[str, AfterValidator(host_to_call)]
    port: Port
    tls: bool = False
    commit: bool = False
    compress: Compression = "pages"

    @model_validator(mode="after")
    def _check_together(self) -> Destination:
        if not self.tls and self._has_tls_settings:
            raise ValueError("expected tls = true with the other tls settings, got tls = false")
        self._check_tls_files()
        if self.commit and self.verify:
            raise ValueError("expected one proof, +commit or +verify: commitment is the stronger one; got both")
        return self

    @property
    def uses_tls(self) -> bool:
        """Whether it is called over TLS."""
        return self.tls

    @property
    def proof(self) -> Literal["commit", "verify"] | None:
        """What it promises to prove once a set is stored; None: its status is enough."""
        return "commit" if self.commit else "verify" if self.verify else None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.name}={self.ae_title}@{host}:{self.port}{self._options_of(_OPTIONS)}"


class _HttpDestination(_AnyDestination):
    """What web servers have in common.

    Attributes:
        url: of its service.
        login: none, HTTP Basic, a bearer token, or our TLS certificate (mutual TLS).
        secret_file: holds `USER:PASSWORD` or the token; None: the environment variable of `secret_of`.
    """

    url: Annotated[str, AfterValidator(_url)]
    login: WebLogin = "none"
    secret_file: FilePath | None = None

    def _check_login(self) -> None:
        if not self.uses_tls and self._has_tls_settings:
            raise ValueError("expected an https URL with the tls settings, got http")
        if not self.uses_tls and self.login != "none" and not is_loopback(urlsplit(self.url).hostname or ""):
            raise ValueError(
                f"expected an https URL with +{self.login}: over http everybody on the way reads the secret"
            )
        if self.secret_file is not None and self.login not in ("basic", "bearer"):
            raise ValueError("expected login basic or bearer with secret_file")
        self._check_tls_files()

    @property
    def host(self) -> str:
        """The host of its URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def uses_tls(self) -> bool:
        """Whether it is called over TLS."""
        return self.url.startswith("https:")


class WebDestination(_HttpDestination, _ObjectDestination):
    """A DICOMweb server that results are sent to by STOW-RS (PS3.18 10.5).

    Attributes:
        url: of its DICOMweb service, without `/studies`.
        compress: which results go compressed, without loss. None by default: a server negotiates nothing, and may take
            what its viewers do not show.

    The others: see `_HttpDestination`, `_ObjectDestination` and `_AnyDestination`.
    """

    compress: Literal["none", "pages"] = "none"

    @model_validator(mode="after")
    def _check_together(self) -> WebDestination:
        self._check_login()
        return self

    @property
    def proof(self) -> Literal["commit", "verify"] | None:
        """What it promises to prove once a set is stored; None: its answer is enough."""
        return "verify" if self.verify else None

    def __str__(self) -> str:
        return f"{self.name}={self.url}{self._options_of(_WEB_OPTIONS)}"


class _GetsReports(BaseModel):
    """A system without DICOM, which gets the report as a message; its answer is proof enough."""

    message: str

    @property
    def options(self) -> DeliveryOptions:
        """What it is sent."""
        return MESSAGE_OPTIONS[MessageKind(self.message)]

    @property
    def profile(self) -> str:
        """What stands in a list in place of a profile."""
        return self.message

    @property
    def proof(self) -> None:
        """None is asked for."""
        return


class FhirDestination(_GetsReports, _HttpDestination):
    """A FHIR R4 server that gets the report as a transaction (FHIR R4, http 3.1.0.11).

    Attributes:
        url: its base, for example https://ehr.example/fhir.
        message: always `fhir`.

    The others: see `_HttpDestination` and `_AnyDestination`.
    """

    message: Literal["fhir"] = "fhir"

    @model_validator(mode="after")
    def _check_together(self) -> FhirDestination:
        self._check_login()
        return self

    def __str__(self) -> str:
        mark = "" if _is_fhir_path(self.url) else "+fhir"
        return f"{self.name}={self.url}{mark}{self._options_of(_LOGINS)}"


class MllpDestination(_GetsReports, _AnyDestination):
    """An HL7 v2 receiver that gets the report as a message over MLLP (HL7 Transport Specification: MLLP, release 1).

    Attributes:
        host: name or address; IPv6 without brackets.
        port: its TCP port.
        message: always `oru`.
        tls: whether to call it over TLS; without it everybody on the way reads name and finding.
        sending_facility, receiving_application, receiving_facility: MSH-4 to MSH-6; None: empty.
        order_segment: whether ORC stands before OBR.

    The others: see `_AnyDestination`.
    """

    host: Annotated[str, AfterValidator(host_to_call)]
    port: Port
    message: Literal["oru"]
    tls: bool = True
    sending_facility: HierarchicDesignator | None = None
    receiving_application: HierarchicDesignator | None = None
    receiving_facility: HierarchicDesignator | None = None
    order_segment: bool = False

    @model_validator(mode="after")
    def _check_together(self) -> MllpDestination:
        if not self.tls and self._has_tls_settings:
            raise ValueError("expected mllps:// with the tls settings, got mllp://")
        self._check_tls_files()
        return self

    @property
    def uses_tls(self) -> bool:
        """Whether it is called over TLS."""
        return self.tls

    @property
    def is_open(self) -> bool:
        """Whether what is sent can be read on the way."""
        return not self.tls and not is_loopback(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.name}={'mllps' if self.tls else 'mllp'}://{host}:{self.port}{self._options_of(_MLLP_OPTIONS)}"


DESTINATION_KINDS: Final = ("dicom", "web", "fhir", "mllp")


def _is_fhir_path(url: str) -> bool:
    return "fhir" in urlsplit(url).path.lower().split("/")


def _kind(value: Any) -> str:
    """Which destination it is: an object's class, or the fields of one."""
    if isinstance(value, _AnyDestination):
        return next(kind for of, kind in _KIND_OF if isinstance(value, of))
    given = value if isinstance(value, Mapping) else {}
    if "url" in given:
        is_fhir = given.get("message") == "fhir" or (
            "message" not in given and isinstance(given["url"], str) and _is_fhir_path(given["url"])
        )
        return "fhir" if is_fhir else "web"
    return "mllp" if "message" in given else "dicom"


_KIND_OF: Final = (
    (Destination, "dicom"),
    (WebDestination, "web"),
    (FhirDestination, "fhir"),
    (MllpDestination, "mllp"),
)


def kind_of(destination: AnyDestination) -> str:
    """One of `DESTINATION_KINDS`."""
    return _kind(destination)


AnyDestination = Annotated[
    Annotated[Destination, Tag("dicom")]
    | Annotated[WebDestination, Tag("web")]
    | Annotated[FhirDestination, Tag("fhir")]
    | Annotated[MllpDestination, Tag("mllp")],
    Discriminator(_kind),
]


def fields_of_destinations() -> list[str]:
    """Every field that a destination may have."""
    return [field for of, _kind_name in _KIND_OF for field in of.model_fields]


def secret_of(destination: WebDestination | FhirDestination) -> str:
    """The secret of its login, see `dicom_node.node.secret_values`.

    Raises:
        ConfigurationError: there is none, or the file cannot be read; the secret itself is in no message.
    """
    what = "USER:PASSWORD" if destination.login == "basic" else "the token"
    owner = f"destination {destination.name}"
    return secret_value(owner, destination.name, destination.secret_file, f"+{destination.login}", what)


def split_destination(text: str, name: str | None = None) -> dict[str, Any]:
    """The fields of a compact form.

    Raises:
        ValueError: another form, or an option that is unknown or comes twice.
    """
    head, separator, rest = text.strip().partition("=")
    if not separator or head.startswith(("http:", "https:", "mllp:", "mllps:")):
        head, rest = "", text.strip()
    if (web := _WEB_FORM.match(rest)) is not None:
        host = urlsplit(web["url"]).hostname or "web"
        is_fhir = _is_fhir_path(web["url"]) or "+fhir" in web["options"]
        return {
            "name": name or head.strip() or _as_name(host),
            "url": web["url"],
            **_set_by_options(web["options"], _FHIR_OPTIONS if is_fhir else _WEB_OPTIONS),
        }
    if (mllp := _MLLP_FORM.match(rest)) is not None:
        return _mllp_fields(mllp, name or head.strip())
    match = _ADDRESS_FORM.match(rest)
    if match is None:
        forms = "NAME=AET@HOST:PORT[+OPTION...], NAME=https://HOST/PATH[+OPTION...] or NAME=mllps://HOST:PORT+oru"
        raise ValueError(f"expected {forms}, got {shown(text.strip())}")
    ae_title = match["ae"].strip()
    return {
        "name": name or head.strip() or _as_name(ae_title),
        "ae_title": ae_title,
        "host": match["host"].strip("[]"),
        "port": int(match["port"]),
        **_set_by_options(match["options"], _OPTIONS),
    }


def did_you_mean(word: str, known: Iterable[str], before: str = "") -> str:
    """`; did you mean X?`, or nothing when no known word is near."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {before}{near[0]}?" if near else ""


def _as_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text).lstrip("_.-") or "destination"


def _mllp_fields(found: re.Match[str], name: str) -> dict[str, Any]:
    host = found["host"].strip("[]")
    fields = _set_by_options(found["options"], _MLLP_OPTIONS)
    if "message" not in fields:
        raise ValueError(f"expected what is sent there, {found['scheme']}://HOST:PORT+oru, got no +oru")
    return {
        "name": name or _as_name(host),
        "host": host,
        "port": int(found["port"]),
        "tls": found["scheme"] == "mllps",
        **fields,
    }


def _set_by_options(options: str, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in options.split("+")[1:]:
        if word not in known:
            where = next((where for others, where in _FOR_WHICH if word in others), None)
            why = f": that one is for {where}" if where is not None else did_you_mean(word, known, "+")
            raise ValueError(f"expected one of +{', +'.join(known)}, got +{word}{why}")
        if twice := found.keys() & known[word].keys():
            raise ValueError(f"expected one value of {', '.join(twice)}, got another one by +{word}")
        found |= known[word]
    return found
