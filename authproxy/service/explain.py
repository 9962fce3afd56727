"""Which rules apply to a user in a section, now and in an outage (`authproxy explain`). No push is sent, nothing
changes.

The rules come from the same parts that decide logins, built from the same configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from authproxy.config.load import Loaded
from authproxy.config.model import LdapServerAuto, RadiusServer
from authproxy.config.model.kinds import kind_of
from authproxy.config.ways_in import bounds_of
from authproxy.pipeline.policy import Policy
from authproxy.service import ldap
from authproxy.service.building.builder import build
from authproxy.service.building.parts import DirectoryPart, Section
from authproxy.service.building.policies import section_policy
from authproxy.service.checking import nobodys_world
from authproxy.service.explain_door import limits_of, primary_only_rule, proven_rule, running_rules
from authproxy.service.explain_user import rules_of
from authproxy.service.explanation import Explanation, Findings, Word
from authproxy.service.outlook import Known, in_an_outage, now
from authproxy.service.state import StateUnseen, look_at_state


async def explain(
    loaded: Loaded,
    name: str,
    typed: str,
    reactor: Any,
    *,
    ask_cloud: bool = False,
    running: Mapping[str, Any] | None = None,
) -> Explanation:
    """`name`: the section, a key of the configuration. `running`: what the daemon's /status says about the section.

    Raises InvalidConfig: problems that only building shows.
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
    findings = Findings(Known(policy, bounds_of(section.options)))
    try:
        rules = [rule async for rule in rules_of(section, policy, typed, world, findings, ask_cloud)]
        if findings.known.may_open:
            rules += [rule async for rule in limits_of(section, findings, world, unseen)]
            folder, key = loaded.config.main.state_dir, world.state.key.reveal()
            rules += primary_only_rule(section, folder, key, findings)
    finally:
        await built.close()
        world.resolver.close()
    proven = proven_rule(section, unseen)
    findings.known.proven = proven.word is Word.YES
    findings.known.proven_known = proven.word is not Word.UNKNOWN
    rules += [proven, *running_rules(running)] if findings.known.may_open else running_rules(running)
    return Explanation(
        typed,
        section.options.name,
        kind_of(name),
        tuple(rules),
        now(findings.known),
        in_an_outage(findings.known),
    )


def _policy(section: Section) -> Policy:
    match section.options, section.primary:
        case RadiusServer() as options, primary:
            return section_policy(options, primary)
        case LdapServerAuto() as options, DirectoryPart(_, directory):
            return ldap.ldap_policy(options, directory)
        case _:
            raise TypeError(f"no policy for {type(section.options).__name__}")
