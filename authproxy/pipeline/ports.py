"""What the pipeline asks of the world: a primary, a second factor, a recorder, a clock.

Each outcome is a type. An exception says that nobody could answer, never that the answer is no.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from authproxy.pipeline.request import AuthRequest
from authproxy.secret import Secret
from authproxy.values import light_dataclass

# ---- the primary ------------------------------------------------------------------------------


@light_dataclass(frozen=True, slots=True)
class Verified:
    """The password is right. `username` is the one name for everything that follows (R33)."""

    username: str
    dn: str = ""
    groups: frozenset[str] = frozenset()
    carried: object = None
    # Groups that were asked about and don't have the user.
    outside: frozenset[str] = frozenset()
    # False: the password is somebody's, and nobody can tell whether it is this user's (EAP's name outside a tunnel).
    proven: bool = True


class RefusalKind(StrEnum):
    CREDENTIALS = "credentials"  # unknown user, wrong password, expired, locked, disabled
    NOT_IN_GROUP = "not_in_group"
    RATE_LIMITED = "rate_limited"  # not asked: there were too many wrong ones (A10)


@light_dataclass(frozen=True, slots=True)
class Refused:
    """The primary said no. `cause` goes to the audit (`bad_password`, `unknown_user`, `expired`,
    `must_change`, `disabled`, `locked`, `account_expired`, …), never to the user."""

    cause: str
    kind: RefusalKind = RefusalKind.CREDENTIALS
    message: str = ""
    carried: object = None


@light_dataclass(frozen=True, slots=True)
class PrimaryChallenge:
    """The primary itself asks back: its State and attributes go to the peer unmodified (R38)."""

    message: str = ""
    state: bytes = b""
    carried: object = None


class PrimaryUnavailable(Exception):
    """No primary could answer. The text is for the log: hosts and what happened, no secrets."""


class PrimaryUnusable(PrimaryUnavailable):
    """Nor will one before an administrator has acted: the directory refuses what we need to ask it."""


class Primary(Protocol):
    async def verify(self, request: AuthRequest, password: Secret) -> Verified | Refused | PrimaryChallenge:
        """Check the password with one attempt at most at any server (R27, A5).

        A directory never answers with PrimaryChallenge.

        Raises PrimaryUnavailable. Returns within the backend's own timeout and request.deadline.
        """


class Carrying(Protocol):
    """What a primary's Accept carried, as octets that another node can read."""

    def pack(self, carried: object) -> bytes:
        """b"": there is nothing to hand on."""

    def unpack(self, octets: bytes) -> object:
        """What was packed. Raises ValueError if it can't be read here."""


class CarriesNothing:
    """Of a primary whose answer is only yes or no."""

    def pack(self, carried: object) -> bytes:
        return b""

    def unpack(self, octets: bytes) -> object:
        return None


class Admission(Protocol):
    """Who may log in at all, as one primary says it. Equal ones are the same primary's, by the same rules."""

    async def still(self, earlier: Admission | None, username: str, dn: str, deadline: float) -> bool:
        """Whether this one would let in who had the right password at `earlier`. None: an earlier start's, or another
        node's.

        Raises PrimaryUnavailable.
        """


# ---- the second factor ------------------------------------------------------------------------


class FailureClass(StrEnum):
    """Why the cloud gave no verdict (the contract's table of classes). The first three may open."""

    UNREACHABLE = "unreachable"
    SERVER_ERROR = "server_error"
    SLOW = "slow"  # it answers, later than anyone should wait; only where `slow_cloud: failmode` says so
    UNTRUSTED = "untrusted"
    CREDENTIAL = "credential"
    REQUEST = "request"
    OVERLOAD = "overload"
    PROTOCOL = "protocol"
    SKEW = "skew"
    INTERNAL = "internal"


class CloudFailure(Exception):
    """The cloud gave no verdict. Nobody at the keyboard can act on it: the fail mode decides."""

    def __init__(self, failure: FailureClass, detail: str) -> None:
        super().__init__(f"{failure}: {detail}")
        self.failure = failure
        self.detail = detail


@light_dataclass(frozen=True, slots=True)
class Device:
    """One of the user's devices as preauth lists it, in the cloud's order."""

    id: str
    kind: str  # "phone", "token", …
    capabilities: frozenset[str] = frozenset()
    display_name: str = ""


@light_dataclass(frozen=True, slots=True)
class PreauthAllow:
    message: str = ""


@light_dataclass(frozen=True, slots=True)
class PreauthDeny:
    message: str = ""


@light_dataclass(frozen=True, slots=True)
class PreauthEnroll:
    message: str = ""
    portal_url: str = ""


@light_dataclass(frozen=True, slots=True)
class PreauthFactors:
    """A factor is wanted, of these devices."""

    devices: tuple[Device, ...]
    message: str = ""


Preauth = PreauthAllow | PreauthDeny | PreauthEnroll | PreauthFactors


@light_dataclass(frozen=True, slots=True)
class FactorAllow:
    message: str = ""
    txid: str = ""


@light_dataclass(frozen=True, slots=True)
class FactorDeny:
    status: str  # the cloud's word: deny, timeout, fraud, locked_out, sent, …
    message: str = ""
    txid: str = ""


@light_dataclass(frozen=True, slots=True)
class FactorCall:
    """What to ask the cloud for: a factor of a device, or a passcode."""

    factor: str  # "auto" | "push" | "phone" | "sms" | "passcode"
    device: str = "auto"  # the device's id, or "auto"; unused for a passcode
    passcode: Secret | None = None


class SecondFactor(Protocol):
    async def preauth(self, request: AuthRequest, username: str) -> Preauth:
        """Raises CloudFailure."""

    async def auth(self, request: AuthRequest, username: str, call: FactorCall) -> FactorAllow | FactorDeny:
        """Returns when the user has answered, or the factor's own lifetime is over.

        Raises CloudFailure. Never sent twice for one call.
        """


class OpenDoor(Protocol):
    """The gates between a safe section's outage and an Accept."""

    async def may_open(self, request: AuthRequest, verified: Verified, failure: CloudFailure) -> str:
        """'' when every gate agrees, else the name of the one that does not (for the audit)."""

    async def primary_only(self, request: AuthRequest, verified: Verified) -> bool:
        """Whether, by order, this user passes a safe section on the password alone now."""

    def passed(self, username: str) -> None:
        """This user has passed both factors: what a later outage may go by. Raises nothing."""

    async def is_outage(self, request: AuthRequest, failure: CloudFailure) -> str:
        """'' when an independent look at the cloud meets an outage, too; else what speaks against it."""


# ---- the record -------------------------------------------------------------------------------


class AuditUnavailable(Exception):
    """The record could not be written. An Accept by fail open must not happen without one (F8)."""


class Clock(Protocol):
    def __call__(self) -> float:
        """Monotonic seconds."""
