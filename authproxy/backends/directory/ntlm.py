"""NTLMv2 for a GSS-SPNEGO bind (MS-NLMP, RFC 4178): pyspnego's arithmetic, and what it must not be trusted with.

* pyspnego takes a password of the form 32hex:32hex for a pair of hashes, so that whoever stole the hash could log
  in with it (requirements 9.2). It never sees a password here: it gets the hash of one, which we make.
* It believes the flags in the server's challenge. Here a challenge that leaves out signing, sealing or the strong
  keys ends the bind before anything derived from the password leaves.
* The environment can turn it down to NTLMv1 (LM_COMPAT_LEVEL). Then nothing is sent at all.

No sockets, no waiting: the octets of one exchange.
"""

from __future__ import annotations

import hashlib
import logging
import os
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from authproxy.backends.directory.md4 import md4
from authproxy.secret import Secret
from authproxy.values import light_dataclass

MECHANISM = "GSS-SPNEGO"

# MS-NLMP §2.2.1.2: a challenge begins so; its flags stand 20 octets in.
_CHALLENGE = b"NTLMSSP\0\x02\0\0\0"
_FLAGS_AT = 20
_UNICODE = 0x00000001
_SIGN = 0x00000010
_SEAL = 0x00000020
_EXTENDED_SESSION_SECURITY = 0x00080000
_KEY_128 = 0x20000000
_KEY_EXCHANGE = 0x40000000
_NEEDED = _UNICODE | _EXTENDED_SESSION_SECURITY | _KEY_128
_NEEDED_TO_SEAL = _NEEDED | _SIGN | _SEAL | _KEY_EXCHANGE

_STRONG_LEVELS = frozenset({"3", "4", "5"})


class NtlmFailed(ValueError):
    """The server's part of the exchange is wrong or too weak. The text contains no octets of it."""


class NtlmUnusable(Exception):
    """This machine can't do NTLM, or is configured to do it badly; the administrator has to act."""


class PasswordNotText(Exception):
    """NTLM hashes characters, and these octets aren't text."""


@light_dataclass(frozen=True, slots=True)
class Account:
    """The account to bind as. `domain`: NetBIOS or DNS name; "" if `name` is a user principal name, or for the server's
    own.
    """

    name: str
    domain: str = ""

    def __str__(self) -> str:
        return f"{self.domain}\\{self.name}" if self.domain else self.name


def nt_hash(password: Secret) -> Secret:
    """The hash by which NTLM knows a password. Raises PasswordNotText if it isn't UTF-8."""
    try:
        text = password.reveal().decode("utf-8")
    except UnicodeDecodeError:
        raise PasswordNotText from None
    return Secret(md4(text.encode("utf-16-le")))


class Exchange:
    """One bind's three messages: `first()`, `second(challenge)`, and on a clear connection `layer()`."""

    def __init__(
        self,
        account: Account,
        password: Secret,
        *,
        server: str,
        certificate: Certificate | None,
        workstation: str,
    ) -> None:
        """`certificate`: the server's, under TLS; then nothing is sealed, and the bind is bound to it.

        Raises PasswordNotText, NtlmUnusable.
        """
        hashed = nt_hash(password)
        if os.environ.get("LM_COMPAT_LEVEL", "3") not in _STRONG_LEVELS:
            raise NtlmUnusable("LM_COMPAT_LEVEL in the environment asks for NTLMv1: unset it")
        if workstation and os.environ.get("NETBIOS_COMPUTER_NAME") != workstation:
            # The only way to tell the library.
            os.environ["NETBIOS_COMPUTER_NAME"] = workstation
        self._seals = certificate is None
        self._context = _context(account, hashed, server, certificate)

    def first(self) -> Secret:
        return self._step(None)

    def second(self, challenge: bytes | None) -> Secret:
        """The answer to the challenge. Raises NtlmFailed if the challenge is malformed or too weak."""
        found = (challenge or b"").find(_CHALLENGE)
        flags = (challenge or b"")[found + _FLAGS_AT : found + _FLAGS_AT + 4]
        if found < 0 or len(flags) < 4:
            raise NtlmFailed("the server's answer is no NTLM challenge")
        needed = _NEEDED_TO_SEAL if self._seals else _NEEDED
        missing = needed & ~int.from_bytes(flags, "little")
        if missing:
            raise NtlmFailed(f"the server's challenge leaves out what we insist on (0x{missing:08x})")
        return self._step(challenge)

    def layer(self, last: bytes | None) -> SealedLayer:
        """The layer for everything that follows. `last`: the token in the server's success. Raises NtlmFailed."""
        if last:
            self._step(last)
        if not self._context.complete:
            raise NtlmFailed("the server said yes before the exchange was over")
        return SealedLayer(self._context)

    def _step(self, token: bytes | None) -> Secret:
        try:
            return Secret(self._context.step(token) or b"")
        except Exception as error:  # noqa: BLE001 - the library meets the server's octets here
            raise NtlmFailed(f"the server's token doesn't fit ({type(error).__name__})") from None


class SealedLayer:
    """Signed and encrypted in both directions (MS-NLMP §3.4), in order."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def wrap(self, octets: bytes) -> bytes:
        return bytes(self._context.wrap(octets).data)

    def unwrap(self, octets: bytes) -> bytes:
        try:
            return bytes(self._context.unwrap(octets).data)
        except Exception as error:  # noqa: BLE001 - the library meets the server's octets here
            raise ValueError(f"a message that isn't the server's ({type(error).__name__})") from None


def _context(account: Account, hashed: Secret, server: str, certificate: Certificate | None) -> Any:
    # 50 ms to import, and only for those who use it.
    import spnego  # noqa: PLC0415
    from spnego.channel_bindings import GssChannelBindings  # noqa: PLC0415

    # What it logs at debug can be tried against a list of passwords.
    logging.getLogger("spnego").setLevel(logging.CRITICAL)
    credential = spnego.NTLMHash(str(account), nt_hash=hashed.reveal().hex())
    named: dict[str, Any] = {"hostname": server, "service": "ldap"}
    try:
        if certificate is None:
            return spnego.client(
                credential,
                context_req=spnego.ContextReq.sequence_detect
                | spnego.ContextReq.integrity
                | spnego.ContextReq.confidentiality,
                options=spnego.NegotiateOptions.use_negotiate,
                **named,
            )
        context = spnego.client(
            credential,
            context_req=spnego.ContextReq.none,
            protocol="ntlm",
            options=spnego.NegotiateOptions.use_ntlm,
            channel_bindings=GssChannelBindings(application_data=end_point(certificate)),
            **named,
        )
    except Exception as error:  # noqa: BLE001 - whatever this machine's cryptography lacks
        raise NtlmUnusable(f"NTLM is not possible here ({error}): use auth_type plain over ldaps") from None
    # Where nothing is signed there is no key to exchange; pyspnego would send one of a single octet, which Samba
    # takes for an attack.
    context._context_req &= ~_KEY_EXCHANGE
    return context


def end_point(certificate: Certificate) -> bytes:
    """The channel binding `tls-server-end-point` (RFC 5929 §4.1)."""
    algorithm = certificate.signature_hash_algorithm
    name = "sha256" if algorithm is None or algorithm.name in ("md5", "sha1") else algorithm.name
    return b"tls-server-end-point:" + hashlib.new(name, certificate.public_bytes(Encoding.DER)).digest()
