"""Which binds are logins (L7, L13, L32), and which operations are not simply passed on (L21, L23, L24)."""

from __future__ import annotations

from typing import Protocol

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.ber import Cursor
from authproxy.protocols.ldap.controls import decode_controls
from authproxy.protocols.ldap.framing import Frame
from authproxy.protocols.ldap.requests import (
    ADD,
    EXTENDED,
    MODIFY,
    SEARCH,
    BindRequest,
    ExtendedRequest,
    Simple,
    decode_request,
)
from authproxy.protocols.ldap.result import ResultCode
from authproxy.secret import Secret
from authproxy.values import light_dataclass

PASSWORD_MODIFY = "1.3.6.1.4.1.4203.1.11.1"  # RFC 3062
# RFC 4370, and its draft's: to act as somebody else.
_PROXIED_AUTHORIZATION = frozenset({"2.16.840.1.113730.3.4.18", "2.16.840.1.113730.3.4.12"})
# What tells whether a password is right and is no bind: Active Directory's fast bind, OpenLDAP's verify credentials.
PASSWORD_CHECKS = frozenset({"1.2.840.113556.1.4.1781", "1.3.6.1.4.1.4203.666.6.5"})
_CHANGED_IN_CLEAR = frozenset({"unicodepwd"})
_PASSWORDS = _CHANGED_IN_CLEAR | {"userpassword"}

# A search of the root DSE (RFC 4512 §5.1) begins with an empty base and the scope base.
_ROOT = bytes((ber.OCTET_STRING, 0, ber.ENUMERATED, 1, 0))


@light_dataclass(frozen=True, slots=True)
class Who:
    """Who sends an operation, as far as its rights depend on that."""

    bound: bool = False  # behind both factors, or exempt from the second
    exempt: bool = False
    anonymous: bool = False  # not bound, and may ask all the same


NOBODY = Who()
ANONYMOUS = Who(anonymous=True)
BOUND = Who(bound=True)
EXEMPT = Who(bound=True, exempt=True)


class BindOptions(Protocol):
    """The part of section.Options that says which binds are logins."""

    @property
    def require_tls(self) -> bool: ...

    @property
    def allow_anonymous(self) -> bool: ...


@light_dataclass(frozen=True, slots=True)
class Forbidden:
    code: ResultCode
    text: str


def password_of(bind: BindRequest, options: BindOptions, *, secure: bool) -> Secret | ResultCode:
    """The password of a login; or the answer, if the bind isn't a login."""
    if bind.version != 3:
        return ResultCode.PROTOCOL_ERROR
    if not isinstance(bind.authentication, Simple):
        # L13: who these would bind as can't be known, and what they negotiate would blind us.
        return ResultCode.AUTH_METHOD_NOT_SUPPORTED
    password = bind.authentication.password
    if password and options.require_tls and not secure:
        return ResultCode.CONFIDENTIALITY_REQUIRED
    if bind.name:
        return password
    if password:
        return ResultCode.INVALID_CREDENTIALS
    # L7: nobody, with nobody's rights; never a login.
    return ResultCode.SUCCESS if options.allow_anonymous else ResultCode.INAPPROPRIATE_AUTHENTICATION


def is_root_search(frame: Frame) -> bool:
    return frame.tag == SEARCH and frame.octets.startswith(_ROOT, frame.start)


def forbidden(frame: Frame, who: Who, *, secure: bool) -> Forbidden | None:
    """Why this operation isn't relayed. None: it is. Raises MalformedMessage."""
    if not (who.bound or who.anonymous or is_root_search(frame)):
        return Forbidden(ResultCode.INSUFFICIENT_ACCESS_RIGHTS, "Bind first.")
    if not who.bound and frame.tag == SEARCH:
        # L3, CVE-2020-12243: what nobody answers for is read before a directory has to.
        decode_request(frame)
    if frame.stop != len(frame.octets) and not who.exempt and _acts_as_another(frame):
        return Forbidden(
            ResultCode.INSUFFICIENT_ACCESS_RIGHTS, "Proxied authorization is for service accounts."
        )
    if frame.tag == EXTENDED:
        return _extended(frame, secure)
    if not secure and frame.tag in (ADD, MODIFY) and _changed(frame) & _CHANGED_IN_CLEAR:
        return Forbidden(ResultCode.CONFIDENTIALITY_REQUIRED, "Passwords are changed over TLS only.")
    return None


def changes_password(frame: Frame) -> bool:
    """Whether this operation changes somebody's password, as far as it can be seen. Raises MalformedMessage."""
    if frame.tag == EXTENDED:
        return extended_name(frame) == PASSWORD_MODIFY
    return frame.tag in (ADD, MODIFY) and bool(_changed(frame) & _PASSWORDS)


def _acts_as_another(frame: Frame) -> bool:
    return any(control.oid in _PROXIED_AUTHORIZATION for control in decode_controls(frame))


def extended_name(frame: Frame) -> str:
    """The OID of an extended request. Raises MalformedMessage."""
    request = decode_request(frame)
    assert isinstance(request, ExtendedRequest)  # noqa: S101 - by its tag
    return request.name


def _extended(frame: Frame, secure: bool) -> Forbidden | None:
    name = extended_name(frame)
    if name in PASSWORD_CHECKS:
        return Forbidden(ResultCode.UNWILLING_TO_PERFORM, "Passwords are checked by binds only.")
    if name == PASSWORD_MODIFY and not secure:
        return Forbidden(ResultCode.CONFIDENTIALITY_REQUIRED, "Passwords are changed over TLS only.")
    return None


def _changed(frame: Frame) -> frozenset[str]:
    """The attributes that a Modify or Add writes, in small letters, without options. Raises MalformedMessage."""
    cursor = Cursor(frame.octets, frame.start, frame.stop)
    cursor.octets()
    changes = cursor.enter(ber.SEQUENCE)
    names = set()
    while changes.peek() is not None:
        change = changes.enter(ber.SEQUENCE)
        if frame.tag == MODIFY:
            change.expect(ber.ENUMERATED)
            change = change.enter(ber.SEQUENCE)
        names.add(change.text().partition(";")[0].lower())
    return frozenset(names)
