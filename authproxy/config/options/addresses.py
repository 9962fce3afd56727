"""Hosts, addresses, endpoints and networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)
from typing import Annotated

from authproxy.config.document import Entries, Items, Scalar, Style
from authproxy.config.options.reads import NAMED, Reads, one_or_more, text_of, word_of, wrong
from authproxy.config.options.simple import between
from authproxy.config.reading import Reading
from authproxy.values import light_dataclass

Network = IPv4Network | IPv6Network

# RFC 1123 §2.1, with the underscore that Windows domains have.
_NAME = re.compile(
    r"(?=.{1,253}\.?$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)

# What the C library takes for (a part of) an address, such as 127.1 or 0x7f000001; no name ends so (RFC 3696 §2).
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _host(node: object, _: Reading) -> str:
    # A name is never taken for another thing by YAML, and an address is only text here.
    text = node.text if isinstance(node, Scalar) and is_address(node.text) else text_of(node, what="one host")
    if is_address(text):
        return text
    if "," in text:
        wrong("one host is expected here; where several can be, write [dc1, dc2], in a .cfg host and host_2")
    if "://" in text or "/" in text:
        wrong("a host's name or address is expected here, not a URL")
    if re.fullmatch(r"[^:]+:\d+", text):
        wrong("a host's name or address is expected here; the port has an option of its own")
    if _NUMBER.fullmatch(text.rsplit(".", 1)[-1]) or not _NAME.fullmatch(text):
        wrong(f"{text!r} is neither a host's name nor an address")
    return text.rstrip(".").lower()


Host = Annotated[str, Reads(_host, "a host's name or address", NAMED)]


def _address(node: object, _: Reading) -> str:
    text = word_of(node)
    return str(ip_address(text)) if is_address(text) else wrong(f"{text!r} is not an IP address")


Address = Annotated[str, Reads(_address, "an IP address", NAMED)]


@light_dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        return ip_address(self.host).is_loopback


def _endpoint(node: object, _: Reading) -> Endpoint:
    text = node.text if isinstance(node, Scalar) else wrong("ADDRESS:PORT is expected here")
    found = re.fullmatch(r"\[?([^\[\]]+?)\]?:(\d{1,5})", text)
    if found is None:
        wrong("ADDRESS:PORT is expected here, such as 127.0.0.1:8912")
    host = "127.0.0.1" if found[1] == "localhost" else found[1]
    if not is_address(host):
        wrong(f"{host!r} is not an IP address")
    return Endpoint(host, between(0, 65535)(int(found[2])))


EndpointOption = Annotated[
    Endpoint, Reads(_endpoint, "ADDRESS:PORT", {"type": "string", "pattern": ":[0-9]+$"})
]


def read_networks(text: str) -> tuple[Network, ...]:
    """The networks that an address, a CIDR, IP/mask or a-b means. Raises ValueError, whose text says why."""
    if "%" in text:
        raise ValueError("a scope (%…) is not part of an address here; leave it out")
    first, dash, last = (part.strip() for part in text.partition("-"))
    if dash:
        networks = _range(first, last)
    else:
        try:
            networks = (ip_network(text, strict=False),)
        except ValueError:
            raise ValueError(
                f"{text!r} is not an address, a network (10.0.0.0/24) or a range (a-b)"
            ) from None
    return tuple(_unmapped(network) for network in networks)


def _range(first: str, last: str) -> tuple[Network, ...]:
    if is_address(first) and is_address(last):
        match ip_address(first), ip_address(last):
            case (IPv4Address() as low, IPv4Address() as high) if low <= high:
                return tuple(summarize_address_range(low, high))
            case (IPv6Address() as low, IPv6Address() as high) if low <= high:
                return tuple(summarize_address_range(low, high))
            case _:
                pass
    raise ValueError(f"{first}-{last} is not a range: two addresses of one kind, the lower one first")


def _unmapped(network: Network) -> Network:
    """R11: a dual-stack socket shows IPv4 as ::ffff:a.b.c.d; here it is IPv4 always."""
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network


def _networks(node: object, _: Reading) -> tuple[Network, ...]:
    networks: list[Network] = []
    for item in one_or_more(node):
        text = item.text if isinstance(item, Scalar) else wrong("an address or a network is expected here")
        try:
            networks.extend(read_networks(text.strip() or wrong("has no value")))
        except ValueError as error:
            wrong(str(error))
    return tuple(networks)


def named_after_first(given: Entries, option: str) -> Mapping[str, object]:
    """Gives a client without a name its first address, as written, as its name."""
    ip = given.get(option)
    first = ip[0] if isinstance(ip, Items) and ip else ip
    if "name" in given or not isinstance(first, Scalar):
        return given
    return {**given, "name": Scalar(first.text, first.line, Style.QUOTED)}


Networks = Annotated[
    tuple[Network, ...],
    Reads(
        _networks,
        "an address, CIDR, IP/mask, range a-b, or a list of them",
        {"anyOf": [NAMED, {"type": "array", "minItems": 1, "items": NAMED}]},
    ),
]
