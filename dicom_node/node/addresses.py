"""What may stand for an address in the settings: of ours to listen on, of a peer that calls, of one that we call."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

# RFC 1123 2.1, with the underscores that local names have. All digits at the end is a mistyped IP address.
_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[A-Za-z0-9_][A-Za-z0-9_-]{0,62}\.)*(?!\d+\.?\Z)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}\.?"
)
_MOST_SHOWN: Final = 120
_THIS_NETWORK: Final = ipaddress.ip_network("0.0.0.0/8")
_RESERVED: Final = ipaddress.ip_network("240.0.0.0/4")  # and broadcast
_OF_NO_MACHINE: Final = (_THIS_NETWORK, _RESERVED)  # RFC 6890 2.2.2


def shown(value: object) -> str:
    """What came, for a message: not longer than a line, on one line."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def peer_address(value: str | None) -> str | None:
    """An address, network or name that a peer calls from.

    Raises:
        ValueError: none of these.
    """
    if value is None or _is_network(value) or _one_host(value):
        return value
    raise ValueError(
        "expected an IP address, a network (10.0.0.0/24) or a host name, without a port: a scanner calls from any "
        f"port; got {shown(value)}"
    )


def host_to_call(value: str) -> str:
    """An address or name that a connection can be made to.

    Raises:
        ValueError: neither, or an address of no single machine.
    """
    if _one_host(value):
        return value
    raise ValueError(f"expected the IP address or the host name of one machine, without a port, got {shown(value)}")


def address_to_bind(value: str) -> str:
    """An address or name of this machine; 0.0.0.0 and :: are all of its addresses.

    Raises:
        ValueError: neither.
    """
    address = _ip(value)
    if address is not None and (address.is_unspecified or _one_host(value)):
        return value
    if address is None and _HOST_NAME.fullmatch(value):
        return value
    raise ValueError(
        f"expected an IP address or a name of this machine, without a port (0.0.0.0: every address), got {shown(value)}"
    )


def is_host_of_url(value: str | None) -> bool:
    """Whether the host of a URL, an IPv6 address without its brackets, is one machine that can be called."""
    return value is not None and _one_host(value)


def is_every_address(*values: str) -> bool:
    """Whether one of them is all addresses of this machine."""
    return any(address.is_unspecified for value in values if (address := _ip(value)) is not None)


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    address = _ip(host)
    return host == "localhost" if address is None else address.is_loopback


def _one_host(value: str) -> bool:
    address = _ip(value)
    if address is None:
        return bool(_HOST_NAME.fullmatch(value))
    if address.is_multicast or address.is_unspecified:
        return False
    return not any(address in network for network in _OF_NO_MACHINE if network.version == address.version)


def _ip(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address; of an IPv4 one that is written as IPv6 (::ffff:10.0.0.7) what it stands for."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_network(value: str) -> bool:
    """A network with its mask, as the receiver reads it."""
    if "/" not in value:
        return False
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True
