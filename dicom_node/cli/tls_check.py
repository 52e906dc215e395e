"""What `config check` says about TLS: files, dates, and what is open without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from dicom_node.node.destinations import AnyDestination
from dicom_node.node.settings import Settings
from dicom_node.node.tls import ClientTls, ServerContext, TlsFiles, client_context, inspect, readable_by_all

_RENEW_DAYS = 30


def tls_checks(settings: Settings) -> Iterator[tuple[str, Callable[[], str]]]:
    """Names of the checks that these settings need, and the checks.

    A check gives the words for "ok" and raises ConfigurationError for what is wrong.
    """
    files = settings.tls_files
    if settings.dicom_tls_port is not None:
        yield f"TLS, port {settings.dicom_tls_port}", lambda: _check_server(settings, files)
    elif files.certificate is not None:
        yield "TLS certificate", lambda: _words_of(files, as_server=False)
    for destination in settings.destinations:
        tls = settings.client_tls(destination)
        if tls is not None:
            yield f"TLS, destination {destination.name}", partial(_check_client, destination, tls)


def _check_server(settings: Settings, files: TlsFiles) -> str:
    ServerContext(files)
    clients = "any peer may call" if files.ca is None else f"peers need a certificate of {files.ca}"
    plain = f"; port {settings.dicom_port} is open without TLS" if settings.dicom_port else ""
    return f"{_words_of(files, as_server=True)}; {clients}{plain}"


def _check_client(destination: AnyDestination, tls: ClientTls) -> str:
    client_context(tls)
    ca = "the CAs of this system" if tls.files.ca is None else str(tls.files.ca)
    name = f"must name {destination.host}" if tls.check_name else "may name anything"
    own = "no certificate of the node" if tls.files.certificate is None else _words_of(tls.files, as_server=False)
    return f"its certificate must come from {ca} and {name}; {own}"


def _words_of(files: TlsFiles, *, as_server: bool) -> str:
    facts = inspect(replace(files, ca=None), as_server=as_server)
    left = facts.days_left()
    soon = ": renew it soon" if left < _RENEW_DAYS else ""
    key = files.key or files.certificate
    open_to_all = f"; every user of this machine can read the key {key}" if _is_open(key) else ""
    return f"{files.certificate} is valid until {facts.not_after:%Y-%m-%d} ({left} days{soon}){open_to_all}"


def _is_open(key: Path | None) -> bool:
    return key is not None and readable_by_all(key)
