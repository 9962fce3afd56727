"""Records a section's logins: in the audit, as a line in the log, in the metrics, and for the status page."""

from __future__ import annotations

import re

from authproxy.observe.audit import Audit, AuditEvent
from authproxy.observe.lines import capped, timestamp
from authproxy.observe.log import LoginLog
from authproxy.observe.login_fields import LoginFields
from authproxy.observe.metrics import Metrics
from authproxy.observe.recent import Recent
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject, Silence
from authproxy.pipeline.ports import AuditUnavailable
from authproxy.pipeline.record import Facts
from authproxy.pipeline.request import AuthRequest
from authproxy.protocols.ldap.dn import MalformedDN, parse_dn

PRIMARY, SECONDARY, UNKNOWN = "Primary authentication", "Secondary authentication", "Unknown"

# The stage at which a login ended; every other reason is the second's.
_STAGES = {
    Reason.PRIMARY_ONLY: PRIMARY,
    Reason.PRIMARY_CHALLENGE: PRIMARY,
    Reason.EMPTY_PASSWORD: PRIMARY,
    Reason.PRIMARY_REJECTED: PRIMARY,
    Reason.PRIMARY_UNAVAILABLE: PRIMARY,
    Reason.NOT_IN_GROUP: PRIMARY,
    Reason.MALFORMED: UNKNOWN,
    Reason.BAD_STATE: UNKNOWN,
    Reason.RATE_LIMITED: UNKNOWN,
    Reason.OVERLOADED: UNKNOWN,
    Reason.INTERNAL: UNKNOWN,
}
# Let in on the password alone, because the cloud could not or should not be asked: on record before the answer (F8).
_OPEN = frozenset({Reason.FAIL_OPEN, Reason.PRIMARY_ONLY})
# Nobody said no: we could not ask, or could not work.
_ERRORS = frozenset(
    {
        Reason.PRIMARY_UNAVAILABLE,
        Reason.FAIL_CLOSED,
        Reason.CLOUD_REFUSED,
        Reason.OVERLOADED,
        Reason.INTERNAL,
    }
)

_ENROLLING = frozenset({Reason.ENROLL_PROMPT, Reason.ENROLL_REQUIRED})
_LINK = re.compile(r"(https?://[^/\s]*/)\S+", re.IGNORECASE)

_MESSAGES = {
    Reason.BOTH_FACTORS: "Both factors are right",
    Reason.CLOUD_ALLOW: "The cloud lets this user in without a factor",
    Reason.EXEMPT: "This user is exempt from the second factor",
    Reason.RECENT_APPROVAL: "The same login was approved a moment ago",
    Reason.FAIL_OPEN: "LET IN WITHOUT A SECOND FACTOR: the cloud can't be asked and failmode is safe",
    Reason.DUO_ONLY: "The second factor is right; this section asks for no password",
    Reason.PRIMARY_ONLY: "The password is right; the second factor is switched off",
    Reason.FACTOR_PROMPT: "Asked which factor",
    Reason.ENROLL_PROMPT: "Asked to enroll",
    Reason.PRIMARY_CHALLENGE: "The primary asks back",
    Reason.EMPTY_PASSWORD: "Empty password",
    Reason.MALFORMED: "Can't be read as a login",
    Reason.PRIMARY_REJECTED: "The primary refuses this user or password",
    Reason.PRIMARY_UNAVAILABLE: "No primary can be asked",
    Reason.NOT_IN_GROUP: "Not in a group that may log in",
    Reason.FACTOR_DENIED: "The second factor was refused",
    Reason.FACTOR_TIMEOUT: "The user did not answer",
    Reason.FRAUD: "The user reported fraud",
    Reason.LOCKED_OUT: "The cloud has locked this user out",
    Reason.CLOUD_DENY: "The cloud denies this user",
    Reason.ENROLL_REQUIRED: "This user has to enroll first",
    Reason.NO_USABLE_FACTOR: "No factor that can be used here",
    Reason.FAIL_CLOSED: "The cloud can't be asked, and the door stays shut",
    Reason.CLOUD_REFUSED: "The cloud's answer is not an outage, so it lets nobody in",
    Reason.BAD_STATE: "Not an answer to an open challenge",
    Reason.RATE_LIMITED: "Too many attempts",
    Reason.PUSH_LIMIT: "Too many prompts",
    Reason.OVERLOADED: "Too many logins at once",
    Reason.INTERNAL: "An error in authproxy; see authproxy.log",
}

# By reason, looked up once a login: its name, the stage, what is said of it. An Enum makes names expensive.
_WORDS = {reason: (reason.value, _STAGES.get(reason, SECONDARY), _MESSAGES[reason]) for reason in Reason}
_FAIL_OPEN, _FAIL_CLOSED = Reason.FAIL_OPEN, Reason.FAIL_CLOSED

SILENT = "The cloud can't be asked, and the client gets no answer, to turn to its next server"


class SectionRecorder:
    """Implements pipeline's Recorder."""

    def __init__(
        self,
        section: str,
        ikey: str | None,
        *,
        audit: Audit,
        metrics: Metrics,
        log: LoginLog,
        recent: Recent,
        binds: bool = False,
    ) -> None:
        """`ikey`: the application's public name at the cloud; None: the section has none. `binds`: the logins are LDAP
        binds.
        """
        self._section = section
        self._ikey = ikey
        self._binds = binds
        self._audit = audit
        self._metrics = metrics.section(section)
        self._log = log
        self._recent = recent

    def primary_answered(self, request: AuthRequest, facts: Facts, verified: bool) -> None:
        """A success is an event of its own. A refusal isn't: the decision follows at once."""
        if facts.primary_ms is not None:
            self._metrics.primary_seconds(facts.primary_ms / 1000)
        if verified:
            now = self._audit.clock()
            self._audit.write(self._event(now, request, facts, "The password is right", PRIMARY, "Allow"))

    def decided(self, request: AuthRequest, facts: Facts, decision: Decision) -> None:
        """Raises AuditUnavailable if an Accept by fail open or primary-only couldn't be written (F8)."""
        reason = decision.reason
        name, stage, message = _WORDS[reason]
        word, status = _outcome(decision)
        now = self._audit.clock()
        event = self._event(
            now, request, facts, _said(decision) or message, stage, status, word, name, reason is _FAIL_OPEN
        )
        if reason in _OPEN:
            self._write_open_door(event)
        else:
            self._audit.write(event)
        self._recent.add(event)
        self._metrics.decided(word, name)
        if reason is _FAIL_CLOSED:
            self._metrics.failed_closed(event.why or "unknown")
        if facts.cloud_ms is not None:
            self._metrics.cloud_seconds(facts.cloud_ms / 1000)
        # One line a login; one that was let in by an open door is a warning, wherever the log goes (F8).
        if reason in _OPEN:
            self._log.login(now, f"login.let_in_by_{name}", LoginFields(event), warns=True)
        else:
            self._log.login(now, "login.decided", LoginFields(event), warns=False)

    def _write_open_door(self, event: AuditEvent) -> None:
        try:
            self._audit.write_now(event)
        except AuditUnavailable as unavailable:
            self._log.error(
                "login.kept_out",
                login=event.login,
                section=self._section,
                user=event.user,
                why=f"{event.reason} that can't be recorded",
                problem=str(unavailable),
            )
            raise
        if event.fail_open:
            self._metrics.failed_open(event.cause or "unknown")

    def _event(
        self,
        now: float,
        request: AuthRequest,
        facts: Facts,
        message: str,
        stage: str,
        status: str,
        decision: str | None = None,
        reason: str | None = None,
        fail_open: bool = False,
    ) -> AuditEvent:
        """Without a decision: the primary's word."""
        username, dn = request.username.typed, facts.dn
        if self._binds:
            # What rules for the known product read: who bound in `dn`, and in `username` who that is, once it is known.
            username, dn = (facts.username or username, dn) if dn else (username, _if_dn(username))
        # In the order of AuditEvent, of which every login makes two: by its names they cost three times as much.
        return AuditEvent._make(
            (
                timestamp(now),
                capped(message),
                username,
                capped(dn) if dn else None,
                stage,
                status,
                request.client_ip,
                self._section,
                self._ikey,
                facts.factor,
                self._audit.hostname,
                request.login,
                facts.username or None,
                decision,
                reason,
                facts.cause or None,
                capped(facts.detail) if facts.detail else None,
                _rounded(facts.primary_ms),
                _rounded(facts.cloud_ms),
                request.client,
                request.nas_ip,
                facts.txid or None,
                fail_open,
                facts.why or None,
            )
        )


def _if_dn(name: str) -> str:
    try:
        parse_dn(name)
    except MalformedDN:
        return ""
    return name


def _said(decision: Decision) -> str:
    """What the user was told; "" when nobody was. Who holds a link to enroll adds a phone: it is for the user alone."""
    said = SILENT if isinstance(decision, Silence) else decision.message
    return _LINK.sub(r"\1…", said) if decision.reason in _ENROLLING else said


def _outcome(decision: Decision) -> tuple[str, str]:
    """Decision and status, in the audit's words."""
    match decision:
        case Accept():
            return "accept", "Allow"
        case Challenge():
            return "challenge", "Challenge"
        case Reject(reason) | Silence(reason):
            return "reject", "Error" if reason in _ERRORS else "Reject"


def _rounded(milliseconds: float | None) -> float | None:
    """To tenths; round() goes by way of text, at ten times the price."""
    return None if milliseconds is None else int(milliseconds * 10 + 0.5) / 10
