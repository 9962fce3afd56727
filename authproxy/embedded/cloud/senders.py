"""Sends text messages and calls. By default nothing is sent; they appear in the outbox and on the phone's page."""

from __future__ import annotations

import json
from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.error import ProcessDone
from twisted.python.failure import Failure

from authproxy.observe.log import Log
from authproxy.secret import Secret


class Sender(Protocol):
    """Sends a message. A failure is logged, and the login expires by itself."""

    def send(self, kind: str, number: str, message: Secret) -> None:
        """`kind`: sms or phone."""


class PageOnly:
    """Sends nothing."""

    def send(self, kind: str, number: str, message: Secret) -> None: ...


class Command:
    """Runs the administrator's program for each message, with JSON on standard input.

    `{"kind": "sms", "number": "+49…", "message": "…"}`; codes are never in the arguments.
    """

    def __init__(self, program: str, reactor: Any, log: Log) -> None:
        self._program = program
        self._reactor = reactor
        self._log = log

    def send(self, kind: str, number: str, message: Secret) -> None:
        told = {"kind": kind, "number": number, "message": message.reveal().decode()}
        self._reactor.spawnProcess(
            _Told(json.dumps(told).encode(), kind, self._log), self._program, [self._program], env=None
        )


class _Told(protocol.ProcessProtocol):
    def __init__(self, octets: bytes, kind: str, log: Log) -> None:
        self._octets = octets
        self._kind = kind
        self._log = log

    def connectionMade(self) -> None:  # noqa: N802 - twisted's name
        if (process := self.transport) is not None:
            process.write(self._octets)
            process.closeStdin()

    def processEnded(self, reason: Failure) -> None:  # noqa: N802 - twisted's name
        if not isinstance(reason.value, ProcessDone):
            self._log.warn("cloud.message_failed", kind=self._kind, problem=str(reason.value))
