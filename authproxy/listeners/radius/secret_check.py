"""Does this password look like what a wrong shared secret makes of one? (R14)

PAP has no check of its own: the wrong secret decrypts to noise, and noise sent on as a password locks real users
out of the directory. A Message-Authenticator settles the question; this is for the requests without one.
"""

from __future__ import annotations

from authproxy.secret import Secret

_TAB = 0x09
_C1 = range(0x80, 0xA0)


def has_controls(octets: bytes) -> bool:
    """Control characters that nobody types into a password field; of 16 random octets 1 in 8 has none."""
    return any((octet < 0x20 and octet != _TAB) or octet == 0x7F for octet in octets)


def looks_like_noise(password: Secret, sent_length: int, *, proven: bool) -> bool:
    """`sent_length`: octets of the attribute, padding included. `proven`: this client's secret has been right before.

    A password that is valid UTF-8 without controls is no noise (1 in 10**6 for 16 octets), nor is one behind which
    two or more octets of padding came out as NUL (1 in 65,536). What is left is a long password in another code: from
    a client that has shown to know the secret it is taken when it has none of the octets that are controls in most of
    them (1 in 100; somebody may have changed the secret on the NAS since).
    """
    octets = password.reveal()
    if has_controls(octets):
        return True
    if sent_length - len(octets) >= 2:
        return False
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return not proven or any(octet in _C1 for octet in octets)
    return False
