"""The outbound HTTP proxy: options that `main` and every section with a cloud share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from authproxy.config.model.section import Finding, Section
from authproxy.config.options.addresses import Host
from authproxy.config.options.secrets import SecretOption
from authproxy.config.options.simple import Port, Text


class Outbound(Section):
    """T7: calls go through the named proxy, or directly; proxy variables of the environment are ignored."""

    http_proxy_host: Host | None = Field(
        default=None,
        examples=["proxy.corp.example"],
        description="An outbound HTTP proxy (CONNECT) for calls to the cloud. If not set: that of `main`; "
        "without one there, calls are made directly. The proxy variables of the environment are ignored.",
    )
    http_proxy_port: Port = Field(default=80, description="The port of `http_proxy_host`.")
    http_proxy_username: Text | None = Field(
        default=None,
        examples=["authproxy"],
        description="The user name for the proxy (Basic authentication).",
    )
    http_proxy_password: SecretOption | None = Field(
        default=None,
        examples=[{"file": "proxy-password"}],
        description="The password for the proxy (Basic authentication).",
    )

    # Inherited together or not at all: one proxy's password isn't for another.
    OUTBOUND: ClassVar = ("http_proxy_host", "http_proxy_port", "http_proxy_username", "http_proxy_password")

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        given = self.model_fields_set
        if self.http_proxy_host is None:
            for option in self.OUTBOUND:
                if option in given:
                    yield Finding(option, "has no effect without http_proxy_host")
        if (self.http_proxy_username is None) != (self.http_proxy_password is None):
            yield Finding(
                "http_proxy_username", "http_proxy_username and http_proxy_password have to be set together"
            )
