"""Whether an Access-Request comes from who knows the secret: Message-Authenticator, and its absence (R16 to R21).

CVE-2024-3596: an answer can be forged to a request without one, so a client that can send it has to.
"""

from __future__ import annotations

from typing import Protocol

from authproxy.listeners.radius.clients import Client, RequireMessageAuthenticator
from authproxy.listeners.radius.discards import Discarded
from authproxy.listeners.radius.signers import Signers
from authproxy.observe.log import Log
from authproxy.protocols.radius.message_authenticator import verify_message_authenticator
from authproxy.protocols.radius.packet import PROXY_STATE, Packet
from authproxy.protocols.radius.password import CredentialKind

# RFC 3579 §3.1: EAP-Message needs one; so does a request with no credential at all (§3.3 note 1).
_NEVER_WITHOUT = frozenset((CredentialKind.EAP, CredentialKind.NONE))


class Latches(Protocol):
    """The clients that have sent a Message-Authenticator; it survives a restart (R19)."""

    def __contains__(self, key: str) -> bool: ...

    def add(self, key: str) -> None:
        """Counts from now on. Raises OSError if it won't survive a restart."""


class Authenticity:
    def __init__(self, latches: Latches, log: Log, signers: Signers) -> None:
        self._latches = latches
        self._log = log
        self._signers = signers
        self._proven: set[str] = set()

    def check(self, packet: Packet, kind: CredentialKind, client: Client) -> bool:
        """True: signed correctly. False: unsigned, and allowed to be. Raises Discarded."""
        verified = verify_message_authenticator(packet, client.secret)
        if verified is False:
            raise Discarded(
                "message_authenticator",
                f"compare the shared secret of client {client.name} with the one here",
            )
        if verified is None:
            if kind not in _NEVER_WITHOUT:
                self._signers.unsigned(client.key)
            self._may_be_unsigned(packet, kind, client)
            return client.over_tls
        if kind is not CredentialKind.EAP:
            self._latch(client)
            self._signers.signed(client.key)
        self._proven.add(client.key)
        return True

    def proven(self, client: Client) -> None:
        """The client's secret has turned out to be right."""
        self._proven.add(client.key)

    def is_proven(self, client: Client) -> bool:
        return client.key in self._proven

    def _may_be_unsigned(self, packet: Packet, kind: CredentialKind, client: Client) -> None:
        if kind in _NEVER_WITHOUT:
            raise Discarded("message_authenticator_missing", f"credential: {kind.value}")
        if self._is_required(client):
            raise Discarded("message_authenticator_missing", f"client {client.name} has to send one")
        if not client.over_tls and packet.first(PROXY_STATE) is not None:
            # The collision needs room, and Proxy-State is where it finds it.
            raise Discarded("proxy_state_unsigned", f"client {client.name}")

    def _is_required(self, client: Client) -> bool:
        match client.require_message_authenticator:
            case RequireMessageAuthenticator.YES:
                return True
            case RequireMessageAuthenticator.NO:
                return False
            case RequireMessageAuthenticator.AUTO:
                return client.key in self._latches

    def _latch(self, client: Client) -> None:
        if client.require_message_authenticator is not RequireMessageAuthenticator.AUTO:
            return
        if client.key in self._latches:
            return
        try:
            self._latches.add(client.key)
        except OSError as error:
            # It holds until the restart. The login goes on: a full disk is no reason to lock everybody out.
            self._log.error("radius.latch_not_kept", client=client.name, problem=str(error))
        else:
            self._log.info("radius.message_authenticator_latched", client=client.name)
