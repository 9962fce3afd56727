"""What the service's answers mean. Types are strict; unknown fields are ignored, unknown results are errors.

Only `result` decides. An answer that names a user or a transaction has to name ours (T8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from authproxy.backends.cloud.failures import class_of_status
from authproxy.backends.cloud.http1 import Reply
from authproxy.pipeline.ports import (
    CloudFailure,
    Device,
    FactorAllow,
    FactorDeny,
    FailureClass,
    Preauth,
    PreauthAllow,
    PreauthDeny,
    PreauthEnroll,
    PreauthFactors,
)
from authproxy.protocols.cloud.envelope import Failure, MalformedAnswer, Success, clean_text, decode
from authproxy.values import light_dataclass

MAX_URL = 2048
_MOST_DEVICES = 256
_IDENTIFIER = re.compile(r"[!-~]{1,255}")
_WORD = re.compile(r"[a-z0-9_]{1,64}")
_OK = 200
_TEXT = frozenset({str})

T = TypeVar("T")
Fields = Mapping[str, object]


class Refused(CloudFailure):
    """The service answered with an error. `code` is 0 if it gave none."""

    def __init__(self, failure: FailureClass, status: int, code: int, detail: str, reply: Reply) -> None:
        super().__init__(failure, detail)
        self.status = status
        self.code = code
        self.reply = reply


@light_dataclass(frozen=True, slots=True)
class Waiting:
    """The user has not answered yet."""


def response_of(reply: Reply) -> object:
    """What the envelope of an answer contains. Raises CloudFailure."""
    if reply.status != _OK:
        raise _refused(reply)
    try:
        envelope = decode(reply.body)
    except MalformedAnswer as malformed:
        raise CloudFailure(FailureClass.PROTOCOL, f"200, but {malformed}") from None
    if isinstance(envelope, Success):
        return envelope.response
    said = f"200 with FAIL {envelope.code}: {envelope.message} {envelope.detail}"
    raise CloudFailure(FailureClass.PROTOCOL, said.strip())


def read_time(response: object) -> float:
    """The time in an answer to ping or check, in Unix seconds. Raises CloudFailure."""
    match response:
        case {"time": int(time)} if time > 0 and not isinstance(time, bool):
            return float(time)
        case _:
            raise _protocol("no time")


def read_preauth(response: object) -> Preauth:
    """Raises CloudFailure."""
    fields = _fields(response)
    message = clean_text(fields.get("status_msg"))
    match fields.get("result"):
        case "allow":
            return PreauthAllow(message)
        case "deny":
            return PreauthDeny(message)
        case "enroll":
            return PreauthEnroll(message, clean_text(fields.get("enroll_portal_url"), MAX_URL))
        case "auth":
            return PreauthFactors(_devices(fields.get("devices")), message)
        case _:
            raise _protocol("unknown result of preauth")


def read_txid(response: object) -> str:
    """The id of the transaction that an asynchronous auth began. Raises CloudFailure."""
    return _identifier(_fields(response).get("txid"), "txid")


def read_progress(response: object, *, username: str, txid: str) -> FactorAllow | FactorDeny | Waiting:
    """An answer to auth_status, which has to be for this user and transaction. Raises CloudFailure."""
    fields = _fields(response)
    if fields.get("result") == "waiting":
        _must_be_ours(fields, username=username, txid=txid)
        return Waiting()
    return read_verdict(response, username=username, txid=txid)


def read_verdict(response: object, *, username: str, txid: str = "") -> FactorAllow | FactorDeny:
    """Raises CloudFailure."""
    fields = _fields(response)
    _must_be_ours(fields, username=username, txid=txid)
    word = fields.get("status")
    message = clean_text(fields.get("status_msg"))
    match fields.get("result"):
        case "allow":
            return FactorAllow(message, txid)
        case "deny":
            status = word if isinstance(word, str) and _WORD.fullmatch(word) else "deny"
            return FactorDeny(status, message, txid)
        case _:
            raise _protocol("unknown result of auth")


def _must_be_ours(fields: Fields, **ours: str) -> None:
    """Services that say whose answer it is say it in these names."""
    for name, value in ours.items():
        if value and name in fields and fields[name] != value:
            raise _protocol(f"the answer is for another {name}")


def _refused(reply: Reply) -> Refused:
    code, said = 0, ""
    try:
        envelope = decode(reply.body)
    except MalformedAnswer:
        pass
    else:
        if isinstance(envelope, Failure):
            code = envelope.code
            said = f" {envelope.code} {envelope.message} {envelope.detail}".rstrip()
    return Refused(class_of_status(reply.status), reply.status, code, f"HTTP {reply.status}{said}", reply)


def _devices(found: object) -> tuple[Device, ...]:
    """No devices is an answer, too: the user has passcodes from elsewhere."""
    if found is None:
        return ()
    if not isinstance(found, list) or len(found) > _MOST_DEVICES:
        raise _protocol("devices")
    return tuple([_device(_fields(device)) for device in found])


def _device(fields: Fields) -> Device:
    capabilities = fields.get("capabilities", [])
    if not isinstance(capabilities, list) or not _TEXT.issuperset(map(type, capabilities)):
        raise _protocol("capabilities of a device")
    return Device(
        id=_identifier(fields.get("device"), "device"),
        kind=clean_text(fields.get("type"), 64),
        capabilities=frozenset(capabilities),
        display_name=clean_text(fields.get("display_name") or fields.get("name"), 128),
    )


def _fields(response: object) -> Fields:
    if not isinstance(response, dict):
        raise _protocol("not an object")
    return response


def _identifier(value: object, name: str) -> str:
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise _protocol(name)
    return value


def _protocol(what: str) -> CloudFailure:
    return CloudFailure(FailureClass.PROTOCOL, f"not understood: {what}")
