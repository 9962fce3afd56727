"""`radius_client` and `duo_only_client`: the primary is a RADIUS server, or nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from authproxy.config.model.radius_server import RadiusSecret
from authproxy.config.model.section import Family, Finding, Section
from authproxy.config.options.addresses import Address, Host
from authproxy.config.options.simple import Flag, Listed, ListedWords, Port, Text, seconds, whole


class RadiusClient(Section):
    """Logins are passed on to a RADIUS server, whatever proof they carry: PAP, CHAP, MS-CHAP, EAP."""

    host: Annotated[tuple[Host, ...], Listed] = Field(
        examples=[["radius1.corp.example", "radius2.corp.example"]],
        description="The servers, by name or address, in order of preference. In a `.cfg`: `host`, `host_2`, …",
    )
    port: Annotated[tuple[Port, ...], Listed] = Field(
        default=(1812,),
        description="Their ports: one for all, or one for each host in turn. In a `.cfg`: `port`, `port_2`, …",
    )
    secret: RadiusSecret = Field(
        examples=[{"file": "radius-secret"}], description="The shared secret, for all hosts."
    )
    retries: Annotated[int, whole(0, 20)] = Field(
        default=3, description="How often a request is sent again when no answer comes."
    )
    retry_wait: Annotated[float, seconds(0.1, 30)] = Field(
        default=2, description="The wait before the first repetition; each later one is twice as long."
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
        "send none.",
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

    CFG_DEFAULTS: ClassVar = {"require_message_authenticator": "false"}
    FAMILIES: ClassVar = (Family("host", "host", bare=True), Family("port", "port", bare=True))
    IGNORED: ClassVar = {"pw_codec": "passwords are passed on in the octets that they came in"}

    @property
    def servers(self) -> tuple[tuple[str, int], ...]:
        """Each host with its port."""
        ports = self.port if len(self.port) > 1 else self.port * len(self.host)
        return tuple(zip(self.host, ports, strict=True))

    def faults(self) -> Iterator[Finding]:
        yield from super().faults()
        if len(self.port) not in (1, len(self.host)):
            yield Finding(
                "port", f"{len(self.port)} ports for {len(self.host)} hosts: one for all, or one for each"
            )

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        if not self.require_message_authenticator:
            yield Finding(
                "require_message_authenticator", "false: answers can be forged on the way (CVE-2024-3596)"
            )


class DuoOnlyClient(Section):
    """Nobody checks a password: the client has done it. No outage opens a section with this client."""

    def risks(self) -> Iterator[Finding]:
        yield from super().risks()
        yield Finding("", "checks no password: whoever asks has to have done it")
