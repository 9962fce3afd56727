"""`radius_client` and `duo_only_client`: the primary is a RADIUS server, or nobody."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from authproxy.config.model.radius_server import RadiusSecret
from authproxy.config.model.section import Family, Finding, Section
from authproxy.config.options.addresses import Address, Host
from authproxy.config.options.files import FileOption, KeyFileOption
from authproxy.config.options.simple import Flag, Listed, ListedWords, Port, Text, one_of, seconds, whole
from authproxy.secret import Secret


class RadiusTransport(StrEnum):
    UDP = "udp"
    RADSEC = "radsec"


class EapOuterName(StrEnum):
    REFUSE = "refuse"
    ASK = "ask"
    TRUST = "trust"


_TLS_OPTIONS = ("ssl_ca_certs_file", "ssl_server_name", "ssl_client_cert_file", "ssl_client_key_file")


class RadiusClient(Section):
    """Logins are passed on to a RADIUS server, whatever proof they carry: PAP, CHAP, MS-CHAP, EAP."""

    host: Annotated[tuple[Host, ...], Listed] = Field(
        examples=[["radius1.corp.example", "radius2.corp.example"]],
        description="The servers, by name or address, in order of preference. In a `.cfg`: `host`, `host_2`, …",
    )
    port: Annotated[tuple[Port, ...], Listed] = Field(
        default=(),
        examples=[1812],
        description="Their ports: one for all, or one for each host in turn. Not given: 1812, or 2083 for radsec. In a "
        "`.cfg`: `port`, `port_2`, …, each for its host alone, and 1812 for a host whose is not given beside others.",
    )
    transport: Annotated[RadiusTransport, one_of(RadiusTransport)] = Field(
        default=RadiusTransport.UDP,
        description="`udp`, or `radsec`: over TLS, with certificates on both sides (RFC 6614).",
    )
    secret: RadiusSecret | None = Field(
        default=None,
        examples=[{"file": "radius-secret"}],
        description="The shared secret, for all hosts. Not needed for radsec, where it is `radsec`.",
    )
    accounting_port: Port | None = Field(
        default=None,
        examples=[1813],
        description="Where the servers take accounting. Not given: 1813, or for radsec the same port as logins.",
    )
    retries: Annotated[int, whole(0, 20)] = Field(
        default=3, description="How often a request is sent again when no answer comes."
    )
    retry_wait: Annotated[float, seconds(0.1, 30)] = Field(
        default=2,
        description="The wait before the first repetition; each later one is twice as long. Over TLS nothing is "
        "repeated, and an answer is waited for as long as all of them together.",
    )
    failures_per_user: Annotated[int, whole(0, 1000)] = Field(
        default=4,
        description="Wrong passwords of one user that are tried in `failures_window`, all sections together; further "
        "ones are refused without asking. Keep it below what locks an account at the server; the last one is kept for "
        "places that the user has logged in from before. 0: no such limit.",
    )
    failures_window: Annotated[float, seconds(10, 86400)] = Field(
        default=900, description="Over how long wrong passwords are counted together; a right one ends it."
    )
    require_message_authenticator: Flag = Field(
        default=True,
        description="Take no answer without a Message-Authenticator (CVE-2024-3596). `false` for old servers that "
        "send none. Over TLS none is needed.",
    )
    eap_outer_name: Annotated[EapOuterName, one_of(EapOuterName)] = Field(
        default=EapOuterName.ASK,
        description="EAP in a tunnel or with a certificate lets in the user who is named inside, where only the server "
        "can read it. Unless the server's Accept proves that name, `ask` always asks for a factor of the user who is "
        "named outside: no exemption and no `allow` of the cloud's counts. `refuse` rejects the login. `trust` is for "
        "servers that refuse logins whose names inside and outside differ.",
    )
    nas_ip: Address | None = Field(
        default=None,
        examples=["10.1.0.9"],
        description="NAS-IP-Address in requests. Not given: the address they are sent from.",
    )
    nas_identifier: Text | None = Field(
        default=None, examples=["authproxy"], description="NAS-Identifier in requests."
    )
    pass_through_attr_names: Annotated[tuple[Text, ...], ListedWords] = Field(
        default=(),
        examples=[["Filter-Id", "Class"]],
        description="Attributes of the server's Accept that the NAS gets. What MS-CHAP and EAP need crosses anyway.",
    )
    pass_through_all: Flag = Field(
        default=False, description="Give the NAS all attributes of the server's Accept."
    )

    ssl_ca_certs_file: FileOption | None = Field(
        default=None,
        examples=["ca.pem"],
        description="radsec: PEM certificates that the servers' are checked against. Not given: the system's.",
    )
    ssl_server_name: Host | None = Field(
        default=None,
        examples=["radius.corp.example"],
        description="radsec: the name that each host's certificate has to have, for hosts that are given by address.",
    )
    ssl_client_cert_file: FileOption | None = Field(
        default=None,
        examples=["proxy.pem"],
        description="radsec: PEM certificate chain to show to the servers.",
    )
    ssl_client_key_file: KeyFileOption | None = Field(
        default=None, examples=["proxy.key"], description="radsec: PEM key of `ssl_client_cert_file`."
    )

    CFG_DEFAULTS: ClassVar = {"require_message_authenticator": "false"}
    FAMILIES: ClassVar = (
        Family("host", "host", bare=True),
        Family("port", "port", bare=True, each="host", default="1812"),
    )
    IGNORED: ClassVar = {"pw_codec": "passwords are passed on in the octets that they came in"}

    @property
    def servers(self) -> tuple[tuple[str, int], ...]:
        """Each host with its port."""
        known = self.port or (2083 if self.transport is RadiusTransport.RADSEC else 1812,)
        ports = known if len(known) > 1 else known * len(self.host)
        return tuple(zip(self.host, ports, strict=True))

    @property
    def accounting_servers(self) -> tuple[tuple[str, int], ...]:
        """Each host with its port for accounting."""
        if self.accounting_port is None and self.transport is RadiusTransport.RADSEC:
            return self.servers
        return tuple((host, self.accounting_port or 1813) for host in self.host)

    @property
    def shared_secret(self) -> Secret:
        """RFC 6614 §2.3: over TLS everybody has the same, and it protects nothing."""
        return self.secret or Secret(b"radsec")

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        if self.transport is RadiusTransport.UDP and self.secret is None:
            yield Finding("secret", "missing")
        if self.transport is RadiusTransport.RADSEC:
            for option in ("ssl_client_cert_file", "ssl_client_key_file"):
                if getattr(self, option) is None:
                    yield Finding(option, "missing: radsec shows the servers a certificate")
        if len(self.port) not in (0, 1, len(self.host)):
            yield Finding(
                "port", f"{len(self.port)} ports for {len(self.host)} hosts: one for all, or one for each"
            )

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        if self.transport is RadiusTransport.UDP:
            for option in _TLS_OPTIONS:
                if getattr(self, option) is not None:
                    yield Finding(option, "has no effect without transport: radsec")
        if not self.require_message_authenticator and self.transport is RadiusTransport.UDP:
            yield Finding(
                "require_message_authenticator", "false: answers can be forged on the way (CVE-2024-3596)"
            )
        if self.eap_outer_name is EapOuterName.TRUST:
            what = "trust: unless the server compares names, whoever has a password chooses whose factor is asked for"
            yield Finding("eap_outer_name", what)


class DuoOnlyClient(Section):
    """Nobody checks a password: the client has done it. No outage opens a section with this client."""

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        yield Finding("", "checks no password: whoever asks has to have done it")
