"""Auth API v2: /auth/v2/… (ping, check, logo, enroll, enroll_status, preauth, auth, auth_status)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from authproxy.embedded.cloud import texts
from authproxy.embedded.cloud.api.calls import (
    MOST_NAME,
    Behind,
    begin,
    chosen,
    details_of,
    named,
    text_of,
    until_decided,
    username_of,
)
from authproxy.embedded.cloud.api.envelope import succeeded
from authproxy.embedded.cloud.api.errors import ApiError, Code
from authproxy.embedded.cloud.api.parameters import Parameters
from authproxy.embedded.cloud.api.prompt import prompt
from authproxy.embedded.cloud.model import (
    Application,
    Device,
    DeviceKind,
    Factor,
    Login,
    Result,
    User,
    masked,
)
from authproxy.embedded.cloud.outcomes import (
    Ask,
    NumberToMatch,
    Preauth,
    PreauthAllow,
    PreauthDeny,
    PreauthEnroll,
    PreauthFactors,
)
from authproxy.embedded.cloud.store.applications import NameTaken
from authproxy.embedded.cloud.web import Reply
from authproxy.pipeline.username import MAX_OCTETS
from authproxy.secret import Secret

_LOGO = Path(__file__).parent.parent / "pages" / "static" / "logo.png"
_ACTIVATION_SCHEME = "duo://"
_DAY = 86400


class AuthV2:
    """Each endpoint gets the caller and the parameters, and raises ApiError."""

    def __init__(self, behind: Behind) -> None:
        self._store = behind.store
        self._core = behind.core
        self._enrolment = behind.enrolment
        self._links = behind.links
        self._clock = behind.clock
        self._polls = behind.polls
        self.endpoints: Mapping[tuple[str, str], Callable[[Application, Parameters], Awaitable[Reply]]] = {
            ("GET", "/auth/v2/check"): self._check,
            ("GET", "/auth/v2/logo"): self._logo,
            ("POST", "/auth/v2/enroll"): self._enroll,
            ("POST", "/auth/v2/enroll_status"): self._enroll_status,
            ("POST", "/auth/v2/preauth"): self._preauth,
            ("POST", "/auth/v2/auth"): self._auth,
            ("GET", "/auth/v2/auth_status"): self._auth_status,
        }

    def ping(self) -> Reply:
        """Not signed, so that a client can find out that its clock is wrong."""
        return succeeded({"time": int(self._clock())})

    async def _check(self, application: Application, sent: Parameters) -> Reply:
        return self.ping()

    async def _logo(self, application: Application, sent: Parameters) -> Reply:
        return Reply(200, _LOGO.read_bytes(), "image/png", (("Cache-Control", "no-store"),))

    # ---- enrolment

    async def _enroll(self, application: Application, sent: Parameters) -> Reply:
        life = sent.number("valid_secs", _DAY, 1, 30 * _DAY)
        count = sent.number("bypass_codes", 0, 0, 10)
        name = sent.get("username", MAX_OCTETS)
        username = username_of(name) if name else f"user-{secrets.token_hex(5)}"
        try:
            user = self._store.users.add(username)
        except NameTaken:
            raise ApiError(Code.INVALID_PARAMETER, "username already exists") from None
        self._store.events.add(application.name, "user.enrolled", username=username)
        code = self._enrolment.invite(user, life)
        answer: dict[str, Any] = {
            "activation_barcode": self._links.barcode(code),
            "activation_code": _ACTIVATION_SCHEME + code.reveal().decode(),
            "activation_url": self._links.activation(code),
            "expiration": int(self._clock() + life),
            "user_id": user.user_id,
            "username": username,
        }
        if count:
            codes = self._store.codes.bypass(user.user_id, count, life)
            answer["bypass_codes"] = [bypass.reveal().decode() for bypass in codes]
        return succeeded(answer)

    async def _enroll_status(self, application: Application, sent: Parameters) -> Reply:
        user_id = sent.need("user_id")
        code = Secret.of(sent.need("activation_code").removeprefix(_ACTIVATION_SCHEME))
        activation = self._store.activations.find(code)
        known = activation is not None and activation.user_id == user_id
        return succeeded(self._enrolment.state(code).value if known else "invalid")

    # ---- preauth

    async def _preauth(self, application: Application, sent: Parameters) -> Reply:
        user = self._user(sent)
        details_of(sent)
        token = sent.get("trusted_device_token")
        answer = self._core.preauth(
            application,
            user,
            trusted=Secret.of(token) if token else None,
            can_show_number=sent.flag("client_supports_verified_push"),
        )
        named = user.username if isinstance(user, User) else user
        return succeeded(self._preauth_answer(answer, named, text_prompt=sent.flag("text_prompt")))

    def _preauth_answer(self, answer: Preauth, username: str, *, text_prompt: bool) -> dict[str, Any]:
        match answer:
            case PreauthAllow(message):
                return {"result": "allow", "status_msg": message}
            case PreauthDeny(message):
                return {"result": "deny", "status_msg": message}
            case PreauthEnroll():
                url = self._links.portal(self._enrolment.sign(username))
                told: dict[str, Any] = {
                    "result": "enroll",
                    "status_msg": texts.ENROLL,
                    "enroll_portal_url": url,
                }
                return told | ({"prompt": {"text": f"{texts.ENROLL}: {url}"}} if text_prompt else {})
            case PreauthFactors(devices, factors, to_match):
                told = {
                    "result": "auth",
                    "status_msg": texts.ACTIVE,
                    "devices": [self._device(device, factors) for device in devices],
                }
                menu = prompt(username, answer)
                more = {"prompt": {"text": menu.text, "factors": dict(menu.factors)}} if text_prompt else {}
                return told | more | _number(to_match)

    def _device(self, device: Device, factors: frozenset[Factor]) -> dict[str, Any]:
        told: dict[str, Any] = {"device": device.device_id, "type": device.kind.value, "name": device.name}
        if device.kind is DeviceKind.TOKEN:
            return told
        told["display_name"] = device.display_name
        told["number"] = masked(device.number)
        told["capabilities"] = _capabilities(device, factors)
        if hint := self._store.codes.next_hint(device.device_id):
            told["sms_nextcode"] = hint
        return told

    # ---- auth

    async def _auth(self, application: Application, sent: Parameters) -> Reply:
        user = self._user(sent)
        ask = self._ask(user, sent)
        login = begin(self._core, application, user, ask)
        if sent.flag("async"):
            return succeeded({"txid": login.txid})
        return succeeded(self._outcome(application, await until_decided(self._core, login, self._clock)))

    def _ask(self, user: User | str, sent: Parameters) -> Ask:
        details = details_of(sent)
        match sent.need("factor"):
            case "auto":
                return Ask(None, sent.need("device"), txid=sent.get("txid"), details=details)
            case "push" | "phone" | "sms" as factor:
                return Ask(Factor(factor), sent.need("device"), txid=sent.get("txid"), details=details)
            case "passcode":
                passcode = Secret.of(sent.need("passcode").strip())
                return Ask(Factor.PASSCODE, passcode=passcode, details=details)
            case "prompt":
                return self._ask_by_prompt(user, sent, details)
            case _:
                raise ApiError(Code.INVALID_PARAMETER, "factor")

    def _ask_by_prompt(self, user: User | str, sent: Parameters, details: Mapping[str, str]) -> Ask:
        return chosen(self._store, user, sent.need("prompt").strip(), details)

    async def _auth_status(self, application: Application, sent: Parameters) -> Reply:
        login = await self._polls.poll(application, sent.need("txid"))
        return succeeded(self._outcome(application, login))

    def _outcome(self, application: Application, login: Login) -> dict[str, Any]:
        result, status = login.at(self._clock())
        told: dict[str, Any] = {
            "result": result.value,
            "status": status.value,
            "status_msg": text_of(login, status),
        }
        if result is Result.WAITING:
            told["auth_delayed"] = False
        elif (token := self._core.remember(application, login)) is not None:
            told["trusted_device_token"] = token.reveal().decode()
        return told

    def _user(self, sent: Parameters) -> User | str:
        """The user that is meant, or the name of nobody. Raises ApiError."""
        name, user_id = sent.get("username", MOST_NAME), sent.get("user_id")
        if bool(name) == bool(user_id):
            code = Code.INVALID_PARAMETER if name else Code.MISSING_PARAMETER
            raise ApiError(code, "username")
        if not user_id:
            return named(self._store, name)
        user = self._store.users.find(user_id)
        if user is None:
            raise ApiError(Code.INVALID_PARAMETER, "user_id")
        return user


def _capabilities(device: Device, factors: frozenset[Factor]) -> Sequence[str]:
    allowed = {factor.value for factor in factors}
    if Factor.PASSCODE in factors:
        allowed.add("mobile_otp")
    can = [capability for capability in device.capabilities if capability in allowed]
    return ["auto", *can] if {"push", "phone"} & set(can) else can


def _number(to_match: NumberToMatch | None) -> dict[str, Any]:
    if to_match is None:
        return {}
    return {
        "txid": to_match.txid,
        "verification_code": to_match.number,
        "expiration": int(to_match.expires),
    }
