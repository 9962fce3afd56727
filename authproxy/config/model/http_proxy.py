"""`http_proxy`: the way out to the cloud for machines that have none of their own, such as other clients of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Annotated, ClassVar, Self

from pydantic import Field

from authproxy.config.model.main import Main
from authproxy.config.model.section import Finding, Section
from authproxy.config.model.server import is_local
from authproxy.config.options.addresses import Address, Host, Network, Networks
from authproxy.config.options.simple import Flag, Listed, ListedWords, Port, Text, seconds, whole

# An existing file may leave the option out, and lets everybody in then.
_EVERYBODY = "0.0.0.0/0, ::/0"
_WIDE = {4: 8, 6: 16}  # prefix lengths below which nobody can have meant their own machines


class HttpProxy(Section):
    """Opens tunnels (HTTP CONNECT) to the cloud's API host, and to no other place."""

    name: Text = Field(
        default="",
        examples=["way-out"],
        description="The name of this section in logs. If not set: the section's name in this file.",
    )
    api_host: Host = Field(
        examples=["api-xxxxxxxx.example.com"],
        description="The only host to which tunnels may lead: the cloud's API host.",
    )
    api_port: Port = Field(default=443, description="The only port to which tunnels may lead.")
    allow_local_api: Flag = Field(
        default=False,
        description="Allow `api_host` to be, or resolve to, an address of this machine or of a private "
        "network.",
    )
    port: Port = Field(default=80, description="The TCP port to listen on.")
    interface: Annotated[tuple[Address, ...], Listed] = Field(
        default=(),
        examples=[["10.0.0.5"]],
        description="IP addresses to listen on. If not set: those of `main`, else all.",
    )
    client_ip: Annotated[tuple[Networks, ...], ListedWords] = Field(
        examples=[["10.0.0.0/24"]],
        description="Who may open a tunnel: addresses, networks, ranges. If not set in a `.cfg`: everybody.",
    )
    idle_timeout: Annotated[float, seconds(10, 86_400)] = Field(
        default=300,
        description="A tunnel is closed after this long without traffic. A push can take a minute.",
    )
    max_connections: Annotated[int, whole(1, 1_000_000)] = Field(
        default=1024, description="How many tunnels may be open at a time; each takes two file descriptors."
    )
    max_connections_per_client: Annotated[int, whole(1, 1_000_000)] = Field(
        default=256, description="How many tunnels one address may have open at a time."
    )

    CFG_DEFAULTS: ClassVar[Mapping[str, str]] = {"client_ip": _EVERYBODY}
    # Known to the existing product and without a meaning here.
    IGNORED: ClassVar[Mapping[str, str]] = {"debug": "tunnels contain nothing that could be read"}

    @property
    def clients(self) -> tuple[Network, ...]:
        return tuple(chain.from_iterable(self.client_ip))

    def settled(self, name: str, main: Main) -> Self:
        """With its name, and with what it inherits from main."""
        changed: dict[str, object] = {}
        if not self.name:
            changed["name"] = name
        if not self.interface:
            changed["interface"] = main.interface
        return self.model_copy(update=changed)

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        if not self.allow_local_api and is_local(self.api_host):
            what = f"{self.api_host} is this machine or a private network; if that is meant, set allow_local_api: true"
            yield Finding("api_host", what)

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        wide = [network for network in self.clients if network.prefixlen < _WIDE[network.version]]
        if wide:
            yield Finding("client_ip", f"{wide[0]} is very large: name the networks in which the clients are")
