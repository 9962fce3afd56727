"""What a result says: codes (RFC 4511 §4.1.9, appendix A), and why a bind was refused, in the audit's words."""

from __future__ import annotations

import re
from enum import IntEnum

from authproxy.protocols.ldap.controls import PasswordPolicy, PolicyError


class ResultCode(IntEnum):
    SUCCESS = 0
    OPERATIONS_ERROR = 1
    PROTOCOL_ERROR = 2
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    COMPARE_FALSE = 5
    COMPARE_TRUE = 6
    AUTH_METHOD_NOT_SUPPORTED = 7
    STRONGER_AUTH_REQUIRED = 8
    REFERRAL = 10
    ADMIN_LIMIT_EXCEEDED = 11
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    CONFIDENTIALITY_REQUIRED = 13
    SASL_BIND_IN_PROGRESS = 14
    NO_SUCH_ATTRIBUTE = 16
    UNDEFINED_ATTRIBUTE_TYPE = 17
    INAPPROPRIATE_MATCHING = 18
    CONSTRAINT_VIOLATION = 19
    ATTRIBUTE_OR_VALUE_EXISTS = 20
    INVALID_ATTRIBUTE_SYNTAX = 21
    NO_SUCH_OBJECT = 32
    ALIAS_PROBLEM = 33
    INVALID_DN_SYNTAX = 34
    ALIAS_DEREFERENCING_PROBLEM = 36
    INAPPROPRIATE_AUTHENTICATION = 48
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS_RIGHTS = 50
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53
    LOOP_DETECT = 54
    NAMING_VIOLATION = 64
    OBJECT_CLASS_VIOLATION = 65
    NOT_ALLOWED_ON_NON_LEAF = 66
    NOT_ALLOWED_ON_RDN = 67
    ENTRY_ALREADY_EXISTS = 68
    OBJECT_CLASS_MODS_PROHIBITED = 69
    AFFECTS_MULTIPLE_DSAS = 71
    OTHER = 80
    CANCELED = 118
    NO_SUCH_OPERATION = 119
    TOO_LATE = 120
    CANNOT_CANCEL = 121


# The hexadecimal number behind `data` in Active Directory's text: a Windows error code.
_AD_DATA = re.compile(r"\bdata ([0-9a-fA-F]{1,8})\b")
_AD_CAUSES = {
    0x525: "unknown_user",
    0x52E: "bad_password",
    0x530: "time_restricted",
    0x531: "workstation_restricted",
    0x532: "expired",
    0x533: "disabled",
    0x568: "too_many_contexts",
    0x701: "account_expired",
    0x773: "must_change",
    0x775: "locked",
}
# Without the control some servers say it in words alone.
_WORDS = (
    ("account locked", "locked"),
    ("account is locked", "locked"),
    ("retry limit", "locked"),
    ("password expired", "expired"),
    ("password has expired", "expired"),
    ("must be changed", "must_change"),
    ("account inactivated", "disabled"),
    ("account is disabled", "disabled"),
)
_POLICY_CAUSES: dict[int, str] = {
    PolicyError.PASSWORD_EXPIRED: "expired",
    PolicyError.ACCOUNT_LOCKED: "locked",
    PolicyError.CHANGE_AFTER_RESET: "must_change",
}


def code_name(code: int) -> str:
    """`invalid_credentials` for 49; `result_4096` for a code without a name."""
    try:
        return ResultCode(code).name.lower()
    except ValueError:
        return f"result_{code}"


def policy_cause(policy: PasswordPolicy | None) -> str | None:
    """Why the password policy refuses; None if it doesn't."""
    if policy is None or policy.error is None:
        return None
    return _POLICY_CAUSES.get(policy.error, "policy")


def refusal_cause(code: int, diagnostic: str, policy: PasswordPolicy | None = None) -> str:
    """Why a bind was refused, for the audit. Never show it to the user: it would tell accounts apart."""
    if (cause := policy_cause(policy)) is not None:
        return cause
    if found := _AD_DATA.search(diagnostic):
        return _AD_CAUSES.get(int(found[1], 16), f"ad_{found[1].lower()}")
    lowered = diagnostic.lower()
    for words, cause in _WORDS:
        if words in lowered:
            return cause
    return "bad_password" if code == ResultCode.INVALID_CREDENTIALS else code_name(code)
