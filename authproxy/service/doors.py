"""Builds a section's open door from its options: whom it lets in, how long, how many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from authproxy.backends.allowance import Limits
from authproxy.backends.cloud.guarded import GuardedCloud
from authproxy.backends.cloud.probe import Probe
from authproxy.backends.cloud.proven import Proven
from authproxy.backends.cloud.slow import SlowWatch
from authproxy.backends.directory.directory import Directory
from authproxy.backends.directory.identities import Identities
from authproxy.backends.door_watch import DoorWatch
from authproxy.backends.never_open import NeverGroups, NeverUsers, SeenWithin
from authproxy.backends.open_door import Gate, OpenDoorGates
from authproxy.backends.primary_only import PrimaryOnly
from authproxy.config.model import ServerSection
from authproxy.observe.log import Log
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.username import canonical
from authproxy.service.state import State


def section_door(
    options: ServerSection,
    directory: Directory | None,
    *,
    proven: Proven,
    probe: Probe,
    guarded: GuardedCloud,
    slow: SlowWatch,
    watch: DoorWatch,
    state: State,
    primary_only: PrimaryOnly,
    reactor: Any,
    log: Log,
) -> OpenDoorGates:
    """`directory` None: the primary isn't a directory."""
    limits = Limits(options.fail_open_max_minutes, options.fail_open_max_per_hour)
    return OpenDoorGates(
        proven=lambda: bool(proven),
        probe=probe,
        reactor=reactor,
        breaker_is_open=lambda: guarded.is_open,
        further=tuple(who_passes(options, directory, state, log)),
        take=partial(state.allowances.take, options.name, limits),
        is_slow=lambda: slow.is_slow,
        is_primary_only=lambda: primary_only.until(options.name) is not None,
        passed=_remember(options, state),
        watch=watch,
    )


def who_passes(options: ServerSection, directory: Directory | None, state: State, log: Log) -> Iterator[Gate]:
    """The gates that depend on the user."""
    if options.fail_open_never_users:
        yield NeverUsers(frozenset(canonical(name) for name in options.fail_open_never_users))
    if options.fail_open_seen_within_days:
        yield SeenWithin(state.seen, options.name, options.fail_open_seen_within_days)
    if options.fail_open_never_groups and directory is not None:
        groups = Identities(directory, applications=(), groups=options.fail_open_never_groups, log=log)
        yield NeverGroups(groups.confirm)


def _remember(options: ServerSection, state: State) -> Callable[[str], None]:
    """In all safe sections: whoever sets `fail_open_seen_within_days` later finds the users seen."""
    if options.failmode is not FailMode.SAFE:
        return lambda username: None
    return partial(state.seen.passed, options.name)
