"""`radius_client` and `duo_only_client`: the primary is a RADIUS server, or there is none."""

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
    """Passes logins on to a RADIUS server, which checks the password: by PAP, CHAP, MS-CHAP or EAP."""

    host: Annotated[tuple[Host, ...], Listed] = Field(
        examples=[["radius1.corp.example", "radius2.corp.example"]],
        description="The RADIUS servers, by name or address, in order of preference. In a `.cfg`: `host`, "
        "`host_2`, …",
    )
    port: Annotated[tuple[Port, ...], Listed] = Field(
        default=(),
        examples=[1812],
        description="The servers' ports: one for all, or one for each host in the same order. If not set: "
        "1812, or 2083 for `radsec`. In a `.cfg`: `port`, `port_2`, …, each for its own host only; a host "
        "without one then has 1812.",
    )
    transport: Annotated[RadiusTransport, one_of(RadiusTransport)] = Field(
        default=RadiusTransport.UDP,
        description="`udp`, or `radsec`: over TLS, with certificates on both sides (RFC 6614).",
    )
    secret: RadiusSecret | None = Field(
        default=None,
        examples=[{"file": "radius-secret"}],
        description="The shared secret of all hosts. Not needed for `radsec`, where it is `radsec`.",
    )
    accounting_port: Port | None = Field(
        default=None,
        examples=[1813],
        description="The port on which the servers accept accounting. If not set: 1813, or for `radsec` the "
        "port of the logins.",
    )
    retries: Annotated[int, whole(0, 20)] = Field(
        default=3, description="How often a request is sent again if no answer comes."
    )
    retry_wait: Annotated[float, seconds(0.1, 30)] = Field(
        default=2,
        description="The wait before the first repetition; it doubles with each further one. Over TLS "
        "nothing is repeated, and authproxy waits for an answer for as long as all of these together.",
    )
    failures_per_user: Annotated[int, whole(0, 1000)] = Field(
        default=4,
        description="How many wrong passwords of one user are tried within `failures_window`, in all "
        "sections together. Further attempts are rejected without asking the server. Keep it below the "
        "number that locks an account there. The last attempt is reserved for places from which the user "
        "has logged in before. 0: no limit.",
    )
    failures_window: Annotated[float, seconds(10, 86400)] = Field(
        default=900,
        description="The period over which wrong passwords are counted. A right password ends the count.",
    )
    require_message_authenticator: Flag = Field(
        default=True,
        description="Ignore answers without a Message-Authenticator (CVE-2024-3596). Set it to `false` for "
        "old servers that send none. Over TLS it isn't needed.",
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
        description="NAS-IP-Address in requests. If not set: the address from which they are sent.",
    )
    nas_identifier: Text | None = Field(
        default=None, examples=["authproxy"], description="NAS-Identifier in requests."
    )
    pass_through_attr_names: Annotated[tuple[Text, ...], ListedWords] = Field(
        default=(),
        examples=[["Filter-Id", "Class"]],
        description="Attributes of the server's Accept that the NAS gets. What MS-CHAP and EAP need is "
        "passed on anyway.",
    )
    pass_through_all: Flag = Field(
        default=False, description="Give the NAS all attributes of the server's Accept."
    )

    ssl_ca_certs_file: FileOption | None = Field(
        default=None,
        examples=["ca.pem"],
        description="For `radsec`: CA certificates (PEM) that verify the servers' certificates. If not set: "
        "the system's.",
    )
    ssl_server_name: Host | None = Field(
        default=None,
        examples=["radius.corp.example"],
        description="For `radsec`: the name that the hosts' certificates have to contain, if the hosts are "
        "given by address.",
    )
    ssl_client_cert_file: FileOption | None = Field(
        default=None,
        examples=["proxy.pem"],
        description="For `radsec`: the certificate to show to the servers (PEM), with its chain.",
    )
    ssl_client_key_file: KeyFileOption | None = Field(
        default=None,
        examples=["proxy.key"],
        description="For `radsec`: the private key of `ssl_client_cert_file` (PEM).",
    )

    CFG_DEFAULTS: ClassVar = {"require_message_authenticator": "false"}
    FAMILIES: ClassVar = (
        Family("host", "host", bare=True),
        Family("port", "port", bare=True, each="host", default="1812"),
    )
    IGNORED: ClassVar = {"pw_codec": "passwords are passed on exactly as they came"}

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
        """RFC 6614 §2.3: over TLS the secret is always the same, and protects nothing."""
        return self.secret or Secret(b"radsec")

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        if self.transport is RadiusTransport.UDP and self.secret is None:
            yield Finding("secret", "missing")
        if self.transport is RadiusTransport.RADSEC:
            for option in ("ssl_client_cert_file", "ssl_client_key_file"):
                if getattr(self, option) is None:
                    yield Finding(option, "missing: radsec needs a certificate to show to the servers")
        if len(self.port) not in (0, 1, len(self.host)):
            yield Finding(
                "port",
                f"{len(self.port)} ports for {len(self.host)} hosts: give one for all, or one for each",
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
    """Checks no password: the client has to have done that. With this client, no outage lets anyone in."""

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        yield Finding("", "checks no password: the client has to have done that")
