"""Who may ask: clients by network, the most specific prefix first (R10, R11)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Generic, TypeVar

from authproxy.secret import Secret
from authproxy.values import light_dataclass

Network = IPv4Network | IPv6Network
T = TypeVar("T")

# Addresses whose prefix has been looked up; a flood from made-up addresses must not grow it.
_MOST_KNOWN = 65_536


class RequireMessageAuthenticator(StrEnum):
    YES = "yes"
    AUTO = "auto"  # until the first one that is seen; from then on, yes (R19)
    NO = "no"


@light_dataclass(frozen=True, slots=True)
class Client:
    """A configured client. `key` identifies it in what survives a restart."""

    name: str
    key: str
    networks: tuple[Network, ...]
    secret: Secret = field(repr=False)
    require_message_authenticator: RequireMessageAuthenticator = RequireMessageAuthenticator.AUTO
    # R18: for the rare NAS that drops a reply for carrying one.
    omit_message_authenticator: bool = False
    # Its certificate has said who it is, and nobody on the way can change what it sends (RFC 6614 §2.3).
    over_tls: bool = False


class PrefixTable(Generic[T]):
    """Finds the value of the most specific network that contains an address."""

    def __init__(self, entries: Iterable[tuple[Network, T]]) -> None:
        """Raises ValueError if a prefix has two values."""
        by_length: dict[tuple[int, int], dict[int, T]] = {}
        for network, value in entries:
            width = network.max_prefixlen
            known = by_length.setdefault((width, network.prefixlen), {})
            prefix = int(network.network_address) >> (width - network.prefixlen)
            if known.setdefault(prefix, value) is not value:
                raise ValueError(f"{network} stands for two clients")
        self._lengths: Sequence[tuple[int, int, dict[int, T]]] = [
            (width, length, prefixes)
            for (width, length), prefixes in sorted(by_length.items(), key=lambda item: -item[0][1])
        ]
        self._known: dict[str, T] = {}

    def find(self, ip: str) -> T | None:
        """None: no network contains it. Raises ValueError if `ip` isn't an address."""
        if (value := self._known.get(ip)) is not None:
            return value
        address = ip_address(ip)
        number = int(address)
        for width, length, prefixes in self._lengths:
            if width == address.max_prefixlen:
                value = prefixes.get(number >> (width - length))
                if value is not None:
                    if len(self._known) >= _MOST_KNOWN:
                        self._known.clear()
                    self._known[ip] = value
                    return value
        return None
