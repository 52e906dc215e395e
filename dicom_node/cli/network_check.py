"""What `config check` says about who can reach the node, and where results go.

Wrong is what cannot work as it stands. What may be meant so (another machine runs the receiver, the node runs already)
is a warning.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dicom_node.deliver.look import open_warning
from dicom_node.node.destinations import FhirDestination, MllpDestination
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.settings import Peer, Settings
from dicom_node.serve.ports import require_free


@dataclass(frozen=True)
class Said:
    """The outcome of a check that found nothing wrong; `warning`: worth a look anyway."""

    words: str
    warning: bool = False


def network_checks(settings: Settings) -> Iterator[tuple[str, Callable[[], Said]]]:
    """Names of the checks that these settings need, and the checks: ConfigurationError says what is wrong."""
    yield "bind", lambda: _check_bind(settings)
    for name in ("dicom_port", "dicom_tls_port"):
        if port := getattr(settings, name):
            yield name, lambda name=name, port=port: _check_port(settings.bind, name, port)  # type: ignore[misc]
    for peer in settings.peers:
        if peer.address is not None and _network_of(peer) is None:
            yield f"peer {peer}", lambda peer=peer: _check_name(peer)  # type: ignore[misc]
    if not settings.destinations:
        yield "destinations", _no_destinations
    elif all(isinstance(destination, FhirDestination | MllpDestination) for destination in settings.destinations):
        yield "destinations", _no_archive
    for destination in settings.destinations:
        if isinstance(destination, MllpDestination) and destination.is_open:
            words = f"{destination}:{open_warning(destination)}"
            yield f"TLS, destination {destination.name}", lambda words=words: Said(words, warning=True)  # type: ignore[misc]


def _check_bind(settings: Settings) -> Said:
    who = f"{settings.ae_title} listens on {settings.bind}"
    if not _is_loopback(settings.bind):
        if open_to_all := [str(peer) for peer in settings.peers if _is_anywhere(peer)]:
            names = ", ".join(open_to_all)
            words = f"{who}, and every machine that reaches that port may send to it as {names}"
            return Said(f"{words}: a title is no secret, so write its address, TITLE@ADDRESS", warning=True)
        if settings.peers:
            return Said(who)
        advice = "set WMH_NODE_PEERS to the AE titles and addresses that may"
        return Said(
            f"{who}, and every machine that reaches that port may send to it, under any AE title: {advice}",
            warning=True,
        )
    remote = [str(peer) for peer in settings.peers if not _may_be_here(peer)]
    if not remote:
        return Said(f"{who}: only programs on this machine can send to it; WMH_NODE_BIND=0.0.0.0 is every address")
    return Said(
        f"{who}, which no other machine can reach, but peers names other machines: {', '.join(remote)}; "
        "set WMH_NODE_BIND to an address of this machine, or to 0.0.0.0 for all of them",
        warning=True,
    )


def _check_port(bind: str, name: str, port: int) -> Said:
    try:
        require_free(bind, port, f"set {name}")
    except ConfigurationError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE:
            words = (
                f"{bind}:{port} is in use: expected when the node is already running; otherwise another program uses it"
            )
            return Said(f"{words}, so stop that program or set {name}", warning=True)
        return Said(f"{error} (for the receiver on this machine, as this user)", warning=True)
    return Said(f"{bind}:{port} is free")


def _check_name(peer: Peer) -> Said:
    assert peer.address is not None
    try:
        found = socket.getaddrinfo(peer.address, None, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise ConfigurationError(
            f"the name {peer.address!r} does not resolve here ({error.strerror}), so {peer.ae_title} is refused: "
            "correct the name, or write the IP address"
        ) from error
    return Said(f"calls from {', '.join(sorted({str(entry[4][0]) for entry in found}))}")


def _no_destinations() -> Said:
    return Said("none: results stay in the outbox; set WMH_NODE_DESTINATIONS to send them to a PACS", warning=True)


def _is_anywhere(peer: Peer) -> bool:
    """Whether a machine of any address may call under its title."""
    network = _network_of(peer)
    return peer.address is None or (network is not None and network.prefixlen == 0)


def _may_be_here(peer: Peer) -> bool:
    """Whether it can call from this machine. A name counts by what it resolves to; not at all is another check's."""
    if peer.address is None:
        return True
    network = _network_of(peer)
    if network is not None:
        return any(network.overlaps(ours) for ours in _LOOPBACK if network.version == ours.version)
    try:
        found = socket.getaddrinfo(peer.address, None, proto=socket.IPPROTO_TCP)
    except OSError:
        return True
    return any(_is_loopback(str(entry[4][0])) for entry in found)


_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _network_of(peer: Peer) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The addresses it may call from; None for a host name."""
    try:
        return ipaddress.ip_network((peer.address or "").partition("%")[0], strict=False)
    except ValueError:
        return None


def _no_archive() -> Said:
    words = "every destination takes reports, none takes objects: segmentations and pages stay in STORAGE alone"
    return Said(f"{words}; add a PACS, NAME=AET@HOST:PORT", warning=True)
