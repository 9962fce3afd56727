"""Oracle B2: no Access-Accept and no BindResponse that says success without both factors, or an exception that was
written down and allowed.

For each the journals must show, for the same canonical user and in the login's own window, a primary success
with the password that was typed, and behind it either the cloud's allow, asked for after that success, or an audited
event that the section's configuration permits. Each success and each allow explains one login; logins that ask the
same while one is waiting are that one login (R46).
"""

from __future__ import annotations

import datetime
import functools
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.system.bench.journal import (
    CloudVerdict,
    Journal,
    LdapBind,
    LdapResult,
    PrimaryBind,
    RadiusReply,
    RadiusRequest,
)
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_CHALLENGE, STATE, STATUS_SERVER, split_attributes

AuditEvent = dict[str, Any]
Request = RadiusRequest | LdapBind
Reply = RadiusReply | LdapResult
SLACK = 1.0  # seconds that an audit's clock may differ from ours


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """What the daemon was told about a section, as far as it decides who may come in. Each is itself alone."""

    name: str
    port: int
    host: str = "localhost"  # of its cloud
    fail_mode: str = "secure"
    exempt: frozenset[str] = frozenset()
    delimiter: bytes = b","
    codec: str = "utf-8"
    ssl_port: int = 0  # of LDAP
    exempts_first: bool = False  # whoever binds first on an LDAP connection
    approval_memory: float = 0
    alone: bool = False  # nobody checks a password here: whoever asks has done it


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes two requests the same login."""

    section: Section
    user: str
    password: bytes = field(repr=False)
    station: bytes


@dataclass(frozen=True, slots=True)
class Admission:
    """A reply that lets somebody in, and the request that it answers.

    `identity`: of the login's first request, which had the password. `challenge`: the answer to that one,
    None when it is the request itself.
    """

    identity: Identity
    request: Request
    reply: Reply
    challenge: RadiusReply | None = None

    def __str__(self) -> str:
        return (
            f"Accept {self.reply.order} for {self.identity.user!r} ({self.request.user!r}, request "
            f"{self.request.order}) from section {self.identity.section.name}"
        )


@dataclass
class Attempt:
    """Admissions of one identity that may be one login: they were waiting at the same time (R46).

    What each of them may stand on, by its number in the journal or the audit; what it was given in the end.
    """

    admissions: list[Admission]
    binds: set[int]
    verdicts: set[int]
    events: set[int]

    def takes(self, other: Attempt) -> bool:
        """Join them, if one login can have been behind both."""
        binds, verdicts, events = (
            self.binds & other.binds,
            self.verdicts & other.verdicts,
            self.events & other.events,
        )
        if (
            self.admissions[0].identity != other.admissions[0].identity
            or not binds
            or not (verdicts or events)
        ):
            return False
        self.admissions += other.admissions
        self.binds, self.verdicts, self.events = binds, verdicts, events
        return True


def read_audit(path: Path, *, whole: bool = True, begin: int = 0) -> list[AuditEvent]:
    """The events of authevents.log. Each line is one JSON object (S2); `whole` False: those that are.

    The last line counts once it has its end. `begin`: the octet to read from.
    """
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(begin)
        *lines, _ = file.read().decode("utf-8").split("\n")
    events: list[AuditEvent] = []
    for line in lines:
        try:
            events.append(json.loads(line))
        except ValueError:
            assert not whole, f"no JSON: {line!r}"
    assert all(isinstance(event, dict) for event in events)
    return events


@dataclass
class Oracle:
    """`canonical`: the one name of the account behind a typed name. `epoch`: wall clock less monotonic, None when

    the daemon's clock is faked. `audit_works` False: the test has broken the audit, so it can't be asked for.
    `passwords`: the right ones, where a real directory keeps no journal: whoever types the right one has had a success.
    `orders`: from when to when (monotonic) primary-only was ordered.
    """

    sections: Sequence[Section]
    canonical: Callable[[str], str]
    epoch: float | None = None
    audit_works: bool = True
    passwords: Mapping[str, bytes] | None = None
    orders: Sequence[tuple[float, float]] = ()

    def unexplained(self, journal: Journal, audit: Sequence[AuditEvent]) -> list[str]:
        """A sentence for each counter-example; empty when all is well."""
        canonical = functools.cache(self.canonical)
        requests = {
            request.order: (request, _identity(request, self.sections, canonical))
            for request in (*journal.all(RadiusRequest), *journal.all(LdapBind))
        }
        binds = [*journal.all(PrimaryBind), *self._typed(requests.values())]
        grounds = _Grounds(journal, binds, requests.values(), canonical, audit, self.epoch, self.orders)
        problems: list[str] = []
        admissions: list[Admission] = []
        for reply in _accepts(journal):
            if reply.request not in requests:
                problems.append(f"Accept {reply.order} answers no request of its client")
            elif not _asks_nobody_in(requests[reply.request][0]):
                admissions.append(_admission(reply, requests, journal))
        for group in _by_user(admissions):
            problems += grounds.explain(group, audit_works=self.audit_works)
        return problems

    def _typed(self, requests: Iterable[tuple[Request, Identity]]) -> Iterator[PrimaryBind]:
        for request, identity in requests:
            right = identity.password if identity.section.alone else (self.passwords or {}).get(identity.user)
            if right and _is_typed(right, identity):
                yield PrimaryBind(
                    order=request.order, name=request.user, user=identity.user, password=right, result=0
                )


def _asks_nobody_in(request: Request) -> bool:
    """A status check, or a bind without a name: nobody is somebody behind it (L7)."""
    if isinstance(request, LdapBind):
        return not request.user and not request.password
    return request.code == STATUS_SERVER


def _admission(reply: Reply, requests: Mapping[int, tuple[Request, Identity]], journal: Journal) -> Admission:
    """Back from the answer over its challenges to the request that had the password."""
    request, identity = requests[reply.request]
    first: Request = request
    root: RadiusReply | None = None
    while isinstance(first, RadiusRequest) and (state := _value(first.octets, STATE)) is not None:
        asked = [
            challenge
            for challenge in journal.all(RadiusReply, lambda found: found.code == ACCESS_CHALLENGE)
            # A primary may give each of its users the same State.
            if challenge.order < first.order
            and _value(challenge.octets, STATE) == state
            and requests[challenge.request][1].user == identity.user
        ]
        if not asked:
            break  # made up or another's: it has the ground that it has as a first request, which is none
        root = asked[-1]
        first, identity = requests[root.request]
    return Admission(identity, request, reply, root)


def _value(octets: bytes, kind: int) -> bytes | None:
    try:
        return next((value for found, value in split_attributes(octets[20:]) if found == kind), None)
    except AssertionError:
        return None


def _identity(request: Request, sections: Sequence[Section], canonical: Callable[[str], str]) -> Identity:
    section = next(
        (section for section in sections if request.server[1] in (section.port, section.ssl_port)), None
    )
    assert section is not None, f"a request to {request.server}, which is no section's"
    return Identity(section, canonical(request.user), request.password, request.station)


class _Grounds:
    """What a journal and an audit offer to stand on, by user."""

    def __init__(
        self,
        journal: Journal,
        binds: Iterable[PrimaryBind],
        requests: Iterable[tuple[Request, Identity]],
        canonical: Callable[[str], str],
        audit: Sequence[AuditEvent],
        epoch: float | None,
        orders: Sequence[tuple[float, float]],
    ) -> None:
        self._epoch = epoch
        self._orders = orders
        self._audit = audit
        self._answered: dict[int, int] = {}
        for reply in (*journal.all(RadiusReply), *journal.all(LdapResult)):
            self._answered.setdefault(reply.request, reply.order)
        self._waiting: dict[
            tuple[Identity, int], list[int]
        ] = {}  # when those were answered that waited at a bind
        self._requests: defaultdict[Identity, list[int]] = defaultdict(list)
        # What each answer to a challenge says, and which others say the same.
        self._says: dict[int, tuple[Identity, bytes]] = {}
        self._alike: defaultdict[tuple[Identity, bytes], list[int]] = defaultdict(list)
        for request, identity in requests:
            self._requests[identity].append(request.order)
            if isinstance(request, RadiusRequest) and (state := _value(request.octets, STATE)) is not None:
                self._says[request.order] = (identity, state)
                self._alike[identity, state].append(request.order)
        self._binds: defaultdict[str, list[PrimaryBind]] = defaultdict(list)
        for bind in binds:
            if bind.result == 0 and bind.user:
                self._binds[canonical(bind.user)].append(bind)
        self._verdicts: defaultdict[tuple[str, str], list[CloudVerdict]] = defaultdict(list)
        for verdict in journal.all(CloudVerdict):
            self._verdicts[verdict.host, verdict.user].append(verdict)
        self._events: defaultdict[str, list[int]] = defaultdict(list)
        for number, event in enumerate(audit):
            if event.get("decision") == "accept":
                self._events[canonical(event.get("user") or "")].append(number)

    def explain(self, admissions: Sequence[Admission], *, audit_works: bool) -> list[str]:
        """One user's admissions: each attempt needs a verdict or an event of its own, and a bind of its own."""
        attempts: list[Attempt] = []
        for admission in admissions:
            alone = self._alone(admission)
            if not any(attempt.takes(alone) for attempt in attempts):
                attempts.append(alone)
        # Who has no event to fall back on chooses first.
        attempts.sort(key=lambda attempt: bool(attempt.events))
        verdicts = matching([attempt.verdicts for attempt in attempts])
        events = matching(
            [set() if at in verdicts else attempt.events for at, attempt in enumerate(attempts)]
        )
        binds = matching([attempt.binds for attempt in attempts])
        problems = [
            f"{attempt.admissions[0]} has no ground of its own: {self._near(attempt.admissions[0])}"
            for at, attempt in enumerate(attempts)
            if at not in binds or (at not in verdicts and at not in events)
        ]
        if audit_works and not problems:
            problems += self._unaudited([(attempts[at], order) for at, order in verdicts.items()])
        return problems

    def _near(self, admission: Admission) -> str:
        """For whoever reads the failure: what there is for this user."""
        user, host = admission.identity.user, admission.identity.section.host
        binds = [bind.order for bind in self._binds[user]]
        verdicts = [(v.began, v.order, v.endpoint, v.result) for v in self._verdicts[host, user]]
        events = [self._audit[number].get("reason") for number in self._events[user]]
        return f"primary successes {binds}, verdicts {verdicts}, audited accepts {events}"

    def _alone(self, admission: Admission) -> Attempt:
        identity = admission.identity
        alone = Attempt([admission], set(), set(), set())

        def since(bind: PrimaryBind) -> int:
            """Until when a first request has to have waited, at least."""
            if admission.challenge is not None:
                return admission.challenge.order - 1
            return max(bind.order, admission.request.order)

        for bind in self._binds[identity.user]:
            if (
                bind.order < admission.reply.order
                and self._led(identity, bind.order, since(bind))
                and _is_typed(bind.password, identity)
            ):
                verdicts = {
                    verdict.order
                    for verdict in self._verdicts[identity.section.host, identity.user]
                    if self._lets_in(verdict, admission, bind)
                }
                events = {
                    number
                    for number in self._events[identity.user]
                    if self._permits(self._audit[number], admission, bind)
                }
                if verdicts or events:
                    alone.binds.add(bind.order)
                alone.verdicts |= verdicts
                alone.events |= events
        return alone

    def _lets_in(self, verdict: CloudVerdict, admission: Admission, bind: PrimaryBind) -> bool:
        asked = admission.request.order
        if (
            verdict.result != "allow"
            or not bind.order < verdict.began < verdict.order < admission.reply.order
        ):
            return False
        if admission.challenge is not None:
            return bind.order < admission.challenge.order and self._began(asked, verdict)
        return asked < verdict.order and self._led(admission.identity, bind.order, verdict.order)

    def _began(self, answer: int, verdict: CloudVerdict) -> bool:
        """Whether this answer to a challenge, or the same one that waited when it came (R46), led to the verdict."""
        return answer < verdict.began or any(
            order < verdict.began and answer < verdict.order < self._answered.get(order, sys.maxsize)
            for order in self._alike[self._says[answer]]
        )

    def _led(self, identity: Identity, bound: int, until: int) -> bool:
        """Whether a request of this identity began the attempt: sent before the bind, not answered before `until`."""
        if (identity, bound) not in self._waiting:
            self._waiting[identity, bound] = [
                self._answered.get(order, sys.maxsize)
                for order in self._requests[identity]
                if order <= bound < self._answered.get(order, sys.maxsize)
            ]
        return any(answered > until for answered in self._waiting[identity, bound])

    def _permits(self, event: AuditEvent, admission: Admission, bind: PrimaryBind) -> bool:
        identity = admission.identity
        section = identity.section
        if (
            admission.challenge is not None
            or event.get("server_section") != section.name
            or not self._in_window(event, admission)
        ):
            return False
        if event.get("reason") == "exempt":
            first = isinstance(admission.request, LdapBind) and admission.request.first
            return identity.user in section.exempt or (section.exempts_first and first)
        if event.get("reason") == "recent_approval":
            return self._approved_before(admission, bind)
        by_order = event.get("reason") == "primary_only" and self._ordered(admission)
        if not by_order and (event.get("reason") != "fail_open" or event.get("fail_open") is not True):
            return False
        # F3: nothing opens behind an answer.
        answered = any(
            bind.order < verdict.began and verdict.order < admission.reply.order
            for verdict in self._verdicts[section.host, identity.user]
        )
        return section.fail_mode == "safe" and not answered

    def _approved_before(self, admission: Admission, bind: PrimaryBind) -> bool:
        """L19: the same login was let in by a factor at most so long ago, and nothing was refused since."""
        identity = admission.identity
        memory = identity.section.approval_memory
        verdicts = [
            verdict
            for verdict in self._verdicts[identity.section.host, identity.user]
            if verdict.order < admission.reply.order and verdict.endpoint != "preauth"
        ]
        if not verdicts or verdicts[-1].result != "allow":
            return False
        approved = verdicts[-1]
        asked_before = any(
            order < approved.order < self._answered.get(order, sys.maxsize)
            for order in self._requests[identity]
        )
        return asked_before and bind.at - approved.at < memory + SLACK

    def _ordered(self, admission: Admission) -> bool:
        """Whether primary-only was on at any moment of the login."""
        return any(admission.request.at <= end and begin <= admission.reply.at for begin, end in self._orders)

    def _in_window(self, event: AuditEvent, admission: Admission) -> bool:
        if self._epoch is None:
            return True
        at = datetime.datetime.fromisoformat(event["timestamp"]).timestamp() - self._epoch
        return admission.request.at - SLACK <= at <= admission.reply.at + SLACK

    def _unaudited(self, let_in: Sequence[tuple[Attempt, int]]) -> list[str]:
        """Logins let in by both factors that left no event of that reason: silence in the log."""
        wanted: Counter[tuple[str, str, str]] = Counter()
        for attempt, order in let_in:
            identity = attempt.admissions[0].identity
            verdicts = self._verdicts[identity.section.host, identity.user]
            endpoint = next(verdict.endpoint for verdict in verdicts if verdict.order == order)
            factors = "duo_only" if identity.section.alone else "both_factors"
            reason = "cloud_allow" if endpoint == "preauth" else factors
            wanted[identity.section.name, identity.user, reason] += 1
        found = Counter(
            (event.get("server_section"), user, event.get("reason"))
            for user in {user for _, user, _ in wanted}
            for event in (self._audit[number] for number in self._events[user])
        )
        return [
            f"{count} logins let in as {key}, and {found[key]} such events"
            for key, count in wanted.items()
            if found[key] < count
        ]


def matching(choices: Sequence[set[int]]) -> dict[int, int]:
    """Give as many as possible one of their choices each, those in front first (Kuhn's augmenting paths)."""
    owner: dict[int, int] = {}

    def give(at: int, seen: set[int]) -> bool:
        for choice in sorted(choices[at] - seen):
            seen.add(choice)
            if choice not in owner or give(owner[choice], seen):
                owner[choice] = at
                return True
        return False

    for at in range(len(choices)):
        give(at, set())
    return {at: choice for choice, at in owner.items()}


def _is_typed(bound: bytes, identity: Identity) -> bool:
    """Whether this is what the user typed, less a factor."""
    codec = identity.section.codec
    typed = identity.password.decode(codec, "surrogateescape").encode("utf-8", "surrogateescape")
    return bool(bound) and (typed == bound or typed.startswith(bound + identity.section.delimiter))


def _accepts(journal: Journal) -> list[Reply]:
    """Each once: the same octets again are a retransmission (R45)."""
    seen: dict[tuple[object, bytes], RadiusReply] = {}
    for reply in journal.all(RadiusReply, lambda reply: reply.code == ACCESS_ACCEPT):
        seen.setdefault((reply.nas, reply.octets), reply)
    return [*seen.values(), *journal.all(LdapResult, lambda reply: reply.result == 0)]


def _by_user(admissions: Sequence[Admission]) -> list[list[Admission]]:
    groups: defaultdict[tuple[str, str], list[Admission]] = defaultdict(list)
    for admission in sorted(admissions, key=lambda admission: admission.request.order):
        groups[admission.identity.section.host, admission.identity.user].append(admission)
    return list(groups.values())
