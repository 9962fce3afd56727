"""`userPassword` values, in plain text or hashed. Every comparison takes the same time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable

from authproxy.secret import Secret

# RFC 2307 §5.3 and what OpenLDAP adds to it; a salt stands behind the digest.
_SCHEMES = {
    b"{sha}": "sha1",
    b"{ssha}": "sha1",
    b"{sha256}": "sha256",
    b"{ssha256}": "sha256",
    b"{sha512}": "sha512",
    b"{ssha512}": "sha512",
}


def hashed(password: Secret) -> bytes:
    """As {SSHA512}, for files that are made here."""
    salt = os.urandom(16)
    digest = hashlib.sha512(password.reveal() + salt).digest()
    return b"{SSHA512}" + base64.b64encode(digest + salt)


# Whom nobody knows is checked against this, so that the answer takes as long.
_NOBODY = (hashed(Secret(os.urandom(16))),)


def matches(kept: Iterable[bytes], typed: Secret) -> bool:
    """Whether the password is one of these; always false without values and for an empty password."""
    values = tuple(kept)
    right = [_is(value, typed) for value in values or _NOBODY]
    return any(right) and bool(values) and bool(typed)


def _is(kept: bytes, typed: Secret) -> bool:
    scheme, brace, rest = kept.partition(b"}")
    algorithm = _SCHEMES.get((scheme + brace).lower())
    if not kept.startswith(b"{") or not brace:
        return hmac.compare_digest(kept, typed.reveal())
    if algorithm is None:
        return False
    try:
        octets = base64.b64decode(rest, validate=True)
    except binascii.Error:
        return False
    size = hashlib.new(algorithm).digest_size
    digest, salt = octets[:size], octets[size:]
    return hmac.compare_digest(digest, hashlib.new(algorithm, typed.reveal() + salt).digest())
