"""A login asked of RADIUS servers: what they are shown of it, and what their answers mean (R20, R28, R30, R38)."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from authproxy.backends.lockout import LockoutGuard, SharedAttempts, place_of
from authproxy.backends.radius.liveness import Silent
from authproxy.backends.radius.server import Build
from authproxy.backends.radius.servers import ServerReport, Servers
from authproxy.backends.radius.settings import RadiusClientSettings
from authproxy.backends.radius.whose import ANOTHER_NAME, eap_of, names_another, whose
from authproxy.backends.resolve import Resolver
from authproxy.backends.tls import ServerCertificates
from authproxy.observe.log import Log
from authproxy.pipeline.ports import PrimaryChallenge, PrimaryUnavailable, Refused, Verified
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import account, folded
from authproxy.protocols.eap.outside import is_by_the_name_outside
from authproxy.protocols.radius.packet import (
    REPLY_MESSAGE,
    STATE,
    USER_NAME,
    USER_PASSWORD,
    Attribute,
    Code,
    MalformedPacket,
    Packet,
    decode,
)
from authproxy.protocols.radius.password import MAX_PASSWORD, CredentialKind, encrypt_password
from authproxy.protocols.radius.relay import (
    NAS_IDENTIFIER,
    NAS_IP_ADDRESS,
    NAS_IPV6_ADDRESS,
    NOTHING,
    FromNas,
    FromPrimary,
    towards_primary,
)
from authproxy.protocols.radius.request import signed_request
from authproxy.protocols.radius.salted import Hop
from authproxy.secret import Secret

_AUTHENTICATOR = 16  # octets
# RFC 2759 §6 in MS-CHAP-Error: E=648, the password has expired; E=649, no dialin; E=691, wrong.
_MSCHAP_ERROR = re.compile(rb"E=(\d{3})")
_MSCHAP_CAUSES = {
    b"646": "time_restricted",
    b"647": "disabled",
    b"648": "expired",
    b"649": "not_permitted",
    b"691": "bad_password",
    b"709": "bad_new_password",
}


class RadiusPrimary:
    """Implements the pipeline's Primary."""

    def __init__(
        self,
        settings: RadiusClientSettings,
        *,
        reactor: Any,
        resolver: Resolver,
        log: Log,
        certificates: ServerCertificates | None = None,
        shared: SharedAttempts | None = None,
    ) -> None:
        self.settings = self._settings = settings
        self._servers = Servers(
            settings, reactor=reactor, resolver=resolver, log=log, certificates=certificates
        )
        self._guard = LockoutGuard(
            settings.lockout, section=settings.name, reactor=reactor, log=log, shared=shared
        )

    @property
    def returns(self) -> bool:
        """Whether the configuration passes on anything of an Accept to the NAS."""
        return self._settings.returned != NOTHING

    async def verify(self, request: AuthRequest, password: Secret) -> Verified | Refused | PrimaryChallenge:
        """Raises PrimaryUnavailable: every server was silent, there was no time left to ask one, or its Accept doesn't

        tell whose login it is.
        """
        # Another proof than a password is as long as it is.
        if not request.opaque and len(password) > MAX_PASSWORD:
            return Refused("password_too_long")

        if (eap := eap_of(request)) is not None:
            if names_another(request, eap):
                return ANOTHER_NAME
            if not is_by_the_name_outside(eap):
                # The name outside a tunnel is nobody's to be held for.
                return await self._verify(request, password)
        return await self._guard.attempt(
            account(request.username.canonical),  # a server may know it by all of its forms
            place_of(request),
            request.deadline,
            lambda: self._verify(request, password),
            _cause_of,
        )

    async def _verify(self, request: AuthRequest, password: Secret) -> Verified | Refused | PrimaryChallenge:
        build = self._builder(request, password)
        try:
            reply, asked = await self._servers.ask(build, request.deadline)
        except Silent as silent:
            raise PrimaryUnavailable(str(silent)) from None
        return self._understand(request, reply, asked)

    # ---- between nodes (H4)

    def pack(self, carried: object) -> bytes:
        """An Accept as it came, and the Authenticator that its hidden values are hidden with; not the secret."""
        if not isinstance(carried, FromPrimary):
            return b""
        return carried.hop.authenticator + carried.reply.octets

    def unpack(self, octets: bytes) -> object:
        """With this node's own secret, and what this node passes on. Raises ValueError."""
        if not octets:
            return None
        try:
            reply = decode(octets[_AUTHENTICATOR:])
        except MalformedPacket as malformed:
            raise ValueError(str(malformed)) from None
        settings = self._settings
        hop = Hop(settings.secret, octets[:_AUTHENTICATOR])
        return FromPrimary(reply, hop, settings.returned, settings.hidden)

    def start(self) -> None:
        """Nothing is asked before the first login."""

    async def close(self) -> None:
        self._servers.close()

    async def examine(self, timeout: float) -> list[ServerReport]:
        """As Servers.examine."""
        return await self._servers.examine(timeout)

    def health(self) -> list[tuple[str, float | None]]:
        """Each server, and since when it is dead (the reactor's seconds)."""
        return self._servers.health()

    # ---- the request

    def _builder(self, request: AuthRequest, password: Secret) -> Build:
        asked = request.carried
        if not isinstance(asked, FromNas):
            raise TypeError("a RADIUS primary answers RADIUS requests")
        secret = self._settings.secret
        name = asked.packet.first(USER_NAME) or b""
        carried = towards_primary(asked)

        def build(identifier: int, authenticator: bytes, own_address: str) -> Packet:
            login = [(USER_NAME, name)]
            if asked.kind is CredentialKind.PAP:
                # R30: hidden anew for this hop.
                login.append((USER_PASSWORD, encrypt_password(password, secret, authenticator)))
            return signed_request(
                Code.ACCESS_REQUEST,
                [*login, *carried, *self._ourselves(carried, own_address)],
                identifier=identifier,
                authenticator=authenticator,
                secret=secret,
            )

        return build

    def _ourselves(self, carried: list[Attribute], own_address: str) -> list[Attribute]:
        """RFC 2865 §4.1: a request has NAS-IP-Address or NAS-Identifier; ours, unless the NAS's own goes over."""
        types = [attribute.type for attribute in carried]
        ourselves: list[Attribute] = []
        if NAS_IP_ADDRESS not in types and NAS_IPV6_ADDRESS not in types:
            ourselves.append(_nas_address(self._settings.nas_ip or own_address))
        if self._settings.nas_identifier and NAS_IDENTIFIER not in types:
            ourselves.append(Attribute(NAS_IDENTIFIER, self._settings.nas_identifier.encode()))
        return ourselves

    # ---- the answer

    def _understand(
        self, request: AuthRequest, reply: Packet, asked: Packet
    ) -> Verified | Refused | PrimaryChallenge:
        settings = self._settings
        answered = FromPrimary(
            reply, Hop(settings.secret, asked.authenticator), settings.returned, settings.hidden
        )
        match reply.code:
            case Code.ACCESS_ACCEPT:
                user = whose(request, reply, settings.eap_outer_name)
                if isinstance(user, Refused):
                    return user
                return Verified(
                    user.name, carried=answered, proven=user.proven and _is_one_for_all(user.name)
                )
            case Code.ACCESS_CHALLENGE:
                return PrimaryChallenge(_message(reply), reply.first(STATE) or b"", answered)
            case _:
                return Refused(_cause(reply), message=_message(reply), carried=answered)


@lru_cache(maxsize=1024)  # the same for every login by one of our addresses
def _nas_address(text: str) -> Attribute:
    address = ip_address(text.partition("%")[0])
    return Attribute(NAS_IP_ADDRESS if address.version == 4 else NAS_IPV6_ADDRESS, address.packed)


@lru_cache(maxsize=4096)  # users come back
def _is_one_for_all(name: str) -> bool:
    """R33: with Active Directory behind it a server takes `álice` for alice; the cloud sees somebody else in it."""
    return folded(name) == " ".join(name.split())


def _cause_of(answer: Verified | Refused | PrimaryChallenge) -> str | None:
    match answer:
        case Verified():
            return None
        case Refused(cause):
            return cause
        case PrimaryChallenge():
            return ""


def _message(reply: Packet) -> str:
    return b"".join(reply.all(REPLY_MESSAGE)).decode("utf-8", "replace")


def _cause(reply: Packet) -> str:
    """The audit's word for a Reject. Plain RADIUS doesn't say why."""
    for value in reply.all(26):
        if value[:5] == b"\0\0\x01\x37\x02" and (found := _MSCHAP_ERROR.search(value)):
            return _MSCHAP_CAUSES.get(found[1], "rejected")
    return "rejected"
