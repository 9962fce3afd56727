"""What would become of a login, by the pipeline's own rules as far as they can be used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from authproxy.pipeline.decision import Reason, Reject
from authproxy.pipeline.fail_mode import FailMode, MayBeSilent, MayOpen, before_factor
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import CloudFailure, FailureClass
from authproxy.values import light_dataclass


class Outcome(StrEnum):
    ACCEPT = "accept"
    FACTOR = "factor"  # accept with the second factor, reject without
    REJECT = "reject"
    SILENT = "silent"  # no answer
    UNKNOWN = "unknown"


@light_dataclass(frozen=True, slots=True)
class Outlook:
    """The outcome of a login with the right password. `reason`: the audit's word; "" if the cloud decides."""

    outcome: Outcome
    reason: str
    text: str


@dataclass(slots=True)
class Known:
    """`refused`: why the primary would refuse; `unknown`: why that can't be told; `cloud`: preauth's answer, "" if not
    asked; `shut`: the limit that keeps this user out in an outage; `never`: the one that also holds for
    primary-only.
    """

    policy: Policy
    limits: tuple[str, ...] = ()
    username: str = ""
    refused: str = ""
    unknown: str = ""
    exempt: bool = False
    first_bind: bool = False  # needs neither an entry, nor a group, nor a factor
    no_primary: bool = False
    cloud: str = ""
    shut: str = ""
    never: str = ""
    primary_only: bool = False
    proven: bool = False
    proven_known: bool = True

    @property
    def may_open(self) -> bool:
        """Whether an outage could let this user in: the section is safe, and the user is neither refused nor exempt."""
        if self.no_primary or self.refused or self.exempt:
            return False
        return isinstance(before_factor(self.policy.fail_mode, _OUTAGE), MayOpen)


_OUTAGE = CloudFailure(FailureClass.UNREACHABLE, "")
_CLOUD_WORDS = {
    "allow": Outlook(Outcome.ACCEPT, Reason.CLOUD_ALLOW.value, "let in: the cloud asks for no factor"),
    "deny": Outlook(Outcome.REJECT, Reason.CLOUD_DENY.value, "refused: the cloud denies this user"),
    "enroll": Outlook(Outcome.REJECT, Reason.ENROLL_REQUIRED.value, "refused: this user has to enroll first"),
}
_REFUSALS = {"malformed": Reason.MALFORMED, "not_in_group": Reason.NOT_IN_GROUP}


def now(known: Known) -> Outlook:
    """While the cloud can be reached."""
    return _by_first_bind(known, _now(known))


def in_an_outage(known: Known) -> Outlook:
    """While the cloud can't be reached, before it has asked for a factor (the contract, section 8)."""
    return _by_first_bind(known, _in_an_outage(known))


def _by_first_bind(known: Known, otherwise: Outlook) -> Outlook:
    """As listeners/ldap/binding.py has it: nobody looks up who it was."""
    if not known.first_bind or known.refused == "malformed":
        return otherwise
    alone = "let in with the right password alone by the first bind on a connection (exempt_primary_bind)"
    later = f"; later binds there: {otherwise.text}" if otherwise.reason != Reason.EXEMPT.value else ""
    return Outlook(Outcome.ACCEPT, Reason.EXEMPT.value, alone + later)


def _now(known: Known) -> Outlook:
    if (sure := _without_the_cloud(known)) is not None:
        return sure
    if known.cloud in _CLOUD_WORDS:
        return _CLOUD_WORDS[known.cloud]
    where = "what is sent as the password" if known.no_primary else "the right password"
    reason = Reason.DUO_ONLY if known.no_primary else Reason.BOTH_FACTORS
    if known.cloud == "auth":
        return Outlook(Outcome.FACTOR, reason.value, f"{where}, then {_how(known.policy)}")
    return Outlook(
        Outcome.FACTOR, reason.value, f"{where}, then {_how(known.policy)}; unless the cloud says otherwise"
    )


def _in_an_outage(known: Known) -> Outlook:
    if (sure := _without_the_cloud(known)) is not None:
        return sure
    mode = known.policy.fail_mode
    # As Outage.alone has it: without a password nothing opens, whatever the mode says.
    if known.no_primary and mode is FailMode.SAFE:
        mode = FailMode.SECURE
    match before_factor(mode, _OUTAGE):
        case Reject(reason):
            why = "no password is checked here" if known.no_primary else f"failmode {mode}"
            return Outlook(Outcome.REJECT, reason.value, f"refused: {why}")
        case MayBeSilent():
            return Outlook(
                Outcome.SILENT,
                Reason.FAIL_CLOSED.value,
                "no answer, so that the client turns to its next server: failmode silent",
            )
        case MayOpen():
            return _gates(known)


def _gates(known: Known) -> Outlook:
    if not known.proven_known:
        return Outlook(
            Outcome.UNKNOWN, "", "let in with the right password alone, if the credentials are proven"
        )
    if not known.proven:
        return Outlook(Outcome.REJECT, Reason.FAIL_CLOSED.value, "refused: the credentials are not proven")
    if known.shut:
        return Outlook(
            Outcome.REJECT, Reason.FAIL_CLOSED.value, f"refused: the limit {known.shut} keeps this user out"
        )
    gates = ["an independent probe fails too", "the event can be written", *known.limits]
    return Outlook(
        Outcome.ACCEPT,
        Reason.FAIL_OPEN.value,
        f"LET IN WITH THE RIGHT PASSWORD ALONE, if: {'; '.join(gates)}",
    )


def _without_the_cloud(known: Known) -> Outlook | None:
    """What is decided before it would be asked."""
    if known.refused:
        reason = _REFUSALS.get(known.refused, Reason.PRIMARY_REJECTED)
        return Outlook(Outcome.REJECT, reason.value, f"refused: {known.refused}")
    if known.exempt:
        return Outlook(Outcome.ACCEPT, Reason.EXEMPT.value, "let in with the right password alone: exempt")
    if known.primary_only and known.may_open and not known.never and not known.unknown:
        return Outlook(
            Outcome.ACCEPT,
            Reason.PRIMARY_ONLY.value,
            "LET IN WITH THE RIGHT PASSWORD ALONE: primary-only is on",
        )
    if known.unknown:
        return Outlook(Outcome.UNKNOWN, "", known.unknown)
    return None


def _how(policy: Policy) -> str:
    match policy.mode:
        case Mode.AUTO:
            return f"the second factor ({', '.join(policy.factors)})"
        case Mode.CONCAT:
            return "the second factor that was typed behind it"
        case Mode.CHALLENGE:
            return "the second factor that the user chooses"
        case Mode.FACTOR_ONLY:
            return "that factor"
