"""Another form of a name is no other user: a cloud that knows them apart asks a stranger for nothing (R33)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.decision import Accept, Decision, Reason, Reject
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import (
    CloudFailure,
    FailureClass,
    Preauth,
    PreauthAllow,
    PreauthDeny,
    PreauthEnroll,
    PreauthFactors,
    Verified,
)
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.second_step import SecondStep
from authproxy.pipeline.username import read_username

from .fakes import PHONE, Cloud, Directory, Door, Record, challenges, request, run

FORMS = ["CORP\\alice", "alice@corp.example", "corp\\alice@corp.example", "corp/alice", "alice%corp.example"]
RADIUS = Policy(FailMode.SAFE, radius_primary=True)
NOBODY = Policy(FailMode.SAFE, no_primary=True)
LDAP_AS_TYPED = Policy(FailMode.SAFE, as_typed=True)
ENROLL = PreauthEnroll("Enroll at", "https://x")


@dataclass
class Literal(Cloud):
    """Takes each name as it is; strangers are treated as `strangers` says."""

    strangers: Preauth = field(default_factory=PreauthAllow)
    known: dict[str, Preauth | FailureClass] = field(
        default_factory=lambda: {"alice": PreauthFactors((PHONE,))}
    )

    async def preauth(self, request: AuthRequest, username: str) -> Preauth:
        self.preauths.append(username)
        said = self.known.get(username, self.strangers)
        if isinstance(said, FailureClass):
            raise CloudFailure(said, "as told")
        return said


def log_in(policy: Policy, cloud: Cloud, typed: str, record: Record | None = None) -> Decision:
    name = read_username(typed.encode()).canonical
    second = SecondStep(policy, cloud, Door(), challenges(), lambda: 0.0)
    pipeline = Pipeline(policy, Directory(Verified(name)), second, record or Record(), lambda: 0.0)
    return run(pipeline.authenticate(request(b"right", typed)))


@pytest.mark.parametrize("policy", [RADIUS, NOBODY, LDAP_AS_TYPED])
@pytest.mark.parametrize("typed", FORMS)
@pytest.mark.parametrize(
    ("strangers", "expected"),
    [(PreauthAllow(), Reject(Reason.CLOUD_DENY)), (ENROLL, Reject(Reason.ENROLL_REQUIRED))],
)
def test_a_password_is_not_enough_under_another_form(
    policy: Policy, typed: str, strangers: Preauth, expected: Decision
) -> None:
    """Neither by a rule for strangers nor with a phone that whoever has the password enrolls."""
    record = Record()
    assert log_in(policy, Literal(strangers=strangers), typed, record) == expected
    assert record.decisions[-1][1].cause == "name_unproven"


@pytest.mark.parametrize("failure", list(FailureClass))
def test_what_the_cloud_can_t_be_asked_opens_nothing(failure: FailureClass) -> None:
    """F3: it has answered about the one name; the other is no outage."""
    cloud = Literal(known={"alice": failure})
    assert log_in(RADIUS, cloud, FORMS[0]) == Reject(Reason.CLOUD_DENY)


@pytest.mark.parametrize("policy", [RADIUS, LDAP_AS_TYPED])
@pytest.mark.parametrize("typed", [*FORMS, "alice"])
def test_a_cloud_that_takes_all_forms_for_one_user(policy: Policy, typed: str) -> None:
    assert log_in(policy, Cloud(PreauthAllow("bypass")), typed) == Accept(Reason.CLOUD_ALLOW, "bypass")
    assert log_in(policy, Cloud(ENROLL), typed) == Reject(Reason.ENROLL_REQUIRED, "Enroll at https://x")
    assert log_in(policy, Cloud(PreauthDeny("no")), typed) == Reject(Reason.CLOUD_DENY, "no")
    assert log_in(policy, Cloud(), typed) == Accept(Reason.BOTH_FACTORS)


def test_a_user_who_is_known_by_that_form_is_asked_for_a_factor_at_once() -> None:
    cloud = Literal(known={"corp\\alice": PreauthFactors((PHONE,))})
    assert log_in(RADIUS, cloud, FORMS[0]) == Accept(Reason.BOTH_FACTORS)
    assert cloud.preauths == ["corp\\alice"]


def test_a_name_that_a_directory_has_confirmed_is_what_it_is() -> None:
    cloud = Literal(known={"alice": PreauthFactors((PHONE,))})
    assert log_in(Policy(FailMode.SAFE), cloud, "alice@corp.example") == Accept(Reason.CLOUD_ALLOW)
    assert cloud.preauths == ["alice@corp.example"]


@pytest.mark.parametrize("plain", [PreauthFactors((PHONE,)), PreauthDeny("locked out")])
def test_whoever_is_kept_out_or_asked_under_the_plain_name(plain: Preauth) -> None:
    assert log_in(RADIUS, Literal(known={"alice": plain}), FORMS[1]) == Reject(Reason.CLOUD_DENY)


@pytest.mark.parametrize("strangers", [PreauthAllow(), ENROLL])
def test_a_cloud_that_knows_its_users_by_that_form(strangers: Preauth) -> None:
    """The plain name is a stranger's there, and no factor is known under it that somebody could be getting round."""
    named: dict[str, Preauth | FailureClass] = {FORMS[1]: PreauthAllow("bypass")}
    assert log_in(RADIUS, Literal(strangers=strangers, known=named), FORMS[1]) == Accept(
        Reason.CLOUD_ALLOW, "bypass"
    )


def test_a_challenge_is_put_to_nobody_under_another_form() -> None:
    policy = Policy(FailMode.SAFE, Mode.CHALLENGE, radius_primary=True)
    assert log_in(policy, Literal(strangers=ENROLL), FORMS[0]) == Reject(Reason.ENROLL_REQUIRED)


@pytest.mark.parametrize("policy", [RADIUS, NOBODY])
@pytest.mark.parametrize("typed", ["alice@x\\bob", "alice@x/bob", "alice%x\\bob"])
def test_a_name_that_is_alice_s_for_one_server_and_bob_s_for_another(policy: Policy, typed: str) -> None:
    """Under the wrong one of the two, neither limits nor the cloud would know whose login it is."""
    record, cloud = Record(), Cloud(PreauthAllow())
    assert log_in(policy, cloud, typed, record) == Reject(Reason.MALFORMED)
    assert record.decisions[-1][1].cause == "name_ambiguous"
    assert (record.primary, cloud.preauths) == ([], [])
    assert log_in(Policy(FailMode.SAFE), cloud, typed) == Accept(Reason.CLOUD_ALLOW)  # a directory knows


@pytest.mark.parametrize("typed", ["corp!alice", "alice!group", "x/corp!alice@y", "alice!a!b!c!d!e"])
def test_a_realm_or_a_group_at_a_mark(typed: str) -> None:
    """Which of the two it is the server knows; whoever wants to get round a factor could choose."""
    assert log_in(RADIUS, Literal(), typed) == Reject(Reason.CLOUD_DENY)


def test_a_name_with_a_mark_that_means_nobody_else() -> None:
    cloud = Literal(known={})
    assert log_in(RADIUS, cloud, "corp!zoe") == Accept(Reason.CLOUD_ALLOW)
    assert cloud.preauths == ["corp!zoe", "corp", "zoe"]
