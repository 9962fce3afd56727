"""Which clients may connect over TLS: by their certificate, and by the addresses they may connect from (R54)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Generic, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from authproxy.listeners.radius.clients import Network
from authproxy.values import light_dataclass

T = TypeVar("T")


@light_dataclass(frozen=True, slots=True)
class CertificateNames:
    """The names by which a certificate can be recognised. `names`: DNS names in lower case, and IP addresses (IPv6 in
    short form).
    """

    names: frozenset[str]
    fingerprints: frozenset[str]  # SHA-256 of the whole certificate, lower-case hex

    def __bool__(self) -> bool:
        return bool(self.names or self.fingerprints)


@light_dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """One client: its certificate has one of these names, and it connects from one of these networks."""

    networks: tuple[Network, ...]
    certificate: CertificateNames
    value: T


class IdentityTable(Generic[T]):
    """The clients of a port."""

    def __init__(self, entries: Iterable[Known[T]] = ()) -> None:
        self._entries: Sequence[Known[T]] = list(entries)

    def expects(self, ip: str) -> bool:
        """Whether any client may connect from this address; for others no handshake is begun."""
        return any(_within(ip, entry) for entry in self._entries)

    def find(self, ip: str, certificate: x509.Certificate) -> T | None:
        """The one client with this certificate and address. None: there is none, or it could be two.

        The chain has been verified before. Only subjectAltName counts, and names are compared as a whole: wildcards and
        common names are never used (T1).
        """
        shown = names_of(certificate)
        found = [
            entry.value
            for entry in self._entries
            if _within(ip, entry) and _matches(shown, entry.certificate)
        ]
        return found[0] if len(found) == 1 else None


def names_of(certificate: x509.Certificate) -> CertificateNames:
    """The names by which this certificate can be recognised."""
    names: set[str] = set()
    # One that can't be parsed has no names; its fingerprint may be known still.
    with contextlib.suppress(x509.ExtensionNotFound, ValueError):
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names |= {name.lower().removesuffix(".") for name in alternative.get_values_for_type(x509.DNSName)}
        # An address that is written as a DNS name is none.
        names = {name for name in names if name and not _is_address(name)}
        names |= {
            str(address)
            for address in alternative.get_values_for_type(x509.IPAddress)
            if isinstance(address, (IPv4Address, IPv6Address))
        }
    return CertificateNames(frozenset(names), frozenset((certificate.fingerprint(hashes.SHA256()).hex(),)))


def _matches(shown: CertificateNames, wanted: CertificateNames) -> bool:
    return bool(shown.names & wanted.names or shown.fingerprints & wanted.fingerprints)


def _within(ip: str, entry: Known[T]) -> bool:
    address = ip_address(ip)
    return any(address.version == network.version and address in network for network in entry.networks)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
