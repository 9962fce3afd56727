"""The service's values: applications, users, devices, logins."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import StrEnum

from authproxy.secret import Secret
from authproxy.values import light_dataclass

# Wall-clock seconds: what users, devices and TOTP share. It may jump; nothing here needs it not to.
WallClock = Callable[[], float]

_LETTERS = string.ascii_uppercase + string.digits


def new_id(prefix: str) -> str:
    """20 characters as the API's clients know them (`DI…`, `DU…`, `DP…`, `DH…`): 93 bits after the prefix."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(20 - len(prefix)))


def new_secret_key() -> Secret:
    """40 letters and digits: 238 bits."""
    return Secret.of("".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(40)))


class UserStatus(StrEnum):
    ACTIVE = "active"
    BYPASS = "bypass"  # no factor is asked for
    DISABLED = "disabled"


class DeviceKind(StrEnum):
    PHONE = "phone"
    TOKEN = "token"


class Otp(StrEnum):
    TOTP = "totp"
    HOTP = "hotp"


class Factor(StrEnum):
    PUSH = "push"
    PHONE = "phone"
    SMS = "sms"
    PASSCODE = "passcode"


class Result(StrEnum):
    """Only the result decides; the status is for texts and logs."""

    WAITING = "waiting"
    ALLOW = "allow"
    DENY = "deny"


class Status(StrEnum):
    PUSHED = "pushed"
    CALLING = "calling"
    ANSWERED = "answered"
    ALLOW = "allow"
    BYPASS = "bypass"
    DENY = "deny"
    TIMEOUT = "timeout"
    FRAUD = "fraud"
    LOCKED_OUT = "locked_out"
    SENT = "sent"


class NewUsers(StrEnum):
    """What an application does with users who are unknown or have no device."""

    ENROLL = "enroll"
    ALLOW = "allow"
    DENY = "deny"


@light_dataclass(frozen=True, slots=True)
class Policy:
    """The rules of an application."""

    new_users: NewUsers = NewUsers.ENROLL
    factors: frozenset[Factor] = frozenset(Factor)
    number_matching: bool = False  # where the client can show a number
    remember_hours: float = 0.0  # 0: no device is remembered


@light_dataclass(frozen=True, slots=True)
class UserPolicy:
    """One user's own rules, within what the application's policy has.

    `factors`: only these, and only those of them that the application allows; None: all that it allows.
    `without_device`: what happens while the user has no device; None: as the application has it. There is no
    ALLOW here: that is the status bypass, which says what it does.
    """

    factors: frozenset[Factor] | None = None
    without_device: NewUsers | None = None

    def __post_init__(self) -> None:
        if self.factors is not None and not self.factors:
            raise ValueError("a user without any factor has the status disabled")
        if self.without_device is NewUsers.ALLOW:
            raise ValueError("a user who is let in without a device has the status bypass")


@light_dataclass(frozen=True, slots=True)
class Application:
    ikey: str
    name: str
    policy: Policy
    created: float


@light_dataclass(frozen=True, slots=True)
class User:
    user_id: str
    username: str
    status: UserStatus
    failures: int
    locked_until: float
    created: float
    policy: UserPolicy = UserPolicy()

    def is_locked(self, now: float) -> bool:
        return now < self.locked_until


@light_dataclass(frozen=True, slots=True)
class Device:
    device_id: str
    user_id: str
    kind: DeviceKind
    name: str
    number: str
    has_page: bool
    otp: Otp | None
    otp_digits: int
    confirmed: bool
    created: float
    seen: float

    @property
    def display_name(self) -> str:
        """The name by which a user tells devices apart. Of a number, only the last digits: the name goes to
        applications.
        """
        shown = self.name or ("Phone" if self.kind is DeviceKind.PHONE else "Token")
        return f"{shown} ({masked(self.number)})" if self.number else shown

    @property
    def is_usable(self) -> bool:
        """Whether it can give any factor; a phone that was never activated can't."""
        return self.confirmed and bool(self.otp or self.has_page or self.number)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The capabilities in preauth's answer for a phone; a token has none but its passcodes."""
        if self.kind is DeviceKind.TOKEN:
            return ()
        able = []
        if self.has_page:
            able.append("push")
        if self.number:
            able += ["sms", "phone"]
        if self.otp and self.confirmed:
            able.append("mobile_otp")
        if self.has_page or self.number:
            able.insert(0, "auto")
        return tuple(able)


def masked(number: str) -> str:
    digits = "".join(character for character in number if character.isdigit())
    return f"XXX-XXX-{digits[-4:]}" if digits else ""


@light_dataclass(frozen=True, slots=True)
class Login:
    """One request for a factor, from the call to its end. `details`: what the application said about it."""

    txid: str
    ikey: str
    user_id: str
    device_id: str | None
    factor: Factor
    result: Result
    status: Status
    number: str
    details: Mapping[str, str] = field(repr=False)
    created: float
    expires: float

    def at(self, now: float) -> tuple[Result, Status]:
        """Its state at this moment; it expires by itself."""
        if self.result is Result.WAITING and now >= self.expires:
            return Result.DENY, Status.TIMEOUT
        return self.result, self.status
