"""Controls (RFC 4511 §4.1.11), and the one a login reads: the password policy's answer."""

from __future__ import annotations

from enum import IntEnum

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.ber import Cursor
from authproxy.protocols.ldap.framing import CONTROLS, Frame
from authproxy.values import light_dataclass

# draft-behera-ldap-password-policy §6: the same OID for what is asked and what is answered.
PASSWORD_POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"

_WARNING = 0xA0
_ERROR = 0x81
_SECONDS_TO_EXPIRY = 0x80
_GRACE_LOGINS = 0x81


@light_dataclass(frozen=True, slots=True)
class Control:
    oid: str
    critical: bool = False
    value: bytes | None = None


class PolicyError(IntEnum):
    PASSWORD_EXPIRED = 0
    ACCOUNT_LOCKED = 1
    CHANGE_AFTER_RESET = 2
    PASSWORD_MODIFICATION_NOT_ALLOWED = 3
    MUST_SUPPLY_OLD_PASSWORD = 4
    INSUFFICIENT_PASSWORD_QUALITY = 5
    PASSWORD_TOO_SHORT = 6
    PASSWORD_TOO_YOUNG = 7
    PASSWORD_IN_HISTORY = 8


@light_dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What the server adds to a bind's answer. `seconds_to_expiry` and `grace_logins` are warnings."""

    seconds_to_expiry: int | None = None
    grace_logins: int | None = None
    error: int | None = None  # a PolicyError, or one that is newer than this code


def decode_controls(frame: Frame) -> tuple[Control, ...]:
    """The controls of a message. Raises MalformedMessage."""
    if frame.stop == len(frame.octets):
        return ()
    cursor = Cursor(frame.octets, frame.stop, len(frame.octets)).enter(CONTROLS)
    controls = []
    while cursor.peek() is not None:
        controls.append(_decode_control(cursor.enter(ber.SEQUENCE)))
    return tuple(controls)


def _decode_control(cursor: Cursor) -> Control:
    oid = cursor.text()
    critical = cursor.boolean() if cursor.peek() == ber.BOOLEAN else False
    value = cursor.octets() if cursor.peek() is not None else None
    cursor.finish()
    return Control(oid, critical, value)


def encode_controls(controls: tuple[Control, ...]) -> bytes:
    """The element that follows the operation; b"" if there are no controls."""
    if not controls:
        return b""
    return ber.tlv(CONTROLS, b"".join(_encode_control(control) for control in controls))


def _encode_control(control: Control) -> bytes:
    content = ber.text(control.oid)
    if control.critical:
        content += ber.boolean(True)
    if control.value is not None:
        content += ber.tlv(ber.OCTET_STRING, control.value)
    return ber.tlv(ber.SEQUENCE, content)


def password_policy(controls: tuple[Control, ...]) -> PasswordPolicy | None:
    """The password policy's answer among these controls; None if there is none. Raises MalformedMessage."""
    value = next((control.value for control in controls if control.oid == PASSWORD_POLICY), None)
    if value is None:
        return None
    outer = Cursor(value, 0, len(value))
    cursor = outer.enter(ber.SEQUENCE)
    outer.finish()
    seconds = grace = error = None
    if cursor.peek() == _WARNING:
        warning = cursor.enter(_WARNING)
        if warning.peek() == _GRACE_LOGINS:
            grace = warning.integer(_GRACE_LOGINS)
        else:
            seconds = warning.integer(_SECONDS_TO_EXPIRY)
        warning.finish()
    if cursor.peek() == _ERROR:
        error = cursor.integer(_ERROR)
    cursor.finish()
    return PasswordPolicy(seconds, grace, error)


def encode_password_policy(policy: PasswordPolicy) -> Control:
    """The control as a server sends it."""
    content = b""
    if policy.seconds_to_expiry is not None:
        content += ber.tlv(_WARNING, ber.integer(policy.seconds_to_expiry, _SECONDS_TO_EXPIRY))
    elif policy.grace_logins is not None:
        content += ber.tlv(_WARNING, ber.integer(policy.grace_logins, _GRACE_LOGINS))
    if policy.error is not None:
        content += ber.integer(policy.error, _ERROR)
    return Control(PASSWORD_POLICY, value=ber.tlv(ber.SEQUENCE, content))
