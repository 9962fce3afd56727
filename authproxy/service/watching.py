"""Connects a running service to its alarms: who gets them, and what is watched."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

from authproxy.backends.state_dir import write_problem
from authproxy.config.model import Main
from authproxy.observe.alarms.board import Alarms
from authproxy.observe.log import Log
from authproxy.service.alarm_events import raises
from authproxy.service.alarms import hooks
from authproxy.service.building.world import World
from authproxy.service.overview import ServiceOverview
from authproxy.service.watch import Told, Watch


def make_alarms(main: Main, world: World, log: Log) -> Alarms:
    """The alarms, counted, and subscribed to what happens at doors. Close them after everything that raises one."""
    alarms = Alarms(
        hostname=socket.gethostname(),
        log=log,
        counted=world.metrics.alarm,
        clock=world.clock,
        wall_clock=time.time,
        hooks=hooks(main, log),
    )
    world.metrics.alarm_hooks(
        lambda: [(hook.name, hook.delivered, hook.lost) for hook in alarms.hooks],
        lambda: alarms.held_back,
    )
    world.doors.subscribe(raises(alarms))
    return alarms


def make_watch(state_dir: Path, overview: ServiceOverview, world: World, alarms: Alarms, log: Log) -> Watch:
    def try_disk(told: Told) -> None:
        """In a thread, which nobody waits for: a disk may hang (A2)."""

        def tried(problem: str) -> None:
            told(problem or world.state.retry())

        thread = threading.Thread(
            target=_try_disk, args=(state_dir, world.reactor, tried), name="state_dir", daemon=True
        )
        thread.start()

    return Watch(
        alarms=alarms,
        log=log,
        sections=overview.sections,
        expiries=world.certificates.expiries,
        writers=world.writers,
        state_dir=state_dir,
        try_disk=try_disk,
        clock=world.clock,
        wall_clock=time.time,
        shared=lambda: ("", "") if world.shared is None else (world.shared.at, world.shared.problem),
    )


def _try_disk(folder: Path, reactor: Any, tried: Told) -> None:
    reactor.callFromThread(tried, write_problem(folder))
