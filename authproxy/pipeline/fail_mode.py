"""When the cloud gives no verdict. The only place where a login may pass without one."""

from __future__ import annotations

from enum import StrEnum

from authproxy.pipeline.decision import Reason, Reject
from authproxy.pipeline.ports import CloudFailure, FailureClass
from authproxy.values import light_dataclass


class FailMode(StrEnum):
    SAFE = "safe"  # a right password is enough while the cloud is out of reach
    SECURE = "secure"  # it is not
    SILENT = "silent"  # it is not, and who asks gets no answer, to turn to another server


class SlowCloud(StrEnum):
    """What to do with logins while the cloud answers too slowly."""

    WAIT = "wait"  # as ever
    PASSCODE = "passcode"  # where the user can be asked: for a passcode, instead of waiting for a push
    FAILMODE = "failmode"  # as in an outage, before a factor was asked for


# An outage. Every other class has somebody's answer in it, or our own mistake, and never opens (F3).
OUTAGE = frozenset({FailureClass.UNREACHABLE, FailureClass.SERVER_ERROR, FailureClass.SLOW})


@light_dataclass(frozen=True, slots=True)
class MayOpen:
    """Mode and failure class allow an Accept; the gates decide."""


@light_dataclass(frozen=True, slots=True)
class MayBeSilent:
    """It is an outage, if the independent probe says so too."""


def before_factor(mode: FailMode, failure: CloudFailure) -> MayOpen | MayBeSilent | Reject:
    """A failure in preauth, behind a verified primary (F4)."""
    if failure.failure not in OUTAGE:
        return Reject(Reason.CLOUD_REFUSED, UNAVAILABLE)
    match mode:
        case FailMode.SAFE:
            return MayOpen()
        case FailMode.SILENT:
            return MayBeSilent()
        case FailMode.SECURE:
            return Reject(Reason.FAIL_CLOSED, UNAVAILABLE)


def after_factor(failure: CloudFailure) -> Reject:
    """Once preauth has said that a factor is due, nothing but the cloud's allow lets anyone in (F3)."""
    outage = failure.failure in OUTAGE
    return Reject(Reason.FAIL_CLOSED if outage else Reason.CLOUD_REFUSED, UNAVAILABLE)


UNAVAILABLE = "The second factor can't be checked now."
