"""Checks what was typed against all passcodes of a user. Each is accepted once."""

from __future__ import annotations

from authproxy.embedded.cloud.model import WallClock
from authproxy.embedded.cloud.otp import OtpSecret, matching_step
from authproxy.embedded.cloud.store.codes import Codes
from authproxy.embedded.cloud.store.devices import Devices
from authproxy.secret import Secret
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Matched:
    """The passcode was right. `how`: totp, hotp, bypass or sms."""

    how: str
    device_id: str | None = None


class Passcodes:
    """Checks what was typed. The caller counts failures."""

    def __init__(self, devices: Devices, codes: Codes, clock: WallClock) -> None:
        self._devices = devices
        self._codes = codes
        self._clock = clock

    def check(self, user_id: str, typed: Secret) -> Matched | None:
        """Use the passcode up. None: it is wrong, or was used before."""
        for otp in self._devices.otp_secrets(user_id):
            if self.check_otp(otp, typed):
                return Matched(otp.kind.value, otp.device_id)
        kind = self._codes.spend(user_id, typed)
        return None if kind is None else Matched(kind.value)

    def check_otp(self, otp: OtpSecret, typed: Secret) -> bool:
        """Whether it is this device's passcode now, and wasn't used before."""
        step = matching_step(otp, typed, self._clock())
        return step is not None and self._devices.use_up(otp.device_id, step)
