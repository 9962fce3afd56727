"""What each cell has to come to, written from the contract (docs/outage.md), not from the product's code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tests.faults.catalogue import Fault, Made, Stage


class Mode(StrEnum):
    SAFE = "safe"
    SECURE = "secure"
    SILENT = "silent"


class Front(StrEnum):
    AUTO = "RADIUS auto"
    CHALLENGE = "RADIUS challenge"
    LDAP = "LDAP"


class Factor(StrEnum):
    PUSH = "push"
    PASSCODE = "passcode"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`decision` is on the record; `heard` is what the client gets, which in `silent` may be nothing.

    `cause`: the failure class, '' when nothing failed. `pushes`: how often a factor was asked for at the cloud.
    """

    decision: str  # accept | reject
    reason: str
    cause: str
    pushes: int
    heard: str = ""  # '': the decision

    @property
    def fail_open(self) -> bool:
        return self.reason == "fail_open"


UNREACHABLE, SERVER_ERROR, UNTRUSTED, CREDENTIAL, REQUEST, OVERLOAD, PROTOCOL, SKEW = (
    "unreachable", "server_error", "untrusted", "credential", "request", "overload", "protocol", "skew",
)  # fmt: skip
OUTAGE = {UNREACHABLE, SERVER_ERROR}
NOTHING = ""  # no failure: the login goes its way

CLASSES = {
    "connection refused": UNREACHABLE,
    "a black hole: no answer to SYN": UNREACHABLE,
    "silence instead of TLS": UNREACHABLE,
    "RST instead of TLS": UNREACHABLE,
    "FIN instead of TLS": UNREACHABLE,
    "RST in the handshake": UNREACHABLE,
    "FIN in the handshake": UNREACHABLE,
    "a handshake that drips": UNREACHABLE,
    "HTTP without TLS on the port": UNTRUSTED,
    "garbage instead of TLS": UNTRUSTED,
    "a TLS alert": UNTRUSTED,
    "a certificate of another name": UNTRUSTED,
    "a certificate of another authority": UNTRUSTED,
    "a certificate signed by itself": UNTRUSTED,
    "an expired certificate": UNTRUSTED,
    "a certificate that isn't valid yet": UNTRUSTED,
    "TLS 1.1 at most": UNTRUSTED,
    "no cipher in common": UNTRUSTED,
    "wants a certificate of ours": UNTRUSTED,
    "DNS: no answer": UNREACHABLE,
    "DNS: SERVFAIL": UNREACHABLE,
    "DNS: NXDOMAIN": UNTRUSTED,  # the name resolved before: these credentials are proven
    "DNS: a loopback address": UNTRUSTED,
    "DNS: a private address": UNTRUSTED,
    "RST instead of an answer": UNREACHABLE,
    "FIN instead of an answer": UNREACHABLE,
    "silence instead of an answer": UNREACHABLE,
    "a TLS alert instead of an answer": UNTRUSTED,
    "a TLS record that doesn't decrypt": UNTRUSTED,
    "cut short": PROTOCOL,
    "stalls": PROTOCOL,
    "stalls inside the head": PROTOCOL,
    "drips": PROTOCOL,
    "garbage instead of HTTP": PROTOCOL,
    "a head without an end": PROTOCOL,
    "300 KiB": PROTOCOL,
    "less than was announced": PROTOCOL,
    "not JSON": PROTOCOL,
    "an empty body": PROTOCOL,
    "JSON, no object": PROTOCOL,
    "JSON, nested too deep": PROTOCOL,
    "200 with stat FAIL": PROTOCOL,
    "no stat": PROTOCOL,
    "an unknown stat": PROTOCOL,
    "an unknown result": PROTOCOL,
    "a result of another type": PROTOCOL,
    "no result": PROTOCOL,
    "HTTP 204": REQUEST,
    "HTTP 302": REQUEST,
    "HTTP 400": REQUEST,
    "HTTP 401": CREDENTIAL,
    "HTTP 403": CREDENTIAL,
    "HTTP 404": REQUEST,
    "HTTP 405": REQUEST,
    "HTTP 418": REQUEST,
    "HTTP 429": OVERLOAD,
    "HTTP 500": SERVER_ERROR,
    "HTTP 501": PROTOCOL,  # only four of the 5xx are a failing server's; whatever fits nowhere opens nothing
    "HTTP 502": SERVER_ERROR,
    "HTTP 503": SERVER_ERROR,
    "HTTP 504": SERVER_ERROR,
    "HTTP 599": PROTOCOL,
    "HTTP 500 with a code": SERVER_ERROR,
    "HTTP 401, wrong keys": CREDENTIAL,
    "HTTP 429, come back later": OVERLOAD,
    "the wrong time, also after a resync": SKEW,
    "slow": NOTHING,
    "HTTP 503, once": SERVER_ERROR,
    "RST instead of an answer, once": UNREACHABLE,
}
_ONCE = {"HTTP 503, once", "RST instead of an answer, once"}
_ASKED = {Stage.BETWEEN: 0, Stage.AUTH: 1, Stage.POLLING: 1}


def outcome(fault: Fault, stage: Stage, mode: Mode) -> Outcome:
    """The contract, section 8, in its own order: which class, then where the line runs, then the gates."""
    failure = CLASSES[fault.name]
    if not failure or _is_borne(fault, stage):
        return Outcome("accept", "both_factors", NOTHING, pushes=1)
    if stage in (Stage.CONNECT, Stage.PREAUTH, Stage.PREAUTH_ALONE):
        return _before_a_factor(failure, stage, mode)
    if stage is Stage.POLLING and fault.name == "silence instead of an answer":
        # A poll that is held to the end of the push's life is a user who doesn't answer.
        return Outcome("reject", "factor_timeout", "timeout", pushes=1)
    # A factor counts as asked for: anything but `allow` rejects, in every mode. Only a date that was refused,
    # before anything was done, is put right and sent again (T9).
    pushes = 2 if failure == SKEW and stage is Stage.AUTH else _ASKED[stage]
    reason = "fail_closed" if failure in OUTAGE else "cloud_refused"
    return Outcome("reject", reason, failure, pushes)


def _before_a_factor(failure: str, stage: Stage, mode: Mode) -> Outcome:
    if failure not in OUTAGE:
        return Outcome("reject", "cloud_refused", failure, pushes=0)
    probe_agrees = stage is not Stage.PREAUTH_ALONE
    if mode is Mode.SAFE and probe_agrees:
        return Outcome("accept", "fail_open", failure, pushes=0)
    # A login whose failure is its own must not make a NAS take this server for dead: it is told so.
    heard = "nothing" if mode is Mode.SILENT and probe_agrees else ""
    return Outcome("reject", "fail_closed", failure, pushes=0, heard=heard)


def _is_borne(fault: Fault, stage: Stage) -> bool:
    """What passes within the login: one 5xx in preauth, one lost poll; a name that resolved a moment ago (A4)."""
    if fault.made is Made.NAME and stage is not Stage.CONNECT:
        return True
    if fault.name not in _ONCE:
        return False
    return stage is Stage.POLLING or (stage is Stage.PREAUTH_ALONE and CLASSES[fault.name] == SERVER_ERROR)
