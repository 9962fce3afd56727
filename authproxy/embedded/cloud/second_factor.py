"""What the service decides: whether a factor is due, which one, and its outcome. No HTTP, no API terms."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

from authproxy.embedded.cloud import texts
from authproxy.embedded.cloud.changes import Changes
from authproxy.embedded.cloud.model import (
    Application,
    Device,
    Factor,
    Login,
    NewUsers,
    Result,
    Status,
    User,
    UserStatus,
    WallClock,
)
from authproxy.embedded.cloud.outcomes import (
    Ask,
    Decided,
    Invalid,
    Limits,
    NumberToMatch,
    Preauth,
    PreauthAllow,
    PreauthDeny,
    PreauthEnroll,
    PreauthFactors,
    TooMany,
    Verdict,
)
from authproxy.embedded.cloud.passcodes import Passcodes
from authproxy.embedded.cloud.senders import Sender
from authproxy.embedded.cloud.store.store import Store
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_TEXTED_CODES = 5


class SecondFactor:
    """The core of the service. The caller has proved who they are."""

    def __init__(
        self,
        store: Store,
        changes: Changes,
        passcodes: Passcodes,
        sender: Sender,
        limits: Limits,
        clock: WallClock,
    ) -> None:
        self._store = store
        self._changes = changes
        self._passcodes = passcodes
        self._sender = sender
        self._limits = limits
        self._clock = clock
        self._numbers: dict[tuple[str, str], NumberToMatch] = {}

    # ---- is a factor due?

    def preauth(
        self,
        application: Application,
        user: User | str,
        *,
        trusted: Secret | None = None,
        can_show_number: bool = False,
    ) -> Preauth:
        """`user`: a name if there is no such user. `trusted`: the token of an earlier success."""
        if isinstance(user, str):
            return _newcomer(application, user)
        if (settled := self._settled(application, user)) is not None:
            return settled
        if trusted is not None and self._is_remembered(application, user, trusted):
            return PreauthAllow(texts.REMEMBERED)
        devices = self._usable(user)
        factors = self._factors(application, user, can_show_number)
        offered = None
        if application.policy.number_matching and can_show_number and Factor.PUSH in factors:
            offered = self._offer_number(application, user)
        return PreauthFactors(devices, factors, offered)

    def _settled(self, application: Application, user: User) -> Preauth | None:
        """The answer that needs no factor; None when one is due."""
        if user.status is UserStatus.DISABLED:
            return PreauthDeny(texts.DISABLED)
        if user.is_locked(self._clock()):
            return PreauthDeny(texts.TEXT[Status.LOCKED_OUT])
        if user.status is UserStatus.BYPASS:
            return PreauthAllow(texts.TEXT[Status.BYPASS])
        if not self._usable(user) and not self._store.codes.has_bypass(user.user_id):
            return _newcomer(application, user.username, user.policy.without_device)
        return None

    def _usable(self, user: User) -> tuple[Device, ...]:
        return tuple(device for device in self._store.devices.of(user.user_id) if device.is_usable)

    def _is_remembered(self, application: Application, user: User, token: Secret) -> bool:
        return bool(application.policy.remember_hours) and self._store.remembered.knows(
            token, user.user_id, application.ikey
        )

    def _factors(self, application: Application, user: User, can_show_number: bool) -> frozenset[Factor]:
        factors = application.policy.factors
        if user.policy.factors is not None:
            factors &= user.policy.factors
        if application.policy.number_matching and not can_show_number:
            # A push that could not be matched would be the very push that number matching is to prevent.
            return factors - {Factor.PUSH}
        return factors

    def _offer_number(self, application: Application, user: User) -> NumberToMatch:
        """One for each user and application: the newest counts."""
        now = self._clock()
        self._numbers = {key: kept for key, kept in self._numbers.items() if kept.expires > now}
        offered = NumberToMatch(
            secrets.token_hex(16), f"{secrets.randbelow(1000):03d}", now + self._limits.push_life
        )
        self._numbers[application.ikey, user.user_id] = offered
        return offered

    # ---- a factor is asked for

    def ask(self, application: Application, user: User | str, ask: Ask) -> Login:
        """The login, which begins or is already over. Raises Invalid, TooMany."""
        if isinstance(user, str):
            raise Invalid("username")
        self._count(user)
        note = _Note(self._store, application, user, ask.details)
        match self._settled(application, user):
            case PreauthAllow():
                return note.over(Factor.PUSH, Result.ALLOW, Status.BYPASS)
            case PreauthDeny():
                locked = user.is_locked(self._clock()) and user.status is not UserStatus.DISABLED
                return note.over(Factor.PUSH, Result.DENY, Status.LOCKED_OUT if locked else Status.DENY)
            case PreauthEnroll() if ask.factor is not Factor.PASSCODE:
                raise Invalid("no capable device")
        if ask.factor is Factor.PASSCODE:
            return self._passcode(application, user, ask, note)
        device, factor = self._choose(application, user, ask)
        match factor:
            case Factor.SMS:
                return self._text(user, device, note)
            case Factor.PHONE:
                return self._call(application, device, note)
            case _:
                return self._push(application, user, device, ask, note)

    def _count(self, user: User) -> None:
        if self._store.logins.count_waiting(user.user_id) >= self._limits.waiting:
            raise TooMany(10)
        if self._store.logins.count_since(user.user_id, self._clock() - 60.0) >= self._limits.per_minute:
            raise TooMany(30)

    def _passcode(self, application: Application, user: User, ask: Ask, note: _Note) -> Login:
        if Factor.PASSCODE not in self._factors(application, user, can_show_number=False):
            raise Invalid("factor")
        if ask.passcode is None:
            raise Invalid("passcode")
        if self._passcodes.check(user.user_id, ask.passcode) is not None:
            self._store.users.succeeded(user.user_id)
            return note.over(Factor.PASSCODE, Result.ALLOW, Status.ALLOW)
        if self._store.users.failed(user.user_id, self._limits.failures, self._limits.lockout):
            self._store.events.add("service", "user.locked_out", username=user.username)
            return note.over(Factor.PASSCODE, Result.DENY, Status.LOCKED_OUT)
        return note.over(Factor.PASSCODE, Result.DENY, Status.DENY)

    def _choose(self, application: Application, user: User, ask: Ask) -> tuple[Device, Factor]:
        """The device and what it shall do. Raises Invalid."""
        allowed = self._factors(application, user, bool(ask.txid))
        wanted = (Factor.PUSH, Factor.PHONE) if ask.factor is None else (ask.factor,)
        devices = list(self._usable(user))
        if ask.device_id != "auto":
            devices = [device for device in devices if device.device_id == ask.device_id]
            if not devices:
                raise Invalid("device")
        for factor in wanted:
            for device in devices:
                if factor in allowed and factor.value in device.capabilities:
                    return device, factor
        raise Invalid("no capable device")

    def _push(self, application: Application, user: User, device: Device, ask: Ask, note: _Note) -> Login:
        number, txid = "", None
        if application.policy.number_matching:
            offered = self._numbers.pop((application.ikey, user.user_id), None)
            if offered is None or offered.txid != ask.txid or offered.expires <= self._clock():
                raise Invalid("txid")
            number, txid = offered.number, offered.txid
        login = note.waiting(device, Factor.PUSH, Status.PUSHED, self._limits.push_life, number, txid)
        self._changes.tell(device.device_id)
        return login

    def _call(self, application: Application, device: Device, note: _Note) -> Login:
        login = note.waiting(device, Factor.PHONE, Status.CALLING, self._limits.call_life)
        message = Secret.of(f"Login request from {application.name}. Press any key to approve, or hang up.")
        self._store.outbox.add(device.device_id, "phone", message)
        self._sender.send("phone", device.number, message)
        self._changes.tell(device.device_id)
        return login

    def _text(self, user: User, device: Device, note: _Note) -> Login:
        codes = self._store.codes.texted(
            user.user_id, device.device_id, _TEXTED_CODES, self._limits.texted_life
        )
        message = Secret.of("Passcodes: " + " ".join(code.reveal().decode() for code in codes))
        self._store.outbox.add(device.device_id, "sms", message)
        self._sender.send("sms", device.number, message)
        self._changes.tell(device.device_id)
        return note.over(Factor.SMS, Result.DENY, Status.SENT)

    # ---- how it ends

    async def settled(self, txid: str, hold: float) -> Login | None:
        """The login when its state has changed, or unchanged after `hold` seconds. None: there is none."""
        login = self._store.logins.find(txid)
        now = self._clock()
        if login is None or login.at(now)[0] is not Result.WAITING or hold <= 0:
            return login
        await self._changes.wait((txid,), min(hold, login.expires - now))
        return self._store.logins.find(txid)

    def decide(self, devices: Iterable[Device], txid: str, verdict: Verdict, number: str = "") -> Decided:
        """A person's answer on one of these devices."""
        login = self._store.logins.find(txid)
        own = {device.device_id for device in devices}
        if login is None or login.device_id not in own:
            return Decided.TOO_LATE
        match verdict:
            case Verdict.DENY:
                return self._end(login, Result.DENY, Status.DENY)
            case Verdict.FRAUD:
                return self._fraud(login)
            case Verdict.APPROVE:
                return self._approve(login, number)

    def answer(self, devices: Iterable[Device], txid: str) -> Decided:
        """The call was picked up, which doesn't decide it."""
        login = self._store.logins.find(txid)
        own = {device.device_id for device in devices}
        if login is None or login.device_id not in own or login.factor is not Factor.PHONE:
            return Decided.TOO_LATE
        if not self._store.logins.move(txid, Status.ANSWERED):
            return Decided.TOO_LATE
        self._changes.tell(txid, login.device_id or "")
        return Decided.DONE

    def _approve(self, login: Login, number: str) -> Decided:
        if login.number and not secrets.compare_digest(login.number.encode(), number.strip().encode()):
            if self._end(login, Result.DENY, Status.DENY) is Decided.TOO_LATE:
                return Decided.TOO_LATE
            return Decided.WRONG_NUMBER
        return self._end(login, Result.ALLOW, Status.ALLOW)

    def _fraud(self, login: Login) -> Decided:
        decided = self._end(login, Result.DENY, Status.FRAUD)
        if decided is Decided.DONE:
            user = self._store.users.find(login.user_id)
            self._store.events.add(
                user.username if user else login.user_id,
                "login.reported_as_fraud",
                txid=login.txid,
                ipaddr=login.details.get("ipaddr", ""),
            )
        return decided

    def _end(self, login: Login, result: Result, status: Status) -> Decided:
        if not self._store.logins.decide(login.txid, result, status):
            return Decided.TOO_LATE
        if result is Result.ALLOW:
            self._store.users.succeeded(login.user_id)
        self._changes.tell(login.txid, login.device_id or "")
        return Decided.DONE

    def remember(self, application: Application, login: Login) -> Secret | None:
        """A token with which this client needs no factor for a while, if the application's policy allows that."""
        hours = application.policy.remember_hours
        if not hours or login.result is not Result.ALLOW or login.status is Status.BYPASS:
            return None
        return self._store.remembered.issue(login.txid, login.user_id, login.ikey, hours)


def _newcomer(application: Application, username: str, own: NewUsers | None = None) -> Preauth:
    """`own`: the user's own rule, which counts before the application's."""
    match own or application.policy.new_users:
        case NewUsers.ALLOW:
            return PreauthAllow(texts.NOT_ENROLLED)
        case NewUsers.DENY:
            return PreauthDeny(texts.NOT_ENROLLED)
        case NewUsers.ENROLL:
            return PreauthEnroll(username)


@light_dataclass(frozen=True, slots=True)
class _Note:
    """Writes down a login of this user at this application."""

    store: Store
    application: Application
    user: User
    details: Mapping[str, str]

    def over(self, factor: Factor, result: Result, status: Status) -> Login:
        return self._add(None, factor, result, status)

    def waiting(
        self,
        device: Device,
        factor: Factor,
        status: Status,
        life: float,
        number: str = "",
        txid: str | None = None,
    ) -> Login:
        return self._add(device.device_id, factor, Result.WAITING, status, life, number, txid)

    def _add(
        self,
        device_id: str | None,
        factor: Factor,
        result: Result,
        status: Status,
        life: float = 0.0,
        number: str = "",
        txid: str | None = None,
    ) -> Login:
        return self.store.logins.add(
            ikey=self.application.ikey,
            user_id=self.user.user_id,
            device_id=device_id,
            factor=factor,
            result=result,
            status=status,
            details=self.details,
            life=life,
            number=number,
            txid=txid,
        )
