"""Certificates for tests, made with openssl when a test asks for them: an authority, and what it signs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.peers import peer

from dicom_node.node.tls import TlsFiles


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """A CA of its own in `folder`; EC keys, since RSA keys take long to make."""

    def __init__(self, folder: Path, name: str = "test CA") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = folder / "ca.key"
        self.certificate = folder / "ca.pem"
        _openssl(
            "req", "-x509", *_new_key(self._key), "-subj", f"/CN={name}", "-days", "30", "-out", self.certificate,
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip

    def issue(self, name: str, *, dates: tuple[str, str] | None = None, names: str = "IP:127.0.0.1") -> Issued:
        """Sign a certificate for `name`.

        Args:
            name: its common name, and of its files.
            dates: first and last day, YYMMDD; from now on for 30 days by default.
            names: subject alternative names.
        """
        key, request = self._folder / f"{name}.key", self._folder / f"{name}.csr"
        certificate, settings = self._folder / f"{name}.pem", self._folder / f"{name}.cnf"
        _openssl("req", *_new_key(key), "-subj", f"/CN={name}", "-out", request)
        (self._folder / "index.txt").write_text("")
        settings.write_text(
            "[ca]\ndefault_ca=own\n[own]\npolicy=any\nunique_subject=no\nrand_serial=yes\ndefault_md=sha256\n"
            f"default_days=30\ndatabase={self._folder}/index.txt\nnew_certs_dir={self._folder}\nx509_extensions=device\n"
            f"[any]\ncommonName=supplied\n[device]\nsubjectAltName={names}\n"
        )
        between = () if dates is None else ("-startdate", f"{dates[0]}000000Z", "-enddate", f"{dates[1]}000000Z")
        _openssl(
            "ca", "-batch", "-notext", "-config", settings, "-cert", self.certificate, "-keyfile", self._key,
            "-in", request, "-out", certificate, *between,
        )  # fmt: skip
        return Issued(certificate, key)

    def expired(self, name: str) -> Issued:
        """A certificate that ended years ago."""
        return self.issue(name, dates=("200101", "200201"))

    def files(self, issued: Issued, *, ca: bool = True) -> TlsFiles:
        """As our own side takes them, trusting this authority."""
        return TlsFiles(issued.certificate, issued.key, self.certificate if ca else None)


def _new_key(path: Path) -> list[object]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", path]


def _openssl(*arguments: object) -> None:
    done = subprocess.run([peer("openssl"), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
