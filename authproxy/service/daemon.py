"""The daemon from start to end: ports, user, logs, sections, signals, drain."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, globalLogBeginner
from twisted.python.failure import Failure

from authproxy import __version__
from authproxy.backends.primary_only import FILE_NAME as PRIMARY_ONLY
from authproxy.backends.primary_only import PrimaryOnly
from authproxy.backends.resolve import Resolver
from authproxy.backends.shared_state import Shared
from authproxy.backends.state_dir import StateUnusable
from authproxy.backends.tls import ServerCertificates
from authproxy.backends.turns import ReactorTurn
from authproxy.config.load import Loaded
from authproxy.config.model import LogFormat, Main, SharedState
from authproxy.config.problems import InvalidConfig
from authproxy.observe import audit, event_log
from authproxy.observe.alarms.board import Alarms
from authproxy.observe.bridge import take_over, twisted_observer, with_traceback
from authproxy.observe.doors import DoorEvents
from authproxy.observe.event_log import EventLog, LogSettings, LogUnusable, open_log
from authproxy.observe.log import Log
from authproxy.observe.metrics import Metrics
from authproxy.observe.notify import ServiceManager
from authproxy.observe.pulse import Beat, Pulse
from authproxy.observe.recent import Recent
from authproxy.observe.writer import LineWriter
from authproxy.pipeline.challenge import Challenges
from authproxy.pipeline.failure_limit import FailureLimit
from authproxy.pipeline.patience import ClientPatience, Patiences
from authproxy.pipeline.push_limit import PushLimit
from authproxy.protocols.radius.state import StateSeal
from authproxy.service import process
from authproxy.service.alarms import hooks
from authproxy.service.building.builder import build
from authproxy.service.building.world import World
from authproxy.service.doors_told import HOUR, Doors
from authproxy.service.garbage import EVERY, Garbage
from authproxy.service.keeping import Keeper
from authproxy.service.overview import ServiceOverview
from authproxy.service.ports import CannotBind, bind
from authproxy.service.reactor import install
from authproxy.service.running import Service
from authproxy.service.shared_state import make_shared
from authproxy.service.state import SIGNERS, State, open_state
from authproxy.service.watch import EVERY as WATCH_EVERY
from authproxy.service.watch import Watch
from authproxy.service.watching import make_alarms, make_watch

# RFC 5080 §2.1.1 gives no number; a minute for the user, and some more for a NAS that is slow.
CHALLENGE_LIFETIME = 300.0
_CLOSING = 15.0  # seconds that the rest of a stop may take, behind the drain


class CannotStart(Exception):
    """A port, a user, a log or the state folder can't be used; the administrator has to act. The text says which, and
    why.
    """


class Daemon:
    """The service of one process. `reread()` loads the configuration file again."""

    def __init__(self, loaded: Loaded, reread: Callable[[], Loaded], reactor: Any) -> None:
        self._loaded = loaded
        self._reread = reread
        self._reactor = reactor
        self._manager = ServiceManager.from_environment()
        self._stopping = False
        self._log: EventLog
        self._service: Service
        self._alarms: Alarms
        self._closers: list[Callable[[], object]] = []

    def start(self) -> None:
        """Do everything up to `ready`. Raises CannotStart or InvalidConfig."""
        main = self._loaded.config.main
        process.harden()
        try:
            sockets = bind(self._loaded.config)
        except CannotBind as taken:
            raise CannotStart(str(taken)) from None
        try:
            self._become(main)
            world = self._world(main)
            self._service = Service(build(self._loaded, world), world)
        except BaseException:
            sockets.close()
            raise
        for warning in self._loaded.warnings:
            self._log.warn(
                "config.risky", at=f"{warning.file}:{warning.line}", option=warning.path, problem=warning.what
            )
        self._service.start(sockets)
        addresses = self._service.addresses
        self._alarms = make_alarms(main, world, self._log)
        self._closers.append(self._alarms.close)
        overview = ServiceOverview(self._service, world, self._alarms)
        world.metrics.radius_clients(overview.client_counts)
        world.metrics.patiences(overview.patiences)
        if sockets.admin is not None:
            addresses.append(f"tcp {self._serve_admin(sockets.admin, world, overview)}")
        self._beat(world, make_watch(main.state_dir, overview, world, self._alarms, self._log))
        self._handle_signals()
        self._say_ready(addresses)

    # ---- before anything is answered

    def _become(self, main: Main) -> None:
        if os.geteuid() != 0:
            return
        if main.user is None:
            print("authproxy: warning: running as root; set main.user to give that up", file=sys.stderr)
            return
        try:
            process.become(process.account(main.user), (main.state_dir, main.log_dir))
        except process.CannotBecome as cannot:
            raise CannotStart(str(cannot)) from None

    def _world(self, main: Main) -> World:
        try:
            self._log = log = open_log(_log_settings(main))
            recorder, writers = self._audit(main)
            state = open_state(main.state_dir, log)
        except (LogUnusable, audit.AuditUnusable, StateUnusable) as unusable:
            raise CannotStart(str(unusable)) from None
        observer = cast(ILogObserver, twisted_observer(log))
        globalLogBeginner.beginLoggingTo([observer], discardBuffer=True, redirectStandardIO=False)
        take_over(log)
        metrics = Metrics()
        writers = [*log.writers, *writers]
        for writer in writers:
            metrics.outlet(writer)
        patiences = Patiences(partial(_gives_up, log))
        certificates = ServerCertificates()
        metrics.certificates(lambda: certificates.expiries().items())
        doors = DoorEvents(log)
        resolver = Resolver(self._reactor, log=log)
        shared = make_shared(
            self._loaded.config,
            reactor=self._reactor,
            resolver=resolver,
            certificates=certificates,
            metrics=metrics,
            log=log,
            alert=partial(_spared, log),
        )
        return World(
            reactor=self._reactor,
            log=log,
            audit=recorder,
            metrics=metrics,
            recent=Recent(),
            resolver=resolver,
            shared=shared,
            certificates=certificates,
            state=state,
            challenges=_challenges(main, state, shared),
            doors=doors,
            primary_only=PrimaryOnly(
                main.state_dir / PRIMARY_ONLY, key=state.key.reveal(), log=log, doors=doors
            ),
            writers=writers,
            pushes=PushLimit(partial(_spared, log), partial(ReactorTurn, self._reactor)),
            failures=FailureLimit(partial(_guessing, log)),
            patiences=patiences,
        )

    def _audit(self, main: Main) -> tuple[audit.Audit, list[LineWriter]]:
        hostname = socket.gethostname()
        if not main.log_auth_events:
            return audit.AuditInLog(self._log, hostname=hostname), []
        made = audit.AuditLog(
            main.log_dir / audit.FILE_NAME,
            hostname=hostname,
            max_size=main.log_max_size,
            max_files=main.log_max_files,
            log=self._log,
        )
        self._closers.append(made.close)
        return made, [made.writer]

    def _serve_admin(self, sock: socket.socket, world: World, overview: ServiceOverview) -> str:
        # The web server is not for everyone, and costs the start a tenth of a second.
        from authproxy.service.admin import serve_admin  # noqa: PLC0415

        main, service = self._loaded.config.main, self._service
        admin, address = serve_admin(sock, main, overview, world, lambda: service.built.admin_tls)
        self._closers.append(admin.live.close)
        return address

    def _beat(self, world: World, watch: Watch) -> None:
        garbage = Garbage(lambda: self._service.pending)
        doors = Doors(self._service, world)
        keeper = Keeper(
            world.state.signers,
            self._loaded.config.main.state_dir / SIGNERS,
            self._log,
            back=self._reactor.callFromThread,
        )
        self._closers.append(keeper.close)
        beats = [
            Beat(5.0, self._log.sweep),
            Beat(1.0, lambda: keeper.look(world.clock())),
            Beat(EVERY, garbage.collect),
            Beat(1.0, doors.look),
            Beat(HOUR, doors.tell_safe),
            Beat(WATCH_EVERY, watch.look),
        ]
        if (interval := self._manager.watchdog_interval) is not None:
            beats.append(Beat(interval, self._manager.ping))
        pulse = Pulse(self._reactor, beats=beats, lag=world.metrics.loop_lag, log=self._log)
        pulse.start()
        self._closers.append(pulse.stop)

    def _say_ready(self, addresses: list[str]) -> None:
        listening = ", ".join(addresses)
        self._log.info("ready", version=__version__, listening=addresses, user=process.identity())
        print(f"authproxy {__version__}: ready, listening on {listening}", file=sys.stderr, flush=True)
        self._manager.ready(f"listening on {listening}")

    # ---- signals

    def _handle_signals(self) -> None:
        handlers = {
            signal.SIGTERM: self._terminate,
            signal.SIGINT: self._terminate,
            signal.SIGHUP: self._reload,
        }
        for one, handler in handlers.items():
            signal.signal(one, lambda *_, handler=handler: self._reactor.callFromThread(handler))

    def _reload(self) -> None:
        """A13: all of it is checked first; with a mistake in it nothing changes."""
        if self._stopping:
            return
        self._manager.reloading()
        try:
            loaded = self._reread()
            self._service.reload(loaded)
            self._alarms.use(hooks(loaded.config.main, self._log))
            self._compare_nodes(loaded)
        except InvalidConfig as invalid:
            for problem in invalid.problems:
                self._log.error(
                    "config.invalid", problem=str(problem), effect="the old configuration stays in effect"
                )
        except CannotBind as taken:
            self._log.error(
                "reload.failed", problem=str(taken), effect="the old configuration stays in effect"
            )
        except Exception as bug:  # noqa: BLE001 - a bug in a reload must not stop who is being served
            self._log.failure("reload.failed", bug, effect="the old configuration stays in effect")
        self._manager.ready(f"listening on {', '.join(self._service.addresses)}")

    def _compare_nodes(self, loaded: Loaded) -> None:
        if loaded.config.all(SharedState) != self._loaded.config.all(SharedState):
            self._log.warn("shared_state.changed", effect="none before the next start")

    def _terminate(self) -> None:
        """Drain at the first signal, stop at the second (A12)."""
        if self._stopping:
            self._log.warn("service.stopped_at_once", pending=self._service.pending)
            self._reactor.stop()
            return
        self._stopping = True
        Deferred.fromCoroutine(self._drain()).addErrback(self._failed).addBoth(lambda _: self._stop())

    async def _drain(self) -> None:
        timeout = self._service.built.main.drain_timeout
        self._log.info("service.draining", pending=self._service.pending, at_most=timeout)
        self._manager.stopping(f"waiting for {self._service.pending} logins", timeout + _CLOSING)
        cut_off = await self._service.drain(timeout)
        if cut_off:
            self._log.warn("service.cut_off", pending=cut_off)
        await self._service.close()
        self._log.info("service.drained")

    def _failed(self, failure: Failure) -> None:
        self._log.failure("service.stop_failed", with_traceback(failure))

    def _stop(self) -> None:
        if self._reactor.running:
            self._reactor.stop()

    def close(self) -> None:
        """Write out what is queued, after the reactor has ended."""
        for closer in self._closers:
            closer()
        self._log.close()
        self._manager.close()


def run(loaded: Loaded, reread: Callable[[], Loaded]) -> int:
    """Run the daemon. Returns the exit code of `authproxy run`: 0 drained, 1 can't start. Raises InvalidConfig, before
    anything listens.
    """
    process.keep_standard_descriptors()
    reactor = install()
    daemon = Daemon(loaded, reread, reactor)
    try:
        daemon.start()
    except CannotStart as cannot:
        print(f"authproxy: cannot start: {cannot}", file=sys.stderr)
        return 1
    reactor.run(installSignalHandlers=False)
    daemon.close()
    return 0


def _guessing(log: Log, which: str, whose: str, section: str) -> None:
    log.warn(
        "login.failures_limited",
        limit=which,
        of=whose,
        section=section,
        todo="find out who is guessing passwords there",
    )


def _spared(log: Log, event: str, user: str, section: str) -> None:
    """A11: somebody who isn't the user seems to know the password."""
    todo = "ask the user; if it wasn't them, change the password"
    (log.error if event == "push.fraud_reported" else log.warn)(event, user=user, section=section, todo=todo)


def _log_settings(main: Main) -> LogSettings:
    elsewhere = main.log_stdout or main.log_syslog or main.log_journald
    return LogSettings(
        debug=main.debug,
        json=main.log_format is LogFormat.JSON,
        file=main.log_dir / event_log.FILE_NAME if main.log_file or not elsewhere else None,
        max_size=main.log_max_size,
        max_files=main.log_max_files,
        stdout=main.log_stdout,
        syslog=main.log_syslog,
        facility=main.syslog_facility,
        journald=main.log_journald,
    )


def _gives_up(log: Log, client: ClientPatience) -> None:
    log.warn(
        "radius.client_gives_up",
        client=client.client,
        after_seconds=round(client.gives_up or 0),
        asks_every_seconds=round(client.gap or 0, 1),
        todo="set its RADIUS timeout to 60 s or more (retries times seconds): it gives up before "
        "pushes are answered",
    )


def _challenges(main: Main, state: State, shared: Shared | None) -> Challenges:
    """H3: nodes with a key in common take each other's States; without one the key is this machine's."""
    configured = [key for key in (main.challenge_key, main.challenge_key_before) if key is not None]
    return Challenges(
        StateSeal(configured or [state.key]),
        lifetime=CHALLENGE_LIFETIME,
        wall_clock=time.time,
        clock=time.monotonic,
        new_id=lambda: os.urandom(8),
        memory=state.answered,
        nodes=shared,
    )
