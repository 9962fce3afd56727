"""The rules that apply to a user: name, entry, groups, exemptions, factors, and the cloud's answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from authproxy.backends.directory.identities import Identities
from authproxy.backends.directory.look import Seen, look_up
from authproxy.backends.directory.names import PlainName, read_name
from authproxy.config.model import LdapServerAuto, ServerSection
from authproxy.config.model.ldap_server import CloudUsername
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
from authproxy.pipeline.username import (
    MAX_OCTETS,
    MalformedUsername,
    Username,
    account,
    read_username,
    reads_two_ways,
)
from authproxy.protocols.ldap.dn import Subtree
from authproxy.secret import Secret
from authproxy.service.building.parts import DirectoryPart, NoPart, RadiusPart, Section
from authproxy.service.building.world import World
from authproxy.service.explanation import Findings, Rule, Word
from authproxy.service.outlook import Known

TIMEOUT = 10.0  # seconds for each question


async def rules_of(
    section: Section, policy: Policy, typed: str, world: World, findings: Findings, ask_cloud: bool
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
    if not policy.asks_a_directory and reads_two_ways(username.canonical):
        known.refused = "malformed"
        yield Rule("name", Word.NO, "it is one user for some servers, and another one for others")
        return
    for rule in _of_ldap(section.options, typed, known):
        yield rule
    match section.primary:
        case DirectoryPart():
            async for rule in _directory(section, section.primary, typed, world, findings):
                yield rule
        case RadiusPart():
            yield Rule(
                "primary",
                Word.NOTE,
                f"{section.options.client}: a RADIUS server checks the password, and can't be asked "
                "without it",
            )
        case NoPart():
            known.no_primary = True
            yield Rule("primary", Word.NOTE, "none: the client has to have checked the password")
    if policy.mode is Mode.FACTOR_ONLY:
        known.no_primary = True
    if known.refused:
        return
    for rule in _exemption(section, policy, findings, world):
        yield rule
    yield _factors(policy)
    if ask_cloud and not known.exempt:
        yield await _cloud(section, policy, findings, world)
    elif not known.exempt:
        yield Rule("cloud", Word.NOTE, "not asked (--ask-cloud asks what it would answer; no push is sent)")


def _of_ldap(options: ServerSection, typed: str, known: Known) -> Iterator[Rule]:
    """What counts before it is known who binds."""
    if not isinstance(options, LdapServerAuto):
        return
    if isinstance(read_name(typed), PlainName):
        yield Rule(
            "name",
            Word.NOTE,
            "applications bind by a DN, user@domain or DOMAIN\\user; such a name counts only if the directory says "
            "(Who Am I) whom it took it for",
        )
    if options.exempt_primary_bind:
        known.first_bind = True
        yield Rule(
            "first bind",
            Word.YES,
            "exempt_primary_bind: the first bind on a connection needs no entry, no group and no second "
            "factor, whoever binds",
        )


# ---- the directory


async def _directory(
    section: Section, part: DirectoryPart, typed: str, world: World, findings: Findings
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
        yield Rule(
            "entry", Word.NO, f"{options.client} doesn't have exactly one entry for this name: {seen.cause}"
        )
        return
    findings.seen = seen
    known.username = seen.username
    at = f" at {seen.server}" if seen.server else ""
    yield Rule("entry", Word.YES, f"{seen.dn}{at}; its name is {seen.username}")
    if isinstance(options, LdapServerAuto) and options.cloud_username is CloudUsername.TYPED:
        yield await _as_typed(part, typed, seen, world, findings)
    group = part.primary.settings.security_group_dn
    if group is not None and seen.admitted is not None:
        yield Rule("security group", Word.YES if seen.admitted else Word.NO, group)
        # An application's own account needn't be in the group (Identities).
        if not seen.admitted and not any(seen.dn in Subtree(dn) for dn in ous):
            known.refused = "not_in_group"


async def _as_typed(part: DirectoryPart, typed: str, seen: Seen, world: World, findings: Findings) -> Rule:
    """The name that the cloud hears, if the directory has it spelled so."""
    known, what = findings.known, "cloud username"
    asked = Identities(part.primary, applications=(), groups=(), log=world.log, as_typed=True)
    try:
        verified = await asked.confirm(seen.dn, world.clock() + TIMEOUT, typed)
    except PrimaryUnavailable as unavailable:
        known.unknown = f"{part.primary.settings.name} can't be asked"
        return Rule(what, Word.UNKNOWN, f"{known.unknown}: {unavailable}")
    if isinstance(verified, Refused):
        if verified.cause == "name_not_confirmed":
            known.refused = verified.cause
            return Rule(what, Word.NO, "typed, and the entry doesn't have the name exactly so, with a domain")
        return Rule(what, Word.NOTE, f"typed: {known.username}")
    known.username = verified.username
    return Rule(what, Word.YES, f"typed: {known.username}")


# ---- exemption, factors, cloud


def _exemption(section: Section, policy: Policy, findings: Findings, world: World) -> list[Rule]:
    options, known, seen = section.options, findings.known, findings.seen
    if known.no_primary:
        return []
    verified = Verified(known.username, seen.dn if seen else "", seen.groups if seen else frozenset())
    request = request_of(section, findings, world)
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
    if isinstance(options, LdapServerAuto) and options.approval_memory and not known.exempt:
        rules.append(
            Rule(
                "approval",
                Word.NOTE,
                f"approval_memory: an approval counts again for {options.approval_memory:g} seconds, for the "
                "same login from the same address",
            )
        )
    return rules


def _factors(policy: Policy) -> Rule:
    match policy.mode:
        case Mode.AUTO:
            said = f"{', '.join(policy.factors)}; a factor typed behind the password is used instead"
            if not policy.append.enabled:
                said = f"{', '.join(policy.factors)}; nothing may be typed behind the password"
        case Mode.CONCAT:
            said = "the user has to type it behind the password"
        case Mode.CHALLENGE:
            said = "the user is asked which one"
        case Mode.FACTOR_ONLY:
            said = "the password field holds a passcode or a factor's name"
    return Rule("factors", Word.NOTE, said)


# R33: then the plain name counts, too (SecondStep).
_NO_FACTOR = PreauthAllow | PreauthEnroll


async def _cloud(section: Section, policy: Policy, findings: Findings, world: World) -> Rule:
    known = findings.known
    plain = account(known.username)
    try:
        answer = await section.cloud.cloud.preauth(request_of(section, findings, world), known.username)
        if isinstance(answer, _NO_FACTOR) and not policy.confirms_names and plain != known.username:
            under_it = await section.cloud.cloud.preauth(request_of(section, findings, world), plain)
            if not isinstance(under_it, _NO_FACTOR):
                known.cloud = "deny"
                return Rule("cloud", Word.NO, f"wants no factor of this form of the name, but of {plain}")
    except CloudFailure as failure:
        return Rule("cloud", Word.UNKNOWN, f"{failure.failure.value}: {failure.detail}")
    match answer:
        case PreauthAllow():
            known.cloud = "allow"
            return Rule(
                "cloud", Word.YES, "lets this user in without a factor (bypass status, or a policy there)"
            )
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
                "cloud",
                Word.YES,
                f"asks for a factor (devices: {len(devices)}; possible: {', '.join(able) or 'none'})",
            )


def request_of(section: Section, findings: Findings, world: World) -> AuthRequest:
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
