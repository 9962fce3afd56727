"""Why a bind was refused, in the audit's words."""

from __future__ import annotations

import pytest

from authproxy.protocols.ldap.controls import PasswordPolicy, PolicyError
from authproxy.protocols.ldap.result import ResultCode, code_name, policy_cause, refusal_cause

AD = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {}, v2580"


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        ("525", "unknown_user"),
        ("52e", "bad_password"),
        ("52E", "bad_password"),
        ("530", "time_restricted"),
        ("531", "workstation_restricted"),
        ("532", "expired"),
        ("533", "disabled"),
        ("701", "account_expired"),
        ("773", "must_change"),
        ("775", "locked"),
        ("80090346", "ad_80090346"),
    ],
)
def test_active_directory(data: str, cause: str) -> None:
    assert refusal_cause(49, AD.format(data)) == cause


@pytest.mark.parametrize(
    ("code", "diagnostic", "cause"),
    [
        (49, "", "bad_password"),
        (49, "Account locked; contact the administrator", "locked"),
        (19, "Exceed password retry limit. Please try later.", "locked"),
        (53, "Account inactivated. Contact system administrator.", "disabled"),
        (53, "unauthenticated bind (DN with no password) disallowed", "unwilling_to_perform"),
        (4096, "", "result_4096"),
    ],
)
def test_other_directories(code: int, diagnostic: str, cause: str) -> None:
    assert refusal_cause(code, diagnostic) == cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (PolicyError.PASSWORD_EXPIRED, "expired"),
        (PolicyError.ACCOUNT_LOCKED, "locked"),
        (PolicyError.CHANGE_AFTER_RESET, "must_change"),
        (PolicyError.PASSWORD_TOO_YOUNG, "policy"),
        (99, "policy"),
    ],
)
def test_the_policy_knows_best(error: int, cause: str) -> None:
    assert refusal_cause(49, "", PasswordPolicy(error=error)) == cause


def test_a_policy_without_an_error_says_nothing() -> None:
    assert policy_cause(PasswordPolicy(grace_logins=2)) is None
    assert policy_cause(None) is None
    assert refusal_cause(49, "", PasswordPolicy(grace_logins=2)) == "bad_password"


def test_names() -> None:
    assert code_name(ResultCode.INVALID_CREDENTIALS) == "invalid_credentials"
    assert code_name(4711) == "result_4711"
