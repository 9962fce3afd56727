"""`authproxy check`: build all that `run` builds; bind, ask and write nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from twisted.internet.task import Clock

from authproxy.backends.allowance import Allowances
from authproxy.backends.answered_states import AnsweredStates
from authproxy.backends.primary_only import PrimaryOnly
from authproxy.backends.resolve import Resolver
from authproxy.backends.seen_users import SeenUsers
from authproxy.backends.tls import ServerCertificates
from authproxy.config.load import Loaded
from authproxy.config.problems import InvalidConfig, Problem
from authproxy.observe.audit import AuditEvent
from authproxy.observe.doors import DoorEvents
from authproxy.observe.log import NullLog
from authproxy.observe.metrics import Metrics
from authproxy.observe.recent import Recent
from authproxy.pipeline.challenge import Challenges
from authproxy.protocols.radius.state import StateSeal
from authproxy.secret import Secret
from authproxy.service.building.builder import build
from authproxy.service.building.world import World
from authproxy.service.state import State


class _Unwritten:
    """Nobody logs in here."""

    hostname = ""
    clock = staticmethod(time.time)

    def write(self, event: AuditEvent) -> None: ...

    def write_now(self, event: AuditEvent) -> None: ...


def problems_of(loaded: Loaded) -> Sequence[Problem]:
    """Problems that only building shows: a CA file without a certificate, an attribute in no dictionary."""
    try:
        build(loaded, nobodys_world(Clock()))
    except InvalidConfig as invalid:
        return invalid.problems
    return ()


def nobodys_world(reactor: Any) -> World:
    """A world for building without serving: nothing is logged, counted or kept."""
    log, key = NullLog(), Secret(bytes(32))
    nothing: set[str] = set()
    return World(
        reactor=reactor,
        log=log,
        audit=_Unwritten(),
        metrics=Metrics(),
        recent=Recent(),
        resolver=Resolver(reactor, log=log),
        certificates=ServerCertificates(),
        state=State(
            nothing,
            nothing,
            key,
            Allowances(None, log),
            SeenUsers(None, key=bytes(32), log=log),
            AnsweredStates(None, log),
        ),
        challenges=Challenges(StateSeal([key]), lifetime=1, wall_clock=time.time, new_id=lambda: bytes(8)),
        doors=DoorEvents(log),
        primary_only=PrimaryOnly(None, key=bytes(32), log=log, doors=DoorEvents(log)),
    )
