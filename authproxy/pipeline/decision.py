"""The answers to a login, each with its one reason (the audit's and the metric's word for it)."""

from __future__ import annotations

from enum import StrEnum

from authproxy.values import light_dataclass


class Reason(StrEnum):
    """Why a login was decided as it was. The values don't change: the audit and the metrics use them."""

    # accept
    BOTH_FACTORS = "both_factors"
    CLOUD_ALLOW = "cloud_allow"
    EXEMPT = "exempt"
    RECENT_APPROVAL = "recent_approval"
    FAIL_OPEN = "fail_open"
    DUO_ONLY = "duo_only"
    PRIMARY_ONLY = "primary_only"
    # challenge
    FACTOR_PROMPT = "factor_prompt"
    ENROLL_PROMPT = "enroll_prompt"
    PRIMARY_CHALLENGE = "primary_challenge"
    # reject
    EMPTY_PASSWORD = "empty_password"
    MALFORMED = "malformed"
    PRIMARY_REJECTED = "primary_rejected"
    PRIMARY_UNAVAILABLE = "primary_unavailable"
    NOT_IN_GROUP = "not_in_group"
    FACTOR_DENIED = "factor_denied"
    FACTOR_TIMEOUT = "factor_timeout"
    FRAUD = "fraud"
    LOCKED_OUT = "locked_out"
    CLOUD_DENY = "cloud_deny"
    ENROLL_REQUIRED = "enroll_required"
    NO_USABLE_FACTOR = "no_usable_factor"
    FAIL_CLOSED = "fail_closed"
    CLOUD_REFUSED = "cloud_refused"
    BAD_STATE = "bad_state"
    RATE_LIMITED = "rate_limited"
    PUSH_LIMIT = "push_limit"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"


@light_dataclass(frozen=True, slots=True)
class Accept:
    reason: Reason
    message: str = ""
    # What the primary's own Accept carried, for the listener to pass through; opaque here.
    carried: object = None
    # What the listener adds because no second factor stands behind it; opaque here.
    mark: object = None
    # What our own rules add to it (pipeline/grants.py); opaque here, too.
    granted: tuple[object, ...] = ()


@light_dataclass(frozen=True, slots=True)
class Challenge:
    reason: Reason
    message: str
    state: bytes = b""
    carried: object = None


@light_dataclass(frozen=True, slots=True)
class Reject:
    reason: Reason
    message: str = ""
    carried: object = None


@light_dataclass(frozen=True, slots=True)
class Silence:
    """No answer at all, so that the peer asks its next server. It is recorded as a rejection."""

    reason: Reason


Decision = Accept | Challenge | Reject | Silence
