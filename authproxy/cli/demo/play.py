"""The demo from start to end: start everything, play the tour or watch, and remove everything in any case."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from twisted.internet import stdio
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol

from authproxy.cli.cloud.plain_log import PlainLog
from authproxy.cli.demo.company import PEOPLE
from authproxy.cli.demo.events import EventReader, in_words
from authproxy.cli.demo.stage import NotStarted, Stage
from authproxy.cli.demo.tour import Played, Tour

_GLANCE = 0.25  # seconds


def play(*, once: bool, as_json: bool) -> int:
    """Returns the exit code."""
    from twisted.internet import reactor as imported  # noqa: PLC0415

    reactor: Any = imported
    codes: list[int] = []
    work: list[Deferred[int]] = []

    def begin() -> None:
        demo = Demo(reactor, once=once, as_json=as_json)
        running = Deferred.fromCoroutine(demo.run())
        work.append(running)
        running.addBoth(end)

    def end(result: Any) -> None:
        codes.append(result if isinstance(result, int) else 1)
        if not isinstance(result, int):
            print(result.getTraceback(), file=sys.stderr)
        if reactor.running and not stopping:
            reactor.stop()

    stopping: list[bool] = []

    def interrupted() -> Deferred[int] | None:
        """Ctrl-C: the reactor waits until everything is gone."""
        stopping.append(True)
        if not work or codes:
            return None
        work[0].cancel()
        return work[0]

    reactor.callWhenRunning(begin)
    reactor.addSystemEventTrigger("before", "shutdown", interrupted)
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reactor.stop))
    reactor.run()
    return codes[0] if codes else 1


class Demo:
    def __init__(self, reactor: Any, *, once: bool, as_json: bool) -> None:
        self._reactor = reactor
        self._once = once
        self._as_json = as_json
        self._stage = Stage(reactor, PlainLog(sys.stderr, quiet=True))

    async def run(self) -> int:
        try:
            _say("Starting a directory, a cloud service, a phone page and the proxy …")
            await self._stage.start()
            return await (self._tour() if self._once else self._watch())
        except NotStarted as problem:
            _say(f"It did not start: {problem}")
            return 1
        except CancelledError:
            # Ctrl-C ends the watching, as it should; it breaks a tour off.
            return 1 if self._once else 0
        finally:
            await self._stage.stop()
            if not self._once:
                _say("Everything is stopped and removed.")

    # ---- the tour

    async def _tour(self) -> int:
        tour = Tour(self._reactor, self._stage)
        played = []
        for number, step in enumerate(tour.steps(), start=1):
            _say(f"  {number}. {step.title} …")
            played.append(await tour.play(step))
        played.append(tour.leaks())
        failed = any(step.differed for step in played)
        if self._as_json:
            print(json.dumps({"ok": not failed, "steps": [asdict(step) for step in played]}, indent=2))
        else:
            _print_table(played)
        return 1 if failed else 0

    # ---- the watching

    async def _watch(self) -> int:
        self._print_what_to_try()
        if sys.stdin.isatty():
            stdio.StandardIO(_Keyboard(self._toggle_cloud), reactor=self._reactor)
        reader = EventReader(self._stage.events)
        while True:
            for event in reader.new():
                print(f"  {time.strftime('%H:%M:%S')}  {in_words(event)}", flush=True)
            await self._pause()

    async def _pause(self) -> None:
        done: Deferred[None] = Deferred()
        alarm = self._reactor.callLater(_GLANCE, done.callback, None)
        try:
            await done
        finally:
            if alarm.active():
                alarm.cancel()

    def _listen_to_the_keyboard(self) -> None:
        """Through a descriptor of its own: reading without waiting must not spoil standard output, or the shell."""
        if not sys.stdin.isatty():
            return
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        except OSError:
            return
        opened: Any = stdio.StandardIO  # its type is another platform's
        opened(_Keyboard(self._toggle_cloud), terminal, terminal, reactor=self._reactor)

    def _toggle_cloud(self) -> None:
        if self._stage.is_connected:
            Deferred.fromCoroutine(self._stage.disconnect_cloud())
            print(
                "  the cloud is gone: log in at both ports and see what each failmode does; o and Enter "
                "brings it back"
            )
        else:
            self._stage.connect_cloud()
            print("  the cloud is back")

    def _print_what_to_try(self) -> None:
        stage = self._stage
        login = f"{shlex.quote(sys.argv[0])} -c {stage.config} login --section"
        secret = stage.radius_secret.reveal().decode()
        attributes = "User-Name=alice,User-Password=wonderland,Message-Authenticator=0x00"
        lines = [
            "",
            "Everything runs, on this machine only.",
            "",
            "1. Open the phone page and tap the button: this browser is then Alice's phone.",
            *(f"     {name:<7}{phone.link}" for name, phone in stage.phones.items()),
            "",
            "2. Log in, in another terminal, and answer on the phone page.",
            f"     {login} {stage.secure.name} alice",
            f"     {login} {stage.safe.name} alice",
            "   or as any RADIUS client does:",
            f"     echo {attributes} | radclient -t 65 -r 1 127.0.0.1:{stage.secure.port} auth {secret}",
            "",
            "   Users:",
            *(f"     {person.name:<7}{person.password:<12}{person.words}" for person in PEOPLE),
            "",
            f"   {stage.secure.name}, UDP port {stage.secure.port}: failmode secure.",
            f"   {stage.safe.name}, UDP port {stage.safe.port}: failmode safe.",
            f"   What the proxy does: http://127.0.0.1:{stage.admin_port}/",
            f"   Its configuration: {stage.config}",
            f"   The cloud from the command line: {shlex.quote(sys.argv[0])} cloud push list --data {stage.cloud}",
            "",
        ]
        if sys.stdin.isatty():
            lines += [
                "3. Type o and Enter: the cloud goes away, and comes back. See what each failmode does.",
                "",
            ]
        lines += ["Ctrl-C ends it and removes everything. Decisions:", ""]
        print("\n".join(lines), flush=True)


class _Keyboard(Protocol):
    def __init__(self, toggle: Any) -> None:
        self._toggle = toggle

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - twisted's name
        if data.strip().lower() == b"o":
            self._toggle()


def _say(text: str) -> None:
    """For people: not in the way of JSON on standard output."""
    print(text, file=sys.stderr, flush=True)


def _print_table(played: Sequence[Played]) -> None:
    rows = [("", "step", "has to be", "was", "")] + [
        (
            "ok" if not step.differed else "DIFFERS",
            step.title,
            step.expected,
            step.got,
            f"{step.seconds:.1f} s" if step.seconds else "",
        )
        for step in played
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for step in played:
        for problem in step.differed:
            print(f"\n{step.title}: {problem}")
    good = sum(not step.differed for step in played)
    print(f"\n{good} of {len(played)} as they have to be.")
