"""`shared_state`: a Redis or Valkey server that several nodes share, so that together they are as one (H4 to H6)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated

from pydantic import Field

from authproxy.config.model.section import Finding, Section
from authproxy.config.options.addresses import Host, is_address
from authproxy.config.options.files import FileOption
from authproxy.config.options.secrets import SecretOption
from authproxy.config.options.simple import Port, Text, one_of, seconds, whole


class StoreTransport(StrEnum):
    CLEAR = "clear"
    TLS = "tls"


class SharedState(Section):
    """Nodes that name the same server here, and have the same `main.challenge_key`, act as one: a login that comes to
    two of them prompts its user once, and limits count for all together. Without the server, each goes on alone.
    """

    host: Host = Field(
        examples=["redis.corp.example"],
        description="The Redis (6 or newer) or Valkey server: one that can be written to, not a replica, and "
        "no cluster.",
    )
    port: Port = Field(default=6379, description="Its port.")
    transport: Annotated[StoreTransport, one_of(StoreTransport)] = Field(
        default=StoreTransport.TLS,
        description="`tls`: TLS, with the server's certificate checked. `clear`: no TLS.",
    )
    ssl_ca_certs_file: FileOption | None = Field(
        default=None,
        examples=["redis-ca.pem"],
        description="CA certificates (PEM) that verify the server's certificate. If not set: the system's.",
    )
    ssl_server_name: Host | None = Field(
        default=None,
        examples=["redis.corp.example"],
        description="The name that its certificate has to prove. If not set: `host`.",
    )
    username: Text | None = Field(
        default=None, examples=["authproxy"], description="The user to log in as (Redis ACL)."
    )
    password: SecretOption | None = Field(
        default=None, examples=[{"file": "redis-password"}], description="The password to log in with."
    )
    database: Annotated[int, whole(0, 1_000_000)] = Field(
        default=0, description="The number of the database to use."
    )
    prefix: Text = Field(
        default="authproxy", description="What the names of all keys begin with. The same on every node."
    )
    timeout: Annotated[float, seconds(0.05, 2)] = Field(
        default=0.5,
        description="How long one answer of the server may take. After that each node decides alone, until "
        "it answers again.",
    )
    nodes: Annotated[int, whole(1, 64)] = Field(
        default=2,
        description="How many nodes share it. While it can't be reached, each node uses this part of each "
        "limit on pushes and on wrong passwords: with 2, the half.",
    )

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        if self.username is not None and self.password is None:
            yield Finding("username", "has no effect without password")
        if self.transport is StoreTransport.CLEAR:
            for option in ("ssl_ca_certs_file", "ssl_server_name"):
                if getattr(self, option) is not None:
                    yield Finding(option, "has no effect with transport clear")

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        if self.transport is StoreTransport.CLEAR and not _is_this_machine(self.host):
            yield Finding(
                "transport",
                "clear: whoever is on the way can make nodes forget limits, and read the password",
            )
        if self.password is None:
            yield Finding("password", "not set: whoever reaches the server can make nodes forget limits")


def _is_this_machine(host: str) -> bool:
    return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)
