"""The phone page: what waits for an answer, who asks, from where, for how long; and the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from authproxy.embedded.cloud.changes import Changes
from authproxy.embedded.cloud.enrolment import Enrolment
from authproxy.embedded.cloud.model import Device, Factor, Status, WallClock
from authproxy.embedded.cloud.pages.browser import Cookie, Forms, Templates, see_other
from authproxy.embedded.cloud.pages.qr import svg
from authproxy.embedded.cloud.passcodes import STEP_SECONDS, current_step, otp_at
from authproxy.embedded.cloud.second_factor import Decided, SecondFactor, Verdict
from authproxy.embedded.cloud.store.devices import OtpSecret
from authproxy.embedded.cloud.store.logins import LoginLine
from authproxy.embedded.cloud.store.store import Store
from authproxy.embedded.cloud.web import Answer, Call, Reply, Stream
from authproxy.secret import Secret

PHONE = Cookie("phone")
_HEARTBEAT = 15.0  # seconds: less than what anything in between cuts a silent connection after
_SEEN_EVERY = 60.0
_RECENT = 5
_MOST_TOLD = 8  # lines of pushinfo; each is the application's own text
# What the page says after an answer; the address names one of these and never a text.
SAID = {
    "approved": ("Approved. You are being logged in.", "good"),
    "denied": ("Denied. Nobody was let in.", "plain"),
    "reported": (
        "Reported, and nobody was let in. Somebody may know your password: change it now.",
        "bad",
    ),
    "late": ("Too late: this request is over.", "plain"),
    "number": ("That was another number, so the login was denied. Try it again.", "bad"),
    "answered": ("You picked up. Approve or hang up below.", "plain"),
    "stale": ("This page was out of date. Try again.", "plain"),
    "code": ("That was not the code. Check your app's clock and try the next one.", "bad"),
    "added": ("The app is ready. Its codes work from now on.", "good"),
    "removed": ("This browser is nobody's phone any more.", "plain"),
}
_VERDICTS = {
    Verdict.APPROVE: "approved",
    Verdict.DENY: "denied",
    Verdict.FRAUD: "reported",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request as the page shows it."""

    txid: str
    application: str
    username: str
    what: str
    where: str
    told: Sequence[tuple[str, str]]
    left: int
    life: int
    matching: bool
    call: bool
    answered: bool


@dataclass(frozen=True, slots=True)
class Past:
    application: str
    username: str
    outcome: str
    good: bool
    ago: str


@dataclass(frozen=True, slots=True)
class Me:
    """The browser: its secrets and the phones that they make it."""

    secrets: tuple[Secret, ...]
    devices: tuple[Device, ...]


class PhonePages:
    def __init__(
        self,
        *,
        store: Store,
        core: SecondFactor,
        enrolment: Enrolment,
        changes: Changes,
        templates: Templates,
        clock: WallClock,
    ) -> None:
        self._store = store
        self._core = core
        self._enrolment = enrolment
        self._changes = changes
        self._templates = templates
        self._clock = clock
        self._forms = Forms(store.seal)
        self.routes: Mapping[tuple[str, str], Callable[[Call, Me], Awaitable[Answer]]] = {
            ("GET", "/"): self._home,
            ("POST", "/decide"): self._decide,
            ("GET", "/events"): self._events,
            ("GET", "/passcodes"): self._passcodes,
            ("GET", "/authenticator"): self._authenticator,
            ("POST", "/authenticator"): self._new_authenticator,
            ("POST", "/authenticator/confirm"): self._confirm_authenticator,
            ("POST", "/forget"): self._forget,
        }

    def me(self, call: Call) -> Me:
        secrets = PHONE.read(call)
        devices = tuple(self._store.devices.by_pages(secrets))
        now = self._clock()
        for device in devices:
            if now - device.seen > _SEEN_EVERY:
                self._store.devices.saw(device.device_id)
        return Me(secrets, devices)

    # ---- what waits

    async def _home(self, call: Call, me: Me) -> Answer:
        said = SAID.get(call.parameters().get("said", ""))
        if not me.devices:
            return self._templates.page("welcome.html", said=said)
        return self._templates.page(
            "phone.html",
            said=said,
            word=self._forms.word(me.secrets),
            accounts=self._names(me.devices),
            waiting=[self._waiting(line) for line in self._lines(me.devices)],
            texts=self._texts(me.devices),
            recent=self._recent(me.devices),
        )

    def _lines(self, devices: Sequence[Device]) -> Sequence[LoginLine]:
        return self._store.logins.waiting_of(device.device_id for device in devices)

    def _names(self, devices: Sequence[Device]) -> Sequence[str]:
        found = (self._store.users.find(device.user_id) for device in devices)
        return sorted({user.username for user in found if user is not None})

    def _waiting(self, line: LoginLine) -> Waiting:
        login, details = line.login, line.login.details
        where = " · ".join(filter(None, (details.get("ipaddr", ""), details.get("hostname", ""))))
        return Waiting(
            txid=login.txid,
            application=line.application or "An application that is gone",
            username=details.get("display_username", line.username),
            what=details.get("type", "Login"),
            where=where or "Not told",
            told=_told(details.get("pushinfo", "")),
            left=max(0, int(login.expires - self._clock())),
            life=max(1, int(login.expires - login.created)),
            matching=bool(login.number),
            call=login.factor is Factor.PHONE,
            answered=login.status is Status.ANSWERED,
        )

    def _texts(self, devices: Sequence[Device]) -> Sequence[str]:
        """Texts that would have been sent, newest first."""
        return [
            message.message.reveal().decode()
            for device in devices
            if device.number
            for message in self._store.outbox.of(device.device_id, 1)
            if message.kind == "sms"
        ]

    def _recent(self, devices: Sequence[Device]) -> Sequence[Past]:
        now = self._clock()
        users = {device.user_id for device in devices}
        lines = [line for user_id in users for line in self._store.logins.recent(_RECENT, user_id)]
        over = [line for line in lines if line.login.at(now)[0].value != "waiting"]
        over.sort(key=lambda line: line.login.created, reverse=True)
        return [_past(line, now) for line in over[:_RECENT]]

    # ---- the answer

    async def _decide(self, call: Call, me: Me) -> Answer:
        if not self._forms.is_ours(call, me.secrets):
            return see_other("/?said=stale")
        form = call.form()
        txid, word = form.get("txid", ""), form.get("verdict", "")
        if word == "answer":
            return _said(self._core.answer(me.devices, txid), "answered")
        try:
            verdict = Verdict(word)
        except ValueError:
            return see_other("/?said=stale")
        decided = self._core.decide(me.devices, txid, verdict, form.get("number", ""))
        return _said(decided, _VERDICTS[verdict])

    async def _events(self, call: Call, me: Me) -> Answer:
        if not me.devices:
            return Reply(204)
        return Stream(self._news(tuple(device.device_id for device in me.devices)))

    async def _news(self, device_ids: tuple[str, ...]) -> AsyncIterator[bytes]:
        """A word whenever something changed: the page then looks for itself, and can't miss anything by that."""
        yield b"retry: 2000\nevent: changed\ndata: begin\n\n"
        while True:
            changed = await self._changes.wait(device_ids, _HEARTBEAT)
            yield b"event: changed\ndata: now\n\n" if changed else b": still here\n\n"

    # ---- passcodes and apps

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

    async def _forget(self, call: Call, me: Me) -> Answer:
        if not self._forms.is_ours(call, me.secrets):
            return see_other("/?said=stale")
        for device in me.devices:
            self._store.devices.take_page(device.device_id)
            self._store.events.add(device.user_id, "phone.removed", device=device.device_id)
        return see_other("/?said=removed", [PHONE.write(call, ())])


def _said(decided: Decided, done: str) -> Reply:
    match decided:
        case Decided.DONE:
            return see_other(f"/?said={done}")
        case Decided.TOO_LATE:
            return see_other("/?said=late")
        case Decided.WRONG_NUMBER:
            return see_other("/?said=number")


def _told(pushinfo: str) -> Sequence[tuple[str, str]]:
    try:
        pairs = parse_qsl(pushinfo, keep_blank_values=True, max_num_fields=64)
    except ValueError:
        return []
    return [(name[:40], value[:200]) for name, value in pairs[:_MOST_TOLD]]


def _past(line: LoginLine, now: float) -> Past:
    result, status = line.login.at(now)
    words = {
        Status.ALLOW: "Approved",
        Status.BYPASS: "Let in without a factor",
        Status.DENY: "Wrong passcode" if line.login.factor is Factor.PASSCODE else "Denied",
        Status.TIMEOUT: "No answer",
        Status.FRAUD: "Reported",
        Status.LOCKED_OUT: "Locked out",
        Status.SENT: "Passcodes texted",
    }
    outcome = words.get(status, status.value)
    if line.login.factor is Factor.PASSCODE and status is Status.ALLOW:
        outcome = "Passcode accepted"
    return Past(
        line.application, line.username, outcome, result.value == "allow", _ago(now - line.login.created)
    )


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def _spaced(code: str) -> str:
    return f"{code[: len(code) // 2]} {code[len(code) // 2 :]}"


def _uri(otp: OtpSecret, username: str) -> str:
    """The form that authenticator apps read."""
    secret = otp.secret.reveal().decode()
    return f"otpauth://totp/authproxy:{quote(username)}?secret={secret}&issuer=authproxy&digits={otp.digits}"
