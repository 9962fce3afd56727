"""What the options of a section mean: its policy, its primary, its cloud, its clients. Nothing here binds or asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from authproxy.backends.cloud import Cloud, CloudSettings, HttpProxy
from authproxy.backends.directory import Directory, DirectorySettings
from authproxy.backends.open_door import SectionDoor
from authproxy.backends.resolve import Resolver
from authproxy.backends.tls import ServerCertificates, Trust, UnusableTrust, client_tls
from authproxy.config.dictionary_folder import read_dictionary_folder
from authproxy.config.load import Loaded
from authproxy.config.model import AdClient, Main, RadiusServer, RadiusServerAuto
from authproxy.config.options import Endpoint
from authproxy.config.problems import InvalidConfig, Problem, suggestion
from authproxy.listeners.radius.clients import Client, PrefixTable, RequireMessageAuthenticator
from authproxy.listeners.radius.listener import Limits, Served
from authproxy.listeners.radius.section import RadiusSection
from authproxy.observe.audit import AuditLog
from authproxy.observe.log import Log
from authproxy.observe.metrics import Metrics
from authproxy.observe.recent import Recent
from authproxy.observe.record import SectionRecorder
from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.challenge import Challenges
from authproxy.pipeline.credential import AppendMode
from authproxy.pipeline.decision import Decision, Reason, Reject
from authproxy.pipeline.logins import Logins
from authproxy.pipeline.policy import Policy
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.second_step import SecondStep
from authproxy.pipeline.username import canonical
from authproxy.protocols.radius.salted import Key
from authproxy.service.ports import radius_endpoints
from authproxy.service.state import State

# Attributes that need no dictionary, whose loading costs the start a tenth of a second.
_USUAL: Mapping[str, Key] = {
    "calling-station-id": (None, 31),
    "paloalto": (25461, 7),
}


@dataclass(frozen=True, slots=True)
class World:
    """What all sections share, whatever the configuration."""

    reactor: Any
    log: Log
    audit: AuditLog | None
    metrics: Metrics
    recent: Recent
    resolver: Resolver
    certificates: ServerCertificates
    state: State
    challenges: Challenges
    login_key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)

    def clock(self) -> float:
        seconds: float = self.reactor.seconds()
        return seconds
