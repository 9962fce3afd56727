"""One-time passwords (RFC 4226, RFC 6238): the passcode of a moment. No store, no clock."""

from __future__ import annotations

import hmac

import pyotp

from authproxy.embedded.cloud.model import Otp
from authproxy.secret import Secret
from authproxy.values import light_dataclass

STEP_SECONDS = 30
_DRIFT_STEPS = 1  # RFC 6238 §5.2: one step for the network and a clock that is a little off
_LOOK_AHEAD = 10  # RFC 4226 §7.4: a token whose button was pressed for nothing


@light_dataclass(frozen=True, slots=True)
class OtpSecret:
    """An authenticator's secret and counter. `next`: the first time step or counter that hasn't been used."""

    device_id: str
    kind: Otp
    secret: Secret
    digits: int
    next: int


def new_otp_secret() -> Secret:
    """160 random bits in Base32, as RFC 4226 §4 wants them and authenticator apps read them."""
    return Secret.of(pyotp.random_base32(32))


def otp_at(otp: OtpSecret, counter: int) -> Secret:
    """The passcode of a time step or counter."""
    return Secret.of(pyotp.HOTP(otp.secret.reveal().decode("ascii"), digits=otp.digits).at(counter))


def current_step(now: float) -> int:
    return int(now // STEP_SECONDS)


def matching_step(otp: OtpSecret, typed: Secret, now: float) -> int | None:
    """The unused step or counter with this passcode; None: there is none. Every candidate is compared."""
    match = None
    for counter in _candidates(otp, now):
        if hmac.compare_digest(otp_at(otp, counter).reveal(), typed.reveal()):
            match = counter
    return match


def _candidates(otp: OtpSecret, now: float) -> range:
    if otp.kind is Otp.HOTP:
        return range(otp.next, otp.next + _LOOK_AHEAD)
    step = current_step(now)
    return range(max(otp.next, step - _DRIFT_STEPS), step + _DRIFT_STEPS + 1)
