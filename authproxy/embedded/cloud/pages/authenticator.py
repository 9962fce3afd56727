"""Passcodes: those that the phone's page shows, and authenticator apps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from authproxy.embedded.cloud.enrolment import Enrolment
from authproxy.embedded.cloud.model import Device, WallClock
from authproxy.embedded.cloud.otp import STEP_SECONDS, OtpSecret, current_step, otp_at
from authproxy.embedded.cloud.pages.browser import Forms, Templates, see_other
from authproxy.embedded.cloud.pages.me import SAID, Me, Routes
from authproxy.embedded.cloud.pages.qr import svg
from authproxy.embedded.cloud.store.store import Store
from authproxy.embedded.cloud.web import Answer, Call
from authproxy.secret import Secret


class AuthenticatorPages:
    def __init__(self, *, store: Store, enrolment: Enrolment, templates: Templates, clock: WallClock) -> None:
        self._store = store
        self._enrolment = enrolment
        self._templates = templates
        self._clock = clock
        self._forms = Forms(store.seal)
        self.routes: Routes = {
            ("GET", "/passcodes"): self._passcodes,
            ("GET", "/authenticator"): self._authenticator,
            ("POST", "/authenticator"): self._new_authenticator,
            ("POST", "/authenticator/confirm"): self._confirm_authenticator,
        }

    async def _passcodes(self, call: Call, me: Me) -> Answer:
        if not me.devices:
            return see_other("/")
        now = self._clock()
        codes = [(name, _spaced(code)) for device in me.devices for name, code in self._codes(device, now)]
        left = STEP_SECONDS - int(now % STEP_SECONDS)
        return self._templates.page("passcodes.html", codes=codes, left=left, life=STEP_SECONDS)

    def _codes(self, device: Device, now: float) -> Sequence[tuple[str, str]]:
        otp = self._store.devices.otp_secret(device.device_id)
        user = self._store.users.find(device.user_id)
        if otp is None or user is None:
            return []
        # One that was used would be refused: show the one after it, which is good already.
        step = max(current_step(now), otp.next)
        if step > current_step(now) + 1:
            return [(user.username, "")]
        return [(user.username, otp_at(otp, step).reveal().decode())]

    async def _authenticator(self, call: Call, me: Me) -> Answer:
        if not me.devices:
            return see_other("/")
        return self._templates.page(
            "authenticator.html",
            said=SAID.get(call.parameters().get("said", "")),
            word=self._forms.word(me.secrets),
            apps=[self._app(device) for device in me.devices],
        )

    def _app(self, device: Device) -> Mapping[str, str]:
        user = self._store.users.find(device.user_id)
        name = user.username if user else ""
        pending = self._store.devices.of(device.user_id)
        told = {"user_id": device.user_id, "username": name, "qr": "", "uri": "", "key": ""}
        if user is None or all(other.confirmed for other in pending):
            return told
        otp = self._enrolment.pending_authenticator(device.user_id)
        if otp is None:
            return told
        uri = _uri(otp, name)
        key = otp.secret.reveal().decode()
        return told | {
            "qr": svg(uri, "QR code for an authenticator app"),
            "uri": uri,
            "key": " ".join(key[at : at + 4] for at in range(0, len(key), 4)),
        }

    def _own(self, call: Call, me: Me) -> str | None:
        """The user that a form is about, when this browser is one of their phones."""
        if not self._forms.is_ours(call, me.secrets):
            return None
        user_id = call.form().get("user_id", "")
        return user_id if any(device.user_id == user_id for device in me.devices) else None

    async def _new_authenticator(self, call: Call, me: Me) -> Answer:
        user_id = self._own(call, me)
        if user_id is None:
            return see_other("/authenticator?said=stale")
        self._enrolment.new_authenticator(user_id)
        return see_other("/authenticator")

    async def _confirm_authenticator(self, call: Call, me: Me) -> Answer:
        user_id = self._own(call, me)
        if user_id is None:
            return see_other("/authenticator?said=stale")
        typed = Secret.of("".join(call.form().get("code", "").split()))
        if not self._enrolment.confirm_authenticator(user_id, typed):
            return see_other("/authenticator?said=code")
        return see_other("/?said=added")


def _spaced(code: str) -> str:
    return f"{code[: len(code) // 2]} {code[len(code) // 2 :]}"


def _uri(otp: OtpSecret, username: str) -> str:
    """The form that authenticator apps read."""
    secret = otp.secret.reveal().decode()
    return f"otpauth://totp/authproxy:{quote(username)}?secret={secret}&issuer=authproxy&digits={otp.digits}"
