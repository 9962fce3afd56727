"""The rules of an open door for one user: what keeps it closed, apart from the cloud's state."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from authproxy.backends.allowance import Limits
from authproxy.backends.lasting_clock import this_boot
from authproxy.backends.never_open import SeenWithin
from authproxy.backends.primary_only import FILE_NAME, OrderRefused, read
from authproxy.observe.lines import timestamp
from authproxy.pipeline.ports import CloudFailure, FailureClass, Verified
from authproxy.service.building.parts import DirectoryPart, Section
from authproxy.service.building.world import World
from authproxy.service.doors import who_passes
from authproxy.service.explain_user import request_of
from authproxy.service.explanation import Findings, Rule, Word

_OUTAGE = CloudFailure(FailureClass.UNREACHABLE, "")


def primary_only_rule(section: Section, folder: Path, key: bytes, findings: Findings) -> list[Rule]:
    """Whether primary-only is on, read from the daemon's file, which isn't changed."""
    known = findings.known
    try:
        order = read(folder / FILE_NAME, key)
    except OrderRefused as refused:
        return [Rule("primary-only", Word.UNKNOWN, f"this user can't read the order: {refused}")]
    if order is None or not order.covers(section.options.name) or not order.holds(time.time(), this_boot()):
        return []
    known.primary_only = True
    return [
        Rule("primary-only", Word.YES, f"THE SECOND FACTOR IS OFF until {timestamp(order.until)}, by command")
    ]


def proven_rule(section: Section, unseen: str) -> Rule:
    if unseen:
        return Rule("proven", Word.UNKNOWN, unseen)
    if section.cloud.cloud.health().proven:
        return Rule("proven", Word.YES, "the section's credentials have worked at this api_host")
    return Rule(
        "proven",
        Word.NO,
        "the section's credentials have never worked at this api_host, so no outage lets anyone in",
    )


async def limits_of(section: Section, findings: Findings, world: World, unseen: str) -> AsyncIterator[Rule]:
    """Each limit of the open door that keeps this user out now, by the same gates as in a login (F7)."""
    known, seen, options = findings.known, findings.seen, section.options
    directory = section.primary.primary if isinstance(section.primary, DirectoryPart) else None
    verified = Verified(known.username, seen.dn if seen else "")
    request = request_of(section, findings, world)
    found = False
    for gate in who_passes(options, directory, world.state, world.log):
        kept_in_state = isinstance(gate, SeenWithin)
        if kept_in_state and unseen:
            yield Rule("limit", Word.UNKNOWN, f"not_seen: {unseen}")
        elif shut := await gate(request, verified, _OUTAGE):
            found = True
            known.shut = known.shut or shut
            known.never = known.never or shut
            yield Rule("limit", Word.NO, f"{shut}: neither an outage nor primary-only lets this user in")
    limits = Limits(options.fail_open_max_minutes, options.fail_open_max_per_hour)
    if shut := world.state.allowances.take(options.name, limits):
        found = True
        known.shut = known.shut or shut
        yield Rule("limit", Word.NO, f"{shut}: this limit is reached, so an outage lets nobody in for now")
    if known.limits and not found:
        yield Rule("limit", Word.YES, "no limit keeps this user out now")


def running_rules(running: Mapping[str, Any] | None) -> list[Rule]:
    if running is None:
        return []
    cloud = running.get("cloud") or {}
    said = f"cloud {cloud.get('state', 'unknown')}, breaker {cloud.get('breaker', 'closed')}"
    if running.get("open"):
        return [Rule("running proxy", Word.YES, f"{said}: PASSWORDS ALONE ARE ENOUGH NOW")]
    return [Rule("running proxy", Word.NOTE, f"{said}; a password alone isn't enough")]
