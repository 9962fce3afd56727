"""The PROXY protocol, versions 1 and 2 (haproxy's doc/proxy-protocol.txt): the client's address from a balancer."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.values import light_dataclass

_V1_LONGEST = 107  # §2.1, with its CRLF
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_HEAD = struct.Struct("!12sBBH")
_V2_LONGEST = 4096  # §2.2 has no limit that helps; addresses and extensions are some hundred octets
_LOCAL, _PROXY = 0x20, 0x21
_OVER_TCP4, _OVER_TCP6 = 0x11, 0x21


@light_dataclass(frozen=True, slots=True)
class Header:
    """`address` None: the balancer speaks for itself, as in a health check. `length`: octets of the header."""

    address: str | None
    length: int


def read_header(octets: bytes) -> Header | None:
    """The header at the beginning of these octets. None: it isn't complete yet. Raises MalformedMessage."""
    if octets[:12] == _SIGNATURE[: len(octets)]:
        return _version_2(octets)
    if octets[:6] == b"PROXY "[: len(octets)]:
        return _version_1(octets)
    raise MalformedMessage("proxy_protocol", "no PROXY header from a balancer")


def _version_1(octets: bytes) -> Header | None:
    end = octets.find(b"\r\n", 0, _V1_LONGEST)
    if end < 0:
        if len(octets) >= _V1_LONGEST:
            raise MalformedMessage("proxy_protocol", "a PROXY line without an end")
        return None
    match octets[:end].decode("latin-1").split(" "):
        case ["PROXY", "UNKNOWN", *_]:
            return Header(None, end + 2)
        case ["PROXY", "TCP4" | "TCP6" as kind, source, destination, source_port, destination_port]:
            ports = (source_port, destination_port)
            if all(port.isascii() and port.isdigit() and int(port[:6]) <= 0xFFFF for port in ports):
                version = 4 if kind == "TCP4" else 6
                _ = _address(destination, version)
                return Header(_address(source, version), end + 2)
        case _:
            pass
    raise MalformedMessage("proxy_protocol", "not a PROXY line")


def _address(text: str, version: int) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        raise MalformedMessage("proxy_protocol", "no address in a PROXY line") from None
    if address.version != version or "%" in text:
        raise MalformedMessage("proxy_protocol", "an address of another family in a PROXY line")
    return str(address)


def _version_2(octets: bytes) -> Header | None:
    if len(octets) < _V2_HEAD.size:
        return None
    _, command, family, length = _V2_HEAD.unpack_from(octets)
    if command not in (_LOCAL, _PROXY) or length > _V2_LONGEST:
        raise MalformedMessage("proxy_protocol", "a PROXY header of another version or kind")
    whole = _V2_HEAD.size + length
    if len(octets) < whole:
        return None
    if command == _LOCAL:
        return Header(None, whole)
    size = {_OVER_TCP4: 4, _OVER_TCP6: 16}.get(family)
    if size is None:
        # §2.2: a family that isn't understood is to be taken as unknown.
        return Header(None, whole)
    if length < 2 * size + 4:
        raise MalformedMessage("proxy_protocol", "a PROXY header without its addresses")
    return Header(str(ip_address(octets[_V2_HEAD.size : _V2_HEAD.size + size])), whole)
