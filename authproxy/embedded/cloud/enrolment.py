"""How somebody gets a phone: a link, a tap, done. And how an authenticator app is added.

Two kinds of links. One is made for a user that exists, by an administrator or the API's `enroll`. The other is what
preauth hands to somebody who isn't enrolled: it is signed instead of stored, so that asking changes nothing; it holds
no more than a name and a time, and works once, and only while its user has no device.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import struct

from authproxy.embedded.cloud.model import Device, DeviceKind, Otp, User, WallClock
from authproxy.embedded.cloud.otp import OtpSecret, new_otp_secret
from authproxy.embedded.cloud.passcodes import Passcodes
from authproxy.embedded.cloud.store.codes import ActivationState
from authproxy.embedded.cloud.store.store import Store
from authproxy.secret import Secret
from authproxy.values import light_dataclass

PORTAL_LIFE = 3600.0  # seconds
_MAC_OCTETS = 16
_NONCE_OCTETS = 6


@light_dataclass(frozen=True, slots=True)
class Invitation:
    """A valid link: for which user's phone it is."""

    code: Secret
    username: str
    user_id: str | None  # None: the user begins to exist with it
    device_id: str | None
    expires: float


@light_dataclass(frozen=True, slots=True)
class NewPhone:
    """`token`: the browser's secret from now on."""

    device: Device
    username: str
    token: Secret


class _NotUsable(Exception):
    """Nothing of what was begun stays."""


class Enrolment:
    def __init__(self, store: Store, passcodes: Passcodes, clock: WallClock) -> None:
        self._store = store
        self._passcodes = passcodes
        self._clock = clock

    # ---- links

    def invite(self, user: User, life: float, device_id: str | None = None) -> Secret:
        """The code of a link for this user. With `device_id`, that phone moves to the browser that opens the link."""
        return self._store.activations.add(user.user_id, device_id, life)

    def sign(self, username: str) -> Secret:
        """The code of a link for a user without a device; short enough for a RADIUS Reply-Message."""
        head = struct.pack("!I", int(self._clock() + PORTAL_LIFE)) + secrets.token_bytes(_NONCE_OCTETS)
        told = head + username.encode()
        packed = base64.urlsafe_b64encode(self._store.seal.sign(b"portal" + told) + told)
        return Secret(b"~" + packed.rstrip(b"="))

    def read(self, code: Secret) -> Invitation | None:
        """The invitation of this code. None: unknown, used or expired."""
        if code.reveal().startswith(b"~"):
            return self._signed(code)
        activation = self._store.activations.find(code)
        if activation is None or activation.state is not ActivationState.WAITING:
            return None
        user = self._store.users.find(activation.user_id)
        if user is None:
            return None
        return Invitation(code, user.username, user.user_id, activation.device_id, activation.expires)

    def state(self, code: Secret) -> ActivationState:
        """What has become of a link, for the page that shows it and for `enroll_status`."""
        activation = self._store.activations.find(code)
        if activation is not None:
            return activation.state
        return ActivationState.WAITING if self.read(code) is not None else ActivationState.INVALID

    def _signed(self, code: Secret) -> Invitation | None:
        octets = code.reveal()[1:]
        try:
            packed = base64.b64decode(octets + b"=" * (-len(octets) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if base64.urlsafe_b64encode(packed).rstrip(b"=") != octets:
            return None  # another spelling of a link would count as another link, and be good once more
        mac, told = packed[:_MAC_OCTETS], packed[_MAC_OCTETS:]
        if not hmac.compare_digest(mac, self._store.seal.sign(b"portal" + told)):
            return None
        expires = float(struct.unpack_from("!I", told)[0])
        username = told[4 + _NONCE_OCTETS :].decode()
        if expires <= self._clock() or self._store.activations.find(code) is not None:
            return None
        user = self._store.users.named(username)
        if user is not None and any(device.is_usable for device in self._store.devices.of(user.user_id)):
            return None
        return Invitation(code, username, user.user_id if user else None, None, expires)

    # ---- the phone

    def activate(self, code: Secret, name: str) -> NewPhone | None:
        """Turn the caller's browser into the phone. None: the link has expired, or was used before."""
        try:
            with self._store.database.change():
                return self._activate(code, name)
        except _NotUsable:
            return None

    def _activate(self, code: Secret, name: str) -> NewPhone:
        invitation = self.read(code)
        if invitation is None:
            raise _NotUsable
        user_id = invitation.user_id or self._store.users.add(invitation.username).user_id
        device = self._phone(user_id, invitation.device_id, name)
        if not self._spend(code, user_id, device.device_id, invitation.expires):
            raise _NotUsable
        token = self._store.devices.give_page(device.device_id)
        self._store.events.add(
            invitation.username, "phone.activated", device=device.device_id, name=device.name
        )
        return NewPhone(device, invitation.username, token)

    def _phone(self, user_id: str, device_id: str | None, name: str) -> Device:
        known = None if device_id is None else self._store.devices.find(device_id)
        if known is not None:
            return known
        return self._store.devices.add(
            user_id, DeviceKind.PHONE, name=name, otp=Otp.TOTP, otp_secret=new_otp_secret()
        )

    def _spend(self, code: Secret, user_id: str, device_id: str, expires: float) -> bool:
        if code.reveal().startswith(b"~"):
            return self._store.activations.record(code, user_id, device_id, expires)
        return self._store.activations.spend(code, device_id)

    # ---- authenticator apps

    def new_authenticator(self, user_id: str) -> OtpSecret:
        """A new device. Its secret is shown until a passcode has proved that the app has it."""
        for device in self._store.devices.of(user_id):
            if not device.confirmed:
                self._store.devices.remove(device.device_id)
        device = self._store.devices.add(
            user_id,
            DeviceKind.TOKEN,
            name="Authenticator app",
            otp=Otp.TOTP,
            otp_secret=new_otp_secret(),
            confirmed=False,
        )
        made = self._store.devices.otp_secret(device.device_id)
        if made is None:
            raise LookupError(device.device_id)
        return made

    def pending_authenticator(self, user_id: str) -> OtpSecret | None:
        for device in self._store.devices.of(user_id):
            if not device.confirmed:
                return self._store.devices.otp_secret(device.device_id)
        return None

    def confirm_authenticator(self, user_id: str, typed: Secret) -> bool:
        """The app has shown the right passcode, so the device may be used."""
        pending = self.pending_authenticator(user_id)
        if pending is None or not self._passcodes.check_otp(pending, typed):
            return False
        self._store.devices.confirm(pending.device_id)
        self._store.events.add(user_id, "authenticator.added", device=pending.device_id)
        return True
