"""The legacy API, /rest/v1/… with no suffix, .json or .bson: for clients that speak nothing newer.

Its words differ from v2's: `user`, `auto`, `code`; texts stand in `status`; a login that waits has no `result`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from authproxy.embedded.cloud import texts
from authproxy.embedded.cloud.api.bson import Value, encode
from authproxy.embedded.cloud.api.calls import (
    MOST_NAME,
    Behind,
    begin,
    chosen,
    details_of,
    named,
    text_of,
    until_decided,
)
from authproxy.embedded.cloud.api.envelope import HEADERS, failure
from authproxy.embedded.cloud.api.errors import ApiError, Code
from authproxy.embedded.cloud.api.parameters import Parameters
from authproxy.embedded.cloud.api.prompt import prompt
from authproxy.embedded.cloud.model import Application, Factor, Login, Result, User
from authproxy.embedded.cloud.outcomes import (
    Ask,
    PreauthAllow,
    PreauthDeny,
    PreauthEnroll,
    PreauthFactors,
)
from authproxy.embedded.cloud.web import Reply
from authproxy.secret import Secret

PREFIX = "/rest/v1/"
Endpoint = Callable[[Application, Parameters], Awaitable[Value]]


class AuthV1:
    def __init__(self, behind: Behind) -> None:
        self._store = behind.store
        self._core = behind.core
        self._enrolment = behind.enrolment
        self._links = behind.links
        self._clock = behind.clock
        self._polls = behind.polls
        self._endpoints: Mapping[tuple[str, str], Endpoint] = {
            ("GET", "check"): self._check,
            ("POST", "preauth"): self._preauth,
            ("POST", "auth"): self._auth,
            ("GET", "status"): self._status,
        }

    def find(self, method: str, path: str) -> Endpoint | None:
        return self._endpoints.get((method, name_of(path)))

    async def _check(self, application: Application, sent: Parameters) -> Value:
        return "valid"

    async def _preauth(self, application: Application, sent: Parameters) -> Value:
        user = self._user(sent)
        username = user.username if isinstance(user, User) else user
        match self._core.preauth(application, user):
            case PreauthAllow(message):
                return {"result": "allow", "status": message}
            case PreauthDeny(message):
                return {"result": "deny", "status": message}
            case PreauthEnroll():
                url = self._links.portal(self._enrolment.sign(username))
                return {"result": "enroll", "status": f"{texts.ENROLL}: {url}"}
            case PreauthFactors() as wanted:
                menu = prompt(username, wanted)
                return {"result": "auth", "prompt": menu.text, "factors": menu.factors}

    async def _auth(self, application: Application, sent: Parameters) -> Value:
        user = self._user(sent)
        login = begin(self._core, application, user, self._ask(user, sent))
        if sent.flag("async"):
            return {"txid": login.txid}
        return self._outcome(await until_decided(self._core, login, self._clock))

    async def _status(self, application: Application, sent: Parameters) -> Value:
        return self._outcome(await self._polls.poll(application, sent.need("txid")))

    def _ask(self, user: User | str, sent: Parameters) -> Ask:
        details = details_of(sent)
        match sent.need("factor"):
            case "auto":
                return self._chosen(user, sent.need("auto").strip(), details)
            case "passcode":
                passcode = Secret.of(sent.need("code").strip())
                return Ask(Factor.PASSCODE, passcode=passcode, details=details)
            case "push" | "phone" | "sms" as factor:
                # `phone2` is the second phone that can do it, whatever it is to do.
                number = sent.get("phone").removeprefix("phone")
                return self._chosen(user, f"{factor}{number}", details)
            case _:
                raise ApiError(Code.INVALID_PARAMETER, "factor")

    def _chosen(self, user: User | str, choice: str, details: Mapping[str, str]) -> Ask:
        return chosen(self._store, user, choice, details)

    def _outcome(self, login: Login) -> Value:
        result, status = login.at(self._clock())
        text = text_of(login, status)
        if result is Result.WAITING:
            return {"status": text}
        return {"result": result.value, "status": text}

    def _user(self, sent: Parameters) -> User | str:
        return named(self._store, sent.need("user", MOST_NAME))


def name_of(path: str) -> str:
    """The endpoint's name, without the suffix for the form of its answer."""
    return path.removeprefix(PREFIX).removesuffix(".json").removesuffix(".bson")


def succeeded(path: str, response: Value) -> Reply:
    return _reply(path, 200, {"stat": "OK", "response": response})


def refused(path: str, error: ApiError) -> Reply:
    return _reply(path, error.status, failure(error), error.headers)


def _reply(
    path: str, status: int, told: Mapping[str, Value], headers: tuple[tuple[str, str], ...] = ()
) -> Reply:
    if path.endswith(".bson"):
        return Reply(status, encode(told), "application/bson", (*HEADERS, *headers))
    return Reply(status, json.dumps(told, default=dict).encode(), "application/json", (*HEADERS, *headers))
