"""One-time passwords (RFC 4226, RFC 6238): drift allowed, nothing used twice."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

import pyotp

from authproxy.embedded.cloud.model import Otp, WallClock
from authproxy.embedded.cloud.store.codes import Codes
from authproxy.embedded.cloud.store.devices import Devices, OtpSecret
from authproxy.secret import Secret

STEP_SECONDS = 30
_DRIFT_STEPS = 1  # RFC 6238 §5.2: one step for the network and a clock that is a little off
_LOOK_AHEAD = 10  # RFC 4226 §7.4: a token whose button was pressed for nothing


@dataclass(frozen=True, slots=True)
class Matched:
    """The passcode was right. `how`: totp, hotp, bypass or sms."""

    how: str
    device_id: str | None = None


def new_otp_secret() -> Secret:
    """160 random bits in Base32, as RFC 4226 §4 wants them and authenticator apps read them."""
    return Secret.of(pyotp.random_base32(32))


def otp_at(otp: OtpSecret, counter: int) -> Secret:
    """The passcode of a time step or counter."""
    return Secret.of(pyotp.HOTP(otp.secret.reveal().decode("ascii"), digits=otp.digits).at(counter))


def current_step(now: float) -> int:
    return int(now // STEP_SECONDS)


class Passcodes:
    """Checks what was typed against everything that the user has. Counting failures is the caller's."""

    def __init__(self, devices: Devices, codes: Codes, clock: WallClock) -> None:
        self._devices = devices
        self._codes = codes
        self._clock = clock

    def check(self, user_id: str, typed: Secret) -> Matched | None:
        """Use the passcode up. None: wrong, or used before."""
        for otp in self._devices.otp_secrets(user_id):
            if self.check_otp(otp, typed):
                return Matched(otp.kind.value, otp.device_id)
        kind = self._codes.spend(user_id, typed)
        return None if kind is None else Matched(kind.value)

    def check_otp(self, otp: OtpSecret, typed: Secret) -> bool:
        """Whether it is this device's, now, for the first time."""
        match = None
        for counter in self._candidates(otp):
            if hmac.compare_digest(otp_at(otp, counter).reveal(), typed.reveal()):
                match = counter
        return match is not None and self._devices.use_up(otp.device_id, match)

    def _candidates(self, otp: OtpSecret) -> range:
        if otp.kind is Otp.HOTP:
            return range(otp.next, otp.next + _LOOK_AHEAD)
        step = current_step(self._clock())
        return range(max(otp.next, step - _DRIFT_STEPS), step + _DRIFT_STEPS + 1)
