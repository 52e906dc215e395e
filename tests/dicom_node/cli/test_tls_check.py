"""What `config check` says about TLS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.node import clean_environment, run_cli

from dicom_node.cli.tls_check import tls_checks
from dicom_node.node.destinations import Destination, WebDestination
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import Settings

pytestmark = pytest.mark.peer("openssl")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The hospital's CA."""
    return Authority(tmp_path)


def checks(**values: Any) -> dict[str, Callable[[], str]]:
    """The checks of these settings by name."""
    return dict(tls_checks(Settings(**values)))


def test_nothing_is_said_without_tls() -> None:
    """No TLS set: no check."""
    assert checks() == {}


def test_files_of_our_own_port(authority: Authority, tmp_path: Path) -> None:
    """Until when the certificate is valid, who may call, what else is open; and each thing that is wrong, by name."""
    good, other, old = authority.issue("good"), authority.issue("other"), authority.expired("old")

    def check(**values: Any) -> str:
        return checks(dicom_tls_port=2762, tls_ca=authority.certificate, **values)["TLS, port 2762"]()

    good.key.chmod(0o600)
    said = check(tls_certificate=good.certificate, tls_key=good.key)
    for words in ("good.pem is valid until", "29 days", "renew it soon", "peers need a certificate", "11112 is open"):
        assert words in said
    assert "every user" not in said
    good.key.chmod(0o644)
    assert "every user" in check(tls_certificate=good.certificate, tls_key=good.key, dicom_port=0)
    with pytest.raises(ConfigurationError, match=r"old\.pem has expired"):
        check(tls_certificate=old.certificate, tls_key=old.key)
    with pytest.raises(ConfigurationError, match=r"other\.key does not belong"):
        check(tls_certificate=good.certificate, tls_key=other.key)
    with pytest.raises(ConfigurationError, match=r"no\.pem cannot be read"):
        check(tls_certificate=tmp_path / "no.pem")


def test_a_web_destination() -> None:
    """Of a DICOMweb server the certificate must name the host of its URL."""
    web = WebDestination(name="archive", url="https://archive.example:8443/dicom-web")
    assert "must name archive.example;" in checks(destinations=(web,))["TLS, destination archive"]()


def test_files_of_a_destination(authority: Authority, tmp_path: Path) -> None:
    """What its certificate has to be, and whether ours can be shown to it; its own files win over the node's."""
    good, old = authority.issue("good"), authority.expired("old")
    to = {"name": "pacs", "ae_title": "P", "host": "pacs.example", "port": 2762, "tls": True}

    def check(**values: Any) -> str:
        one = Destination(**{**to, **values})
        return checks(destinations=(one,), tls_certificate=good.certificate, tls_key=good.key)[
            "TLS, destination pacs"
        ]()

    assert "the CAs of this system and must name pacs.example" in check()
    assert "good.pem is valid until" in check()
    assert f"{authority.certificate} and may name anything" in check(tls_ca=authority.certificate, tls_check_name=False)
    with pytest.raises(ConfigurationError, match=r"old\.pem has expired"):
        check(tls_certificate=old.certificate, tls_key=old.key)
    with pytest.raises(ConfigurationError, match=r"no\.pem cannot be read"):
        check(tls_ca=tmp_path / "no.pem")


def test_the_command_shows_it(authority: Authority, tmp_path: Path) -> None:
    """`config check` lists the finding and exits 1 for an expired certificate."""
    old = authority.expired("old")
    values = {"storage": tmp_path / "s", "dicom_tls_port": 2762, "tls_certificate": old.certificate, "tls_key": old.key}
    environment = clean_environment() | {f"WMH_NODE_{name.upper()}": str(value) for name, value in values.items()}
    assert "old.pem has expired" in run_cli("config", "check", environment=environment, code=1).stdout
