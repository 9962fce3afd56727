"""What the versions of the API share: whose login it is, what is known about it, beginning it, waiting for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from authproxy.embedded.cloud import texts
from authproxy.embedded.cloud.api.errors import ApiError, Code
from authproxy.embedded.cloud.api.parameters import Parameters
from authproxy.embedded.cloud.api.prompt import read_choice
from authproxy.embedded.cloud.enrolment import Enrolment
from authproxy.embedded.cloud.links import Links
from authproxy.embedded.cloud.model import Application, Factor, Login, Result, Status, User, WallClock
from authproxy.embedded.cloud.outcomes import Ask, Invalid, TooMany
from authproxy.embedded.cloud.second_factor import SecondFactor
from authproxy.embedded.cloud.store.store import Store
from authproxy.pipeline.username import MalformedUsername, read_username
from authproxy.values import light_dataclass

MOST_NAME = 16_384  # characters that are looked at, to be refused in the name's own words
_ANSWERED_FOR = 3600.0  # seconds that a decided login can be asked about
_MOST_POLLED = 65_536
_SYNC_HOLD = 30.0
# What a person may be shown or a log may need; each is a text of the application's. Characters, at most.
_DETAILS = {"ipaddr": 64, "hostname": 255, "type": 64, "display_username": 253, "pushinfo": 20_000}


@light_dataclass(frozen=True, slots=True)
class Behind:
    """The parts of the service that the API uses."""

    store: Store
    core: SecondFactor
    enrolment: Enrolment
    links: Links
    clock: WallClock
    polls: Polls


def username_of(name: str) -> str:
    """The canonical name. Raises ApiError."""
    try:
        return read_username(name.encode()).canonical
    except MalformedUsername:
        raise ApiError(Code.INVALID_PARAMETER, "username") from None


def named(store: Store, name: str) -> User | str:
    """The user; or the canonical name, if there is no such user. Raises ApiError."""
    username = username_of(name)
    return store.users.named(username) or username


def details_of(sent: Parameters) -> Mapping[str, str]:
    """Raises ApiError."""
    found = {name: sent.get(name, most) for name, most in _DETAILS.items()}
    return {name: value for name, value in found.items() if value}


def begin(core: SecondFactor, application: Application, user: User | str, ask: Ask) -> Login:
    """Raises ApiError."""
    try:
        return core.ask(application, user, ask)
    except Invalid as invalid:
        raise ApiError(Code.INVALID_PARAMETER, str(invalid)) from None
    except TooMany as many:
        raise ApiError(Code.TOO_MANY, "", many.retry_after) from None


def chosen(store: Store, user: User | str, typed: str, details: Mapping[str, str]) -> Ask:
    """The request that an answer to the menu means. Raises ApiError."""
    devices = [] if isinstance(user, str) else store.devices.of(user.user_id)
    try:
        return read_choice(typed, devices, details)
    except Invalid as invalid:
        raise ApiError(Code.INVALID_PARAMETER, str(invalid)) from None


async def until_decided(core: SecondFactor, login: Login, clock: WallClock) -> Login:
    """The login once it is decided, for callers that wait in one call. Raises ApiError if it is removed together with
    its user.
    """
    decided: Login | None = login
    while decided is not None and decided.at(clock())[0] is Result.WAITING:
        decided = await core.settled(login.txid, _SYNC_HOLD)
    if decided is None:
        raise ApiError(Code.INVALID_PARAMETER, "username")
    return decided


class Polls:
    """Polls for the state of a login. A new state is answered at once; otherwise the poll is held
    until there is one.
    """

    def __init__(self, store: Store, core: SecondFactor, clock: WallClock, hold: float) -> None:
        """`hold`: for how many seconds a poll is held."""
        self._store = store
        self._core = core
        self._clock = clock
        self._hold = hold
        self._told: OrderedDict[str, Status] = OrderedDict()

    async def poll(self, application: Application, txid: str) -> Login:
        """The login's state. Raises ApiError: it is unknown, another application's, or over for a long time."""
        login = self._store.logins.find(txid)
        if login is None or login.ikey != application.ikey or self._is_long_over(login):
            raise ApiError(Code.INVALID_PARAMETER, "txid")
        knows = self._told.get(txid) is login.status
        login = await self._core.settled(txid, self._hold if knows else 0.0)
        if login is None:
            raise ApiError(Code.INVALID_PARAMETER, "txid")
        self._note(login)
        return login

    def _is_long_over(self, login: Login) -> bool:
        return self._clock() > login.expires + _ANSWERED_FOR

    def _note(self, login: Login) -> None:
        self._told[login.txid] = login.status
        if len(self._told) > _MOST_POLLED:
            self._told.popitem(last=False)


def text_of(login: Login, status: Status) -> str:
    if status is Status.DENY and login.factor is Factor.PASSCODE:
        return texts.WRONG_PASSCODE
    return texts.TEXT[status]
