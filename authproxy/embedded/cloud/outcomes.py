"""Requests to the service and their possible outcomes, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from authproxy.embedded.cloud.model import Device, Factor
from authproxy.secret import Secret
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and counts for one user."""

    push_life: float = 60.0
    call_life: float = 60.0
    texted_life: float = 3600.0
    failures: int = 10  # wrong passcodes in a row, then the user is locked out
    lockout: float = 1800.0
    waiting: int = 5
    per_minute: int = 60


# ---- outcomes


@light_dataclass(frozen=True, slots=True)
class PreauthAllow:
    message: str


@light_dataclass(frozen=True, slots=True)
class PreauthDeny:
    message: str


@light_dataclass(frozen=True, slots=True)
class PreauthEnroll:
    username: str


@light_dataclass(frozen=True, slots=True)
class NumberToMatch:
    """Show `number`; the phone asks for it when a push with this txid follows."""

    txid: str
    number: str
    expires: float


@light_dataclass(frozen=True, slots=True)
class PreauthFactors:
    devices: tuple[Device, ...]
    factors: frozenset[Factor]  # what may be used of what the devices can do
    to_match: NumberToMatch | None = None


Preauth = PreauthAllow | PreauthDeny | PreauthEnroll | PreauthFactors


class Invalid(Exception):
    """The call asks for something impossible. The text says what, for the caller."""


class TooMany(Exception):
    """The user has too many logins waiting, or had too many in the last minute."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"again in {retry_after} s")
        self.retry_after = retry_after


class Verdict(StrEnum):
    """A person's answer to a push or a call."""

    APPROVE = "approve"
    DENY = "deny"
    FRAUD = "fraud"


class Decided(StrEnum):
    DONE = "done"
    TOO_LATE = "too_late"  # run out, or decided by another
    WRONG_NUMBER = "wrong_number"  # and denied with it: one guess only


@light_dataclass(frozen=True, slots=True)
class Ask:
    """One request for a factor. `factor` None: the best one that needs no typing."""

    factor: Factor | None
    device_id: str = "auto"
    passcode: Secret | None = None
    txid: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
