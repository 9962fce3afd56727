"""Which rules a user meets in a section, now and in an outage (`authproxy explain`). Nobody is pushed, nothing changes.

Rules are asked of the parts that decide logins, built from the same configuration: what is told is what holds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from authproxy.backends.directory.look import Seen, look_up
from authproxy.config.load import Loaded
from authproxy.config.model import LdapServerAuto, RadiusServer
from authproxy.listeners.ldap.section import MOST_NAME
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import (
    CloudFailure,
    PreauthAllow,
    PreauthDeny,
    PreauthEnroll,
    PreauthFactors,
    PrimaryUnavailable,
    Refused,
    Verified,
)
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import MAX_OCTETS, MalformedUsername, Username, read_username
from authproxy.protocols.ldap.dn import Subtree
from authproxy.secret import Secret
from authproxy.service import ldap
from authproxy.service.build import DirectoryPart, NoPart, RadiusPart, Section, World, build, section_policy
from authproxy.service.checking import nobodys_world
from authproxy.service.outlook import Known, Outlook, in_an_outage, now
from authproxy.service.state import StateUnseen, look_at_state

TIMEOUT = 10.0  # seconds for each question


class Word(StrEnum):
    """What a rule says of this user."""

    YES = "yes"
    NO = "no"
    NOTE = "note"  # true of everybody here
    UNKNOWN = "unknown"  # could not be asked


@dataclass(frozen=True, slots=True)
class Rule:
    what: str
    word: Word
    detail: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`complete` False: somebody who had to be asked did not answer."""

    user: str
    section: str
    kind: str
    rules: tuple[Rule, ...]
    now: Outlook
    outage: Outlook

    @property
    def complete(self) -> bool:
        return all(rule.word is not Word.UNKNOWN for rule in self.rules)


@dataclass(slots=True)
class _Findings:
    """What is known so far."""

    known: Known
    username: Username | None = None
    seen: Seen | None = None


async def explain(
    loaded: Loaded,
    name: str,
    typed: str,
    reactor: Any,
    *,
    ask_cloud: bool = False,
    running: Mapping[str, Any] | None = None,
) -> Explanation:
    """Of the section `name`, a key of the configuration. `running`: what the daemon's /status tells of the section.

    Raises InvalidConfig: what shows only when it is built.
    """
    world = nobodys_world(reactor)
    unseen = ""
    try:
        world = replace(world, state=look_at_state(loaded.config.main.state_dir))
    except StateUnseen as cannot:
        unseen = str(cannot)
    built = build(loaded, world)
    section = built.sections[name]
    policy = _policy(section)
    findings = _Findings(Known(policy, _limits(section)))
    try:
        rules = [rule async for rule in _rules(section, policy, typed, world, findings, ask_cloud)]
    finally:
        await built.close(None)
        world.resolver.close()
    proven = _proven(section, unseen)
    findings.known.proven = proven.word is Word.YES
    findings.known.proven_known = proven.word is not Word.UNKNOWN
    rules += [proven, *_running(running)] if findings.known.may_open else _running(running)
    return Explanation(
        typed,
        section.options.name,
        name.rstrip("0123456789"),
        tuple(rules),
        now(findings.known),
        in_an_outage(findings.known),
    )


def _policy(section: Section) -> Policy:
    match section.options:
        case RadiusServer() as options:
            return section_policy(options, section.primary)
        case LdapServerAuto() as options:
            return ldap.ldap_policy(options)
        case _:
            raise TypeError(f"no policy for {type(section.options).__name__}")


def _limits(section: Section) -> tuple[str, ...]:
    """The options that bound an open door, where they are set."""
    options = section.options
    return tuple(
        f"{name}: {_shown(value)}"
        for name in type(options).model_fields
        if name.startswith("fail_open_") and (value := getattr(options, name)) not in (None, 0, (), False)
    )


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


async def _rules(
    section: Section, policy: Policy, typed: str, world: World, findings: _Findings, ask_cloud: bool
) -> AsyncIterator[Rule]:
    known = findings.known
    most = MOST_NAME if section.ldap is not None else MAX_OCTETS
    try:
        findings.username = username = read_username(typed.encode("utf-8", "surrogateescape"), most)
    except MalformedUsername as malformed:
        known.refused = "malformed"
        yield Rule("name", Word.NO, str(malformed))
        return
    yield Rule("name", Word.NOTE, f"read as {username.canonical}")
    known.username = username.canonical
    match section.primary:
        case DirectoryPart():
            async for rule in _directory(section, section.primary, typed, world, findings):
                yield rule
        case RadiusPart():
            yield Rule(
                "primary",
                Word.NOTE,
                f"{section.options.client}: a RADIUS server says who is right, and can't be asked without a password",
            )
        case NoPart():
            known.no_primary = True
            yield Rule("primary", Word.NOTE, "none: whoever asks has checked the password")
    if policy.mode is Mode.FACTOR_ONLY:
        known.no_primary = True
    if known.refused:
        return
    for rule in _exemption(section, policy, findings, world):
        yield rule
    yield _factors(policy)
    if ask_cloud and not known.exempt:
        yield await _cloud(section, findings, world)
    elif not known.exempt:
        yield Rule("cloud", Word.NOTE, "not asked (--ask-cloud asks what it would say; no push is sent)")


# ---- the directory


async def _directory(
    section: Section, part: DirectoryPart, typed: str, world: World, findings: _Findings
) -> AsyncIterator[Rule]:
    options, known = section.options, findings.known
    groups = options.exempt_groups if isinstance(options, LdapServerAuto) else ()
    ous = options.exempt_ous if isinstance(options, LdapServerAuto) else ()
    try:
        seen = await look_up(
            part.primary,
            typed,
            world.clock() + TIMEOUT,
            groups=groups,
            applications=[Subtree(dn) for dn in ous],
            log=world.log,
        )
    except PrimaryUnavailable as unavailable:
        known.unknown = f"{options.client} can't be asked"
        yield Rule("entry", Word.UNKNOWN, f"{options.client} can't be asked: {unavailable}")
        return
    if isinstance(seen, Refused):
        known.refused = seen.cause
        yield Rule("entry", Word.NO, f"{options.client} has no one entry of this name: {seen.cause}")
        return
    findings.seen = seen
    known.username = seen.username
    at = f" at {seen.server}" if seen.server else ""
    yield Rule("entry", Word.YES, f"{seen.dn}{at}; its name is {seen.username}")
    group = part.primary.settings.security_group_dn
    if group is not None and seen.admitted is not None:
        yield Rule("security group", Word.YES if seen.admitted else Word.NO, group)
        # An application's own account needn't be in the group (Identities).
        if not seen.admitted and not any(seen.dn in Subtree(dn) for dn in ous):
            known.refused = "not_in_group"


# ---- exemption, factors, cloud


def _exemption(section: Section, policy: Policy, findings: _Findings, world: World) -> list[Rule]:
    options, known, seen = section.options, findings.known, findings.seen
    if known.no_primary:
        return []
    verified = Verified(known.username, seen.dn if seen else "", seen.groups if seen else frozenset())
    request = _request(section, findings, world)
    known.exempt = known.username in policy.exempt or (seen is not None and policy.exempts(request, verified))
    why = "no rule of this section exempts this user"
    if known.exempt:
        held = sorted(verified.groups)
        inside = [
            dn for dn in getattr(options, "exempt_ous", ()) if seen is not None and seen.dn in Subtree(dn)
        ]
        by_name = [f"exempt_usernames: {known.username}"] if known.username in policy.exempt else []
        why = "; ".join(
            [*by_name, *(f"exempt_ous: {dn}" for dn in inside), *(f"exempt_groups: {dn}" for dn in held)]
        )
    elif known.unknown:
        return [Rule("exempt", Word.UNKNOWN, "not known without the entry")]
    rules = [Rule("exempt", Word.YES if known.exempt else Word.NO, why)]
    if isinstance(options, LdapServerAuto) and options.exempt_primary_bind:
        known.first_bind_exempt = True
        rules.append(
            Rule(
                "first bind",
                Word.NOTE,
                "exempt_primary_bind: the first bind on a connection needs no second factor, whoever it is",
            )
        )
    return rules


def _factors(policy: Policy) -> Rule:
    match policy.mode:
        case Mode.AUTO:
            said = f"{', '.join(policy.factors)}; what is typed behind the password wins"
            if not policy.append.enabled:
                said = f"{', '.join(policy.factors)}; nothing may be typed behind the password"
        case Mode.CONCAT:
            said = "has to be typed behind the password"
        case Mode.CHALLENGE:
            said = "the user is asked which"
        case Mode.FACTOR_ONLY:
            said = "what comes as the password is a passcode or a factor's name"
    return Rule("factors", Word.NOTE, said)


async def _cloud(section: Section, findings: _Findings, world: World) -> Rule:
    known = findings.known
    try:
        answer = await section.cloud.cloud.preauth(_request(section, findings, world), known.username)
    except CloudFailure as failure:
        return Rule("cloud", Word.UNKNOWN, f"{failure.failure.value}: {failure.detail}")
    match answer:
        case PreauthAllow():
            known.cloud = "allow"
            return Rule("cloud", Word.YES, "lets this user in without a factor (bypass, or its policy)")
        case PreauthDeny(message):
            known.cloud = "deny"
            return Rule("cloud", Word.NO, f"denies this user: {message}")
        case PreauthEnroll():
            known.cloud = "enroll"
            return Rule("cloud", Word.NO, "this user has to enroll first")
        case PreauthFactors(devices):
            known.cloud = "auth"
            able = sorted({one for device in devices for one in device.capabilities})
            return Rule(
                "cloud", Word.YES, f"wants a factor of {len(devices)} devices: {', '.join(able) or 'none'}"
            )


def _request(section: Section, findings: _Findings, world: World) -> AuthRequest:
    return AuthRequest(
        login="explain",
        section=section.options.name,
        username=findings.username or Username("", ""),
        password=Secret(b""),
        client="",
        nas_ip="",
        received=world.clock(),
        deadline=world.clock() + TIMEOUT,
    )


# ---- the door


def _proven(section: Section, unseen: str) -> Rule:
    if unseen:
        return Rule("proven", Word.UNKNOWN, unseen)
    if section.cloud.cloud.health().proven:
        return Rule("proven", Word.YES, "the section's credentials have worked at this api_host")
    return Rule("proven", Word.NO, "the section's credentials never worked at this api_host: no outage opens")


def _running(running: Mapping[str, Any] | None) -> list[Rule]:
    if running is None:
        return []
    cloud = running.get("cloud") or {}
    said = f"cloud {cloud.get('state', 'unknown')}, breaker {cloud.get('breaker', 'closed')}"
    if running.get("open"):
        return [Rule("running proxy", Word.YES, f"{said}: THE DOOR IS OPEN NOW")]
    return [Rule("running proxy", Word.NOTE, f"{said}, door shut")]
