"""Settings: where they come from, which wins, and what an error says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from dicom_node.node.destinations import kind_of
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.profiles import PROFILES
from dicom_node.node.settings import (
    Destination,
    Peer,
    Settings,
    compact,
    load_settings,
    parse_destination,
    redacted,
    unknown_variables,
)
from dicom_node.node.tls import ClientTls, TlsFiles
from dicom_node.receive.receiver_settings import ReceiverSettings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("WMH_NODE_"):
            monkeypatch.delenv(name)


def test_defaults_run_on_one_machine() -> None:
    """With nothing set, the node listens on the loopback address and keeps an SQLite database beside its files."""
    settings = load_settings()
    assert (settings.ae_title, settings.bind, settings.dicom_port) == ("WMHNODE", "127.0.0.1", 11112)
    assert settings.database_url == f"sqlite:///{Path('wmh-node-data/node.sqlite').absolute()}"


def test_settings_do_not_change() -> None:
    """A setting cannot be changed after it was read."""
    with pytest.raises(ValidationError):
        load_settings().dicom_port = 1


def test_command_line_then_environment_then_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option of the command line beats a variable, that beats the TOML file, the file beats the default."""
    config = tmp_path / "node.toml"
    config.write_text('ae_title = "FILE"\ndicom_port = 104\nruntime = "tensorflow"\n')
    monkeypatch.setenv("WMH_NODE_AE_TITLE", "ENV")
    monkeypatch.setenv("WMH_NODE_RUNTIME", "tensorflow")
    settings = load_settings(config, runtime="openvino")
    assert (settings.ae_title, settings.dicom_port, settings.runtime) == ("ENV", 104, "openvino")


@pytest.mark.parametrize(
    "text",
    [
        "pacs=ORTHANC@10.0.0.5:4242, archive=OLD PACS@[fe80::1]:104",
        json.dumps(
            [
                {"name": "pacs", "ae_title": "ORTHANC", "host": "10.0.0.5", "port": 4242},
                {"name": "archive", "ae_title": "OLD PACS", "host": "fe80::1", "port": 104},
            ]
        ),
    ],
)
def test_destinations_from_the_environment(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Destinations read the same from the compact form and from JSON."""
    monkeypatch.setenv("WMH_NODE_DESTINATIONS", text)
    assert load_settings().destinations == (
        Destination(name="pacs", ae_title="ORTHANC", host="10.0.0.5", port=4242),
        Destination(name="archive", ae_title="OLD PACS", host="fe80::1", port=104),
    )


@pytest.mark.parametrize(
    "address",
    ["10.0.0.7:104", "[::1]:104", "10.0.0.0/33", "10.0.0.300", "scanner:104", "scanner/24", "two words", "a..b"],
)
def test_a_peer_whose_address_no_sender_can_have(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer with a port or a mistyped address would refuse every sender: said at once, with what came."""
    monkeypatch.setenv("WMH_NODE_PEERS", f"SCANNER1@{address}")
    with pytest.raises(ConfigurationError, match="without a port") as caught:
        load_settings()
    assert repr(address) in str(caught.value)
    assert "WMH_NODE_PEERS" in str(caught.value)
    with pytest.raises(ValidationError, match="without a port"):
        Peer(ae_title="SCANNER1", address=address)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("10.0.0.7/24", "10.0.0.7/24"),
        ("fe80::1", "fe80::1"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("ct1", "ct1"),
        ("3t-scanner_2.radiology.example.", "3t-scanner_2.radiology.example."),
    ],
)
def test_a_peer_by_address_network_or_name(written: str, read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """IPv4, IPv6 with and without brackets, networks and host names are taken as the receiver compares them."""
    monkeypatch.setenv("WMH_NODE_PEERS", f"SCANNER1@{written}, ORTHANC")
    assert load_settings().peers == (Peer(ae_title="SCANNER1", address=read), Peer(ae_title="ORTHANC"))


def test_destinations_and_peers_from_toml(tmp_path: Path) -> None:
    """In TOML, destinations are an array of tables and peers may be written in the compact form."""
    config = tmp_path / "node.toml"
    config.write_text(
        'peers = ["CT1@10.0.0.9", "ORTHANC"]\n[[destinations]]\nname="pacs"\nae_title="P"\nhost="h"\nport=104\n'
    )
    settings = load_settings(config)
    assert settings.destinations == (Destination(name="pacs", ae_title="P", host="h", port=104),)
    assert settings.peers == (Peer(ae_title="CT1", address="10.0.0.9"), Peer(ae_title="ORTHANC"))


def test_compact_form_round_trips(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `config show` prints for destinations can be set again."""
    monkeypatch.setenv("WMH_NODE_DESTINATIONS", "a=B@h:1, c=D@[::1]:2")
    destinations = load_settings().destinations
    monkeypatch.setenv("WMH_NODE_DESTINATIONS", compact(destinations))
    assert load_settings().destinations == destinations


@pytest.mark.parametrize(
    ("name", "value", "expected", "came"),
    [
        ("DICOM_PORT", "abc", "integer", "'abc'"),
        ("DICOM_PORT", "70000", "65535", "'70000'"),
        ("AE_TITLE", "SEVENTEEN_LETTERS", "1 to 16", "SEVENTEEN_LETTERS"),
        ("AE_TITLE", "BACK\\SLASH", "backslash", "SLASH"),
        ("RUNTIME", "torch", "openvino", "'torch'"),
        ("DESTINATIONS", "pacs", "NAME=AET@HOST:PORT", "'pacs'"),
        ("DESTINATIONS", "a=B@c:99999", "65535", "99999"),
        ("DESTINATIONS", "[{", "JSON", "[{"),
        ("QUIET_SECONDS", "-1", "greater than or equal to 0", "'-1'"),
    ],
)
def test_errors_name_the_setting(
    name: str, value: str, expected: str, came: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error names the variable, what was expected and what came."""
    monkeypatch.setenv(f"WMH_NODE_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    message = str(caught.value)
    assert f"WMH_NODE_{name}" in message
    assert expected in message
    assert came in message


def test_errors_name_the_file(tmp_path: Path) -> None:
    """An error in the TOML file names the file and the field; an unknown field is one."""
    config = tmp_path / "node.toml"
    config.write_text('dicom_port = "x"\ncolour = "red"\n')
    with pytest.raises(ConfigurationError, match=r"dicom_port in .*node\.toml.*colour in .*unknown setting"):
        load_settings(config)


@pytest.mark.parametrize("content", [b"x = [", b"\xff\xfe"])
def test_a_file_that_is_no_toml(content: bytes, tmp_path: Path) -> None:
    """A file that does not parse is a configuration error with its name."""
    config = tmp_path / "node.toml"
    config.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"node\.toml is not valid TOML"):
        load_settings(config)


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is a configuration error with its name."""
    with pytest.raises(ConfigurationError, match=r"cannot read the settings file .*absent\.toml"):
        load_settings(tmp_path / "absent.toml")


def test_two_destinations_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Destination names are keys of delivery rows, so they must differ."""
    monkeypatch.setenv("WMH_NODE_DESTINATIONS", "a=B@h:1, a=C@h:2")
    with pytest.raises(ConfigurationError, match="got twice: a"):
        load_settings()


def test_the_long_quiet_time_is_not_the_shorter_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An incomplete series never waits less than a complete one."""
    monkeypatch.setenv("WMH_NODE_QUIET_SECONDS", "100")
    with pytest.raises(ConfigurationError, match="quiet_seconds_incomplete"):
        load_settings()


def test_unknown_variables_are_found() -> None:
    """A typing error in a variable's name is found by `config check`."""
    assert unknown_variables({"WMH_NODE_DICOMPORT": "1", "WMH_NODE_DICOM_PORT": "2", "HOME": "/"}) == [
        "WMH_NODE_DICOMPORT"
    ]


def test_passwords_are_not_shown() -> None:
    """`config show` hides the database's password."""
    shown = redacted(load_settings(database_url="postgresql+psycopg://node:s3cret@db/wmh"))
    assert "s3cret" not in json.dumps(shown)
    assert "node:***@db" in shown["database_url"]


@pytest.mark.parametrize("text", ["", "AET", "AET@host", "AET@host:0", "AET@host:x", "@host:1", "A@b@:1"])
def test_bad_destination_on_the_command_line(text: str) -> None:
    """`--to` with anything but AET@HOST:PORT says what is expected."""
    with pytest.raises(ConfigurationError, match="AET@HOST:PORT"):
        parse_destination(text)


def test_a_destination_without_name_is_named_after_its_ae_title() -> None:
    """`--to AET@HOST:PORT` needs no name."""
    assert parse_destination("MY PACS@h:104") == Destination(name="MY-PACS", ae_title="MY PACS", host="h", port=104)


def test_the_published_rule_of_regions_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Periventricular is within 10 mm in plane unless set otherwise; threads are every core's unless set."""
    settings = load_settings()
    assert (settings.periventricular_mm, settings.periventricular_distance) == (10.0, "2d")
    assert settings.threads is None
    monkeypatch.setenv("WMH_NODE_PERIVENTRICULAR_MM", "7.5")
    monkeypatch.setenv("WMH_NODE_PERIVENTRICULAR_DISTANCE", "3d")
    monkeypatch.setenv("WMH_NODE_THREADS", "2")
    settings = load_settings()
    assert (settings.periventricular_mm, settings.periventricular_distance, settings.threads) == (7.5, "3d", 2)


@pytest.mark.parametrize(
    ("name", "value"), [("PERIVENTRICULAR_MM", "0"), ("PERIVENTRICULAR_DISTANCE", "4d"), ("THREADS", "0")]
)
def test_rules_that_mean_nothing_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A distance of 0, an unknown rule and no thread at all are refused by the setting's name."""
    monkeypatch.setenv(f"WMH_NODE_{name}", value)
    with pytest.raises(ConfigurationError, match=f"WMH_NODE_{name}: expected"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("p=P@h:104", {"profile": "generic", "seg_encoding": None, "probability_map": False}),
        ("p=P@h:104+legacy", {"profile": "legacy"}),
        ("p=P@h:104+tls+slicer+labelmap+probability", {"tls": True, "profile": "slicer", "probability_map": True}),
    ],
)
def test_profiles_of_destinations(text: str, fields: dict[str, object]) -> None:
    """Behind a destination stands its profile; the compact form is read back as it was written."""
    destination = parse_destination(text)
    assert {name: getattr(destination, name) for name in fields} == fields
    assert str(destination) == text
    labelmap = "labelmap" in text
    assert destination.options.profile.seg_encoding == ("labelmap" if labelmap else "binary")
    assert destination.options.profile.objects == PROFILES[destination.profile].objects
    assert destination.options.probability_map == destination.probability_map


@pytest.mark.parametrize("options", ["+standard", "+legacy+ohif", "+tls+tls", "+"])
def test_what_no_profile_is_called_is_refused(options: str) -> None:
    """An unknown option, or two that contradict each other, is refused with the options that there are."""
    with pytest.raises(ConfigurationError, match="expected"):
        parse_destination(f"p=P@h:104{options}")


def test_tls_destinations_and_their_files() -> None:
    """`+tls` turns TLS on; a destination's own files win over the node's, which stand in for what it does not name."""
    settings = load_settings(tls_certificate="/n.pem", tls_key="/n.key", tls_ca="/ca.pem")
    plain, secure = parse_destination("P@h:104"), parse_destination("p=P@h:2762+tls")
    assert str(secure) == "p=P@h:2762+tls"
    assert settings.client_tls(plain) is None
    assert settings.client_tls(secure) == ClientTls(TlsFiles(Path("/n.pem"), Path("/n.key"), Path("/ca.pem")))
    own = Destination(**{**secure.model_dump(), "tls_certificate": "/d.pem", "tls_check_name": False})
    assert settings.client_tls(own) == ClientTls(TlsFiles(Path("/d.pem"), None, Path("/ca.pem")), check_name=False)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dicom_tls_port": 2762}, "tls_certificate: expected a PEM file"),
        ({"tls_key": "/k.pem"}, "tls_certificate: expected a PEM file"),
        ({"dicom_tls_port": 11112, "tls_certificate": "/c.pem"}, "expected another port than dicom_port"),
        ({"dicom_port": 0}, "expected a port, or dicom_tls_port"),
        ({"destinations": [{"name": "p", "ae_title": "P", "host": "h", "port": 1, "tls_ca": "/c"}]}, "tls = true"),
    ],
)
def test_half_a_tls_setting_is_refused(values: dict[str, object], words: str) -> None:
    """Settings that only make sense together are asked for together."""
    with pytest.raises(ConfigurationError, match=words):
        load_settings(None, **values)


def test_the_receivers_limits_can_be_set() -> None:
    """What an administrator sets reaches the receiver."""
    settings = load_settings(max_object_bytes=2**30, reserve_bytes=5, grace_seconds=7, network_timeout_seconds=90)
    receiver = ReceiverSettings.of(settings)
    assert (receiver.max_object_bytes, receiver.max_drained_bytes, receiver.reserve_bytes) == (2**30, 2**31, 5)
    assert (receiver.grace_seconds, receiver.idle_seconds) == (7, 90)
    assert (receiver.tls_port, receiver.tls) == (0, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quiet_seconds", "inf"),
        ("quiet_seconds", "1e300"),
        ("lease_seconds", "nan"),
        ("delivery_days", "inf"),
        ("delivery_days", "1e300"),
        ("network_timeout_seconds", "-inf"),
        ("max_object_bytes", "1" + 30 * "0"),
        ("max_attempts", "1" + 30 * "0"),
        ("dicom_port", "true"),
        ("storage", '["a"]'),
        ("storage", "5"),
        ("storage", '""'),
        ("storage", '"a\\u0000b"'),
        ("model", '["a"]'),
        ("database_url", '["a"]'),
        ("database_url", '"mysql://user:secret@host/name"'),
        ("bind", '["a"]'),
        ("bind", '"999.1.1.1"'),
        ("bind", '"10.0.0.1:11112"'),
        ("bind", '"224.0.0.1"'),
        ("bind", '"not an address"'),
        ("destinations", '"a=B@300.1.1.1:104"'),
        ("destinations", '"a=B@0.0.0.0:104"'),
        ("destinations", '"a=B@ho st:104"'),
        ("destinations", "5"),
        ("destinations", "[5]"),
        ("destinations", '[{name="a", ae_title="B", host=["x"], port=1}]'),
        ("destinations", '[{name="a", ae_title="B", host="10.0.0.1:104", port=1}]'),
        ("peers", '"A@224.0.0.1"'),
        ("peers", '[["a"]]'),
        ("destinations", '"a=B@0.1.2.3:104"'),
        ("destinations", '"a=B@255.255.255.254:104"'),
        ("destinations", '"a=B@[::ffff:224.0.0.1]:104"'),
        ("destinations", '"a=https://10.0.0.300/dicom-web"'),
        ("destinations", '"a=https://0.0.0.0/dicom-web"'),
        ("destinations", '"ris=mllps://224.0.0.1:2575+oru"'),
        ("bind", '"240.0.0.1"'),
        ("metrics_bind", '"not an address"'),
        ("metrics_bind", '"10.0.0.1:9090"'),
        ("metrics_bind", '"999.1.1.1"'),
        ("mail_server", '"10.0.0.300:25"'),
        ("audit_repository", '"..."'),
        ("webhook_url", '"https://10.0.0.300/hook"'),
        ("web_url", '"https://10.0.0.300"'),
        ("web_url", '"https://node.example:99999"'),
        ("web_oidc_issuer", '"https://0.0.0.0/realm"'),
        ("object_store_endpoint", '"https://1.2.3"'),
        ("database_url", "[]"),
        ("database_url", "0"),
        ("model", '""'),
        ("tls_ca", '"  "'),
        ("storage", '"a\\nb"'),
        ("storage", '"\\u200bstorage"'),
        ("storage", f'"{"x" * 256}"'),
        ("model", f'"{"x/" * 3000}"'),
        ("metrics_port", "11112"),
        ("web_port", "11112"),
        ("bind", f'"{"x" * 100_000}"'),
        ("working_hours", f'"{"x" * 100_000}"'),
        ("destinations", f'"{"x" * 100_000}"'),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    """Numbers without end, lists for strings and impossible addresses: an error that names the setting, no traceback,
    and no password."""
    config = tmp_path / "node.toml"
    config.write_text(f"{name} = {value}\n")
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_settings(config)
    assert "secret" not in str(caught.value)
    assert "expected" in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("name", "value"),
    [("bind", "0.0.0.0"), ("bind", "::"), ("bind", "localhost"), ("metrics_bind", "::"), ("web_port", "0"),
     ("mail_server", "[2001:db8::1]:25"), ("audit_repository", "syslog.hospital"), ("web_url", "https://[::1]:8443/"),
     ("object_store_endpoint", "http://minio:9000"), ("storage", "/srv/Bilder für uns"),
     ("peers", "A@10.0.0.0/24, B@::1, C"),
     ("destinations", "a=B@[fe80::1]:104+tls, c=D@pacs_2.hospital:104"), ("quiet_seconds", "0")],
)  # fmt: skip
def test_what_may_be_meant_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Also with what a Windows editor leaves at the end of a line of an environment file."""
    for text in (value, f"{value}\r", f"\ufeff{value} "):
        monkeypatch.setenv(f"WMH_NODE_{name.upper()}", text)
        more = {"mail_to": ["a@b.example"]} if name == "mail_server" else {}
        load_settings(None, **more)


def test_a_file_of_a_windows_editor(tmp_path: Path) -> None:
    """A byte order mark and CRLF are read; other encodings are named with what to do."""
    config = tmp_path / "node.toml"
    config.write_bytes(b'\xef\xbb\xbfstorage = "node-data"\r\ndicom_port = 21199\r\n')
    assert (load_settings(config).storage, load_settings(config).dicom_port) == (Path("node-data"), 21199)
    config.write_bytes("dicom_port = 21199\r\n".encode("utf-16"))
    with pytest.raises(ConfigurationError, match="UTF-16"):
        load_settings(config)
    config.write_bytes("# Krankenhaus Köln\r\ndicom_port = 21199\r\n".encode("cp1252"))
    with pytest.raises(ConfigurationError, match="save it as UTF-8"):
        load_settings(config)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("pacs=P@h:104+comit", r"got \+comit; did you mean \+commit\?"),
        ("pacs=P@h:104+commit+verify", r"one proof, \+commit or \+verify"),
        ("pacs=P@h:104+bearer", r"that one is for a web destination"),
        ("web=https://h/dicom-web+commit", r"that one is for a DICOM destination"),
        ("web=http://pacs.example/dicom-web+bearer", r"expected an https URL with \+bearer"),
        ("web=https://user:secret@h/dicom-web", r"expected a URL without a user"),
        ("ris=mllps://h:2575", r"expected what is sent there, mllps://HOST:PORT\+oru, got no \+oru"),
        ("ris=mllps://h:2575+oru+commit", r"got \+commit: that one is for a DICOM destination"),
        ("ris=mllps://h:99999+oru", r"port"),
        ("ehr=https://h/fhir+verify", r"got \+verify"),
        ("ehr=http://h/fhir+bearer", r"expected an https URL with \+bearer"),
        ("pacs=P@h:104+oru", r"got \+oru: that one is for an MLLP destination"),
    ],
)
def test_destinations_that_cannot_be(written: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options that are mistyped, contradict each other or show a secret are refused with what was meant."""
    monkeypatch.setenv("WMH_NODE_DESTINATIONS", written)
    with pytest.raises(ConfigurationError, match=words):
        load_settings()


def test_reports_to_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Destinations of HL7 and FHIR read and write the same, also from TOML fields; a path that says fhir needs no
    option."""
    written = (
        "ris=mllps://10.0.0.8:2575+oru, lab=mllp://[::1]:2576+oru, ehr=https://ehr.example/fhir+bearer, "
        "api=https://ehr.example/api/r4+fhir+basic, web=https://pacs.example/dicom-web"
    )
    monkeypatch.setenv("WMH_NODE_DESTINATIONS", written)
    settings = load_settings()
    assert compact(settings.destinations) == written
    assert [kind_of(one) for one in settings.destinations] == ["mllp", "mllp", "fhir", "fhir", "web"]
    assert [one.uses_tls for one in settings.destinations] == [True, False, True, True, True]
    assert [one.options.message for one in settings.destinations] == ["oru", "oru", "fhir", "fhir", None]
    fields = [
        {"name": "ris", "host": "10.0.0.8", "port": 2575, "message": "oru", "tls_ca": "/etc/ca.pem"},
        {"name": "ehr", "url": "https://ehr.example/r4", "message": "fhir", "login": "mtls"},
    ]
    made = Settings(destinations=fields).destinations
    assert [str(one) for one in made] == ["ris=mllps://10.0.0.8:2575+oru", "ehr=https://ehr.example/r4+fhir+mtls"]


def test_what_destinations_prove(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compact forms of DICOM and web destinations read and write the same, with the proof that each promises."""
    written = (
        "pacs=PACS@10.0.0.5:104+commit, archive=A@10.0.0.6:104+tls+verify, "
        "web=https://pacs.example/dicom-web+bearer+verify+legacy"
    )
    monkeypatch.setenv("WMH_NODE_DESTINATIONS", written)
    monkeypatch.setenv("WMH_NODE_PEERS", "SCANNER1@10.0.0.7+report:104, PACS")
    settings = load_settings()
    assert compact(settings.destinations) == (
        "pacs=PACS@10.0.0.5:104+commit, archive=A@10.0.0.6:104+tls+verify, "
        "web=https://pacs.example/dicom-web+bearer+verify+legacy"
    )
    assert [destination.proof for destination in settings.destinations] == ["commit", "verify", "verify"]
    assert {title: address.port for title, address in settings.report_addresses().items()} == {
        "PACS": 104, "A": 104, "SCANNER1": 104,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "fields"),
    [
        ("PACS", ("PACS", None, None, None)),
        ("CT1+priority:high", ("CT1", None, "high", None)),
        ("CT1@10.0.0.7+priority:low+report:104", ("CT1", "10.0.0.7", "low", 104)),
        ("CT1@10.0.0.7+report:104+priority:low", ("CT1", "10.0.0.7", "low", 104)),
        ("CT+1@[fe80::7]+priority:medium", ("CT+1", "fe80::7", "medium", None)),
    ],
)
def test_what_peers_may_say(monkeypatch: pytest.MonkeyPatch, written: str, fields: tuple[object, ...]) -> None:
    """The compact form of a peer has its priority and its port for reports in any order, and is read as it is shown."""
    for text in (written, None):
        monkeypatch.setenv("WMH_NODE_PEERS", text or compact(load_settings().peers))
        (peer,) = load_settings().peers
        assert (peer.ae_title, peer.address, peer.priority, peer.report_port) == fields


def test_a_peer_of_unknown_priority_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which priorities there are."""
    monkeypatch.setenv("WMH_NODE_PEERS", "CT1+priority:urgent")
    with pytest.raises(ConfigurationError, match="'high', 'medium' or 'low'"):
        load_settings()


@pytest.mark.parametrize(
    ("work", "store", "copies"),
    [("all", None, False), ("analyse", None, False), ("complete", "file:///o", False), ("analyse", "file:///o", True)],
)
def test_whose_storage_is_the_truth(work: str, store: str | None, copies: bool) -> None:
    """Only a machine that only analyses, through an object store, holds copies."""
    given = {} if store is None else {"object_store": store}
    assert load_settings(work=work, **given).holds_copies is copies


@pytest.mark.parametrize("store", ["bucket", "https://bucket", "s3://"])
def test_an_object_store_is_a_url(store: str) -> None:
    """Another text is refused where it is set."""
    with pytest.raises(ConfigurationError, match="s3://BUCKET/PREFIX or file:///FOLDER"):
        load_settings(object_store=store)
