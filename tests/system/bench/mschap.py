"""CHAP and MS-CHAPv2 as a NAS sends them, written from RFC 1994, 2548, 2759 and 3079 for the tests alone."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from spnego._ntlm_raw.md4 import md4

from tests.system.bench.wire import CHAP_PASSWORD, md5

MICROSOFT = 311
VENDOR_SPECIFIC, CHAP_CHALLENGE = 26, 60


def vendor_specific(vendor: int, *inside: tuple[int, bytes]) -> tuple[int, bytes]:
    body = b"".join(bytes((kind, len(value) + 2)) + value for kind, value in inside)
    return VENDOR_SPECIFIC, vendor.to_bytes(4, "big") + body


def inside(values: list[bytes], vendor: int = MICROSOFT) -> dict[int, bytes]:
    """The sub-attributes of this vendor, in values of Vendor-Specific."""
    found: dict[int, bytes] = {}
    for value in values:
        octets = value[4:] if int.from_bytes(value[:4], "big") == vendor else b""
        while octets:
            found[octets[0]], octets = octets[2 : octets[1]], octets[octets[1] :]
    return found


def chap(password: str, challenge: bytes, *, sent: bool) -> list[tuple[int, bytes]]:
    """`sent`: the challenge goes in an attribute of its own; else it has to be the Request Authenticator."""
    identifier = secrets.token_bytes(1)
    proof = (CHAP_PASSWORD, identifier + md5(identifier, password.encode(), challenge))
    return [proof, (CHAP_CHALLENGE, challenge)] if sent else [proof]


def open_salted(value: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """RFC 2548 §2.4.2."""
    plain, before = b"", authenticator + value[:2]
    for at in range(2, len(value), 16):
        block = value[at : at + 16]
        plain += bytes(a ^ b for a, b in zip(block, md5(secret, before), strict=True))
        before = block
    return plain[1 : 1 + plain[0]]


@dataclass(frozen=True)
class MsChap2:
    """One exchange; the peer of it knows whether the server knew the password too."""

    user: str
    password: str
    challenge: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    peer_challenge: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    def attributes(self) -> list[tuple[int, bytes]]:
        response = bytes((1, 0)) + self.peer_challenge + bytes(8) + self._response()
        return [vendor_specific(MICROSOFT, (11, self.challenge)), vendor_specific(MICROSOFT, (25, response))]

    def change(self, old: str) -> list[tuple[int, bytes]]:
        """A new password instead of `old`, which has expired: this exchange is with the new one (RFC 2548 §2.3.4).

        The old hash proves who asks, under the new one; the new password goes under the old hash (RFC 2759 §8.9).
        """
        new, old_hash = self.password.encode("utf-16-le"), md4(old.encode("utf-16-le"))
        block = secrets.token_bytes(512 - len(new)) + new + len(new).to_bytes(4, "little")
        hidden = Cipher(ARC4(old_hash), None).encryptor().update(block)
        identifier = secrets.token_bytes(1)
        request = (
            b"\x07"
            + identifier
            + old_hash_proof(old, self.password)
            + self.peer_challenge
            + bytes(8)
            + self._response()
            + bytes(2)
        )
        parts = [
            (6, b"\x06" + identifier + number.to_bytes(2, "big") + hidden[at : at + 243])
            for number, at in enumerate(range(0, len(hidden), 243), 1)
        ]
        inside = [(11, self.challenge), (27, request), *parts]
        return [vendor_specific(MICROSOFT, one) for one in inside]

    def success(self) -> bytes:
        """What MS-CHAP2-Success has to say behind its first octet (RFC 2759 §8.7)."""
        first = _sha1(md4(self._hash()), self._response(), b"Magic server to client signing constant")
        return (
            b"S="
            + _sha1(first, self._digest(), b"Pad to make it do more than one iteration")
            .hex()
            .upper()
            .encode()
        )

    def keys(self) -> tuple[bytes, bytes]:
        """MS-MPPE-Send-Key and -Recv-Key, as the server names them (RFC 3079 §3)."""
        master = _sha1(md4(self._hash()), self._response(), b"This is the MPPE Master Key")[:16]
        texts = (
            b"On the client side, this is the receive key; on the server side, it is the send key.",
            b"On the client side, this is the send key; on the server side, it is the receive key.",
        )
        send, receive = (_sha1(master, bytes(40), text, b"\xf2" * 40)[:16] for text in texts)
        return send, receive

    def _hash(self) -> bytes:
        return md4(self.password.encode("utf-16-le"))

    def _digest(self) -> bytes:
        return _sha1(self.peer_challenge, self.challenge, self.user.encode())[:8]

    def _response(self) -> bytes:
        padded = self._hash() + bytes(5)
        return b"".join(_des(padded[at : at + 7], self._digest()) for at in (0, 7, 14))


def hash_of_hash(password: str) -> bytes:
    """What keys are made of (RFC 2759 §8.4)."""
    return md4(md4(password.encode("utf-16-le")))


def old_hash_proof(old: str, new: str) -> bytes:
    """The old password's hash, hidden under the new one's (RFC 2759 §8.12)."""
    hidden, key = md4(old.encode("utf-16-le")), md4(new.encode("utf-16-le"))
    return b"".join(_des(key[7 * at : 7 * at + 7], hidden[8 * at : 8 * at + 8]) for at in (0, 1))


def _sha1(*parts: bytes) -> bytes:
    return hashlib.sha1(b"".join(parts), usedforsecurity=False).digest()


def _des(key: bytes, block: bytes) -> bytes:
    """56 bits of key; DES has a parity bit behind each seven, which nobody looks at."""
    bits = int.from_bytes(key, "big")
    spread = bytes((bits >> (49 - 7 * at) & 0x7F) << 1 for at in range(8))
    return Cipher(TripleDES(spread * 3), modes.ECB()).encryptor().update(block)
