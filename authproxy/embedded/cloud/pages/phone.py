"""The phone page: which logins are waiting, from where and for how long, and the user's answer."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from urllib.parse import parse_qsl

from authproxy.embedded.cloud.changes import Changes
from authproxy.embedded.cloud.model import Device, Factor, Status, WallClock
from authproxy.embedded.cloud.outcomes import Decided, Verdict
from authproxy.embedded.cloud.pages.browser import Forms, Templates, see_other
from authproxy.embedded.cloud.pages.me import PHONE, SAID, Me, Routes
from authproxy.embedded.cloud.second_factor import SecondFactor
from authproxy.embedded.cloud.store.logins import LoginLine
from authproxy.embedded.cloud.store.store import Store
from authproxy.embedded.cloud.web import Answer, Call, Reply, Stream
from authproxy.values import light_dataclass

_HEARTBEAT = 15.0  # seconds: less than what anything in between cuts a silent connection after
_RECENT = 5
_MOST_TOLD = 8  # lines of pushinfo; each is the application's own text
_VERDICTS = {
    Verdict.APPROVE: "approved",
    Verdict.DENY: "denied",
    Verdict.FRAUD: "reported",
}


@light_dataclass(frozen=True, slots=True)
class Waiting:
    """A waiting login, as the page shows it."""

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


@light_dataclass(frozen=True, slots=True)
class Past:
    application: str
    username: str
    outcome: str
    good: bool
    ago: str


class PhonePages:
    def __init__(
        self,
        *,
        store: Store,
        core: SecondFactor,
        changes: Changes,
        templates: Templates,
        clock: WallClock,
    ) -> None:
        self._store = store
        self._core = core
        self._changes = changes
        self._templates = templates
        self._clock = clock
        self._forms = Forms(store.seal)
        self.routes: Routes = {
            ("GET", "/"): self._home,
            ("POST", "/decide"): self._decide,
            ("GET", "/events"): self._events,
            ("POST", "/forget"): self._forget,
        }

    # ---- what waits

    async def _home(self, call: Call, me: Me) -> Answer:
        said = SAID.get(call.parameters().get("said", ""))
        if not me.devices:
            return self._templates.page("welcome.html", said=said, nobody_known=not self._store.users.any())
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
            left=max(0, math.ceil(login.expires - self._clock())),
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
