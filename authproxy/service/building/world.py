"""What all sections share, whatever the configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import field
from typing import Any

from authproxy.backends.primary_only import PrimaryOnly
from authproxy.backends.resolve import Resolver
from authproxy.backends.shared_state import Shared
from authproxy.backends.tls import ServerCertificates
from authproxy.listeners.descriptors import Descriptors
from authproxy.observe.audit import Audit
from authproxy.observe.doors import DoorEvents
from authproxy.observe.log import LoginLog
from authproxy.observe.metrics import Metrics
from authproxy.observe.recent import Recent
from authproxy.observe.writer import LineWriter
from authproxy.pipeline.approvals import Approvals
from authproxy.pipeline.challenge import Challenges
from authproxy.pipeline.failure_limit import FailureLimit
from authproxy.pipeline.patience import Patiences
from authproxy.pipeline.ports import Clock
from authproxy.pipeline.push_limit import PushLimit
from authproxy.pipeline.workload import Workload
from authproxy.service.state import State
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class World:
    """What all sections share, whatever the configuration."""

    reactor: Any
    log: LoginLog
    audit: Audit
    metrics: Metrics
    recent: Recent
    resolver: Resolver
    certificates: ServerCertificates
    state: State
    challenges: Challenges
    doors: DoorEvents
    primary_only: PrimaryOnly
    shared: Shared | None = None  # what the nodes share; None: nothing
    writers: Sequence[LineWriter] = ()
    workload: Workload = field(default_factory=Workload)
    descriptors: Descriptors = field(default_factory=Descriptors)
    pushes: PushLimit = field(default_factory=PushLimit)
    failures: FailureLimit = field(default_factory=FailureLimit)
    patiences: Patiences = field(default_factory=Patiences)
    login_key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    approvals: Approvals = field(default_factory=lambda: Approvals(os.urandom(32)))

    @property
    def clock(self) -> Clock:
        """Monotonic seconds: the reactor's own, with nothing between."""
        seconds: Clock = self.reactor.seconds
        return seconds
