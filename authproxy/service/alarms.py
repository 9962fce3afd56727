"""The program and the webhook for alarms that `main` names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from authproxy.config.model import Main
from authproxy.observe.alarms.command import Command
from authproxy.observe.alarms.hook import Hook, Way
from authproxy.observe.alarms.webhook import Target, UnusableWebhook, Webhook
from authproxy.observe.log import Log


class Unusable(NamedTuple):
    """An option of main that can't be used, and why."""

    option: str
    problem: str


def ways(main: Main) -> tuple[list[Way], list[Unusable]]:
    """The ways that can be used, and the options that can't."""
    found: list[Way] = []
    problems: list[Unusable] = []
    if main.alarm_command:
        problems += _command_problems(main)
        found.append(Command(main.alarm_command))
    if main.alarm_webhook is not None:
        try:
            found.append(_webhook(main, main.alarm_webhook.reveal().decode("latin-1")))
        except UnusableWebhook as unusable:
            problems.append(Unusable("alarm_webhook", str(unusable)))
    return found, problems


def hooks(main: Main, log: Log) -> list[Hook]:
    """The hooks, started. Unusable options were reported when the configuration was built."""
    return [Hook(way, log) for way in ways(main)[0]]


def _command_problems(main: Main) -> Iterator[Unusable]:
    program = main.alarm_command[0]
    if not os.path.isfile(program):
        yield Unusable("alarm_command", f"{program}: there is no such program")
    elif not os.access(program, os.X_OK):
        yield Unusable("alarm_command", f"{program}: may not be run by this user")


def _webhook(main: Main, url: str) -> Webhook:
    """Raises UnusableWebhook."""
    target = Target.of(url)
    if not target.secure and not (main.alarm_webhook_allow_http and target.is_loopback):
        raise UnusableWebhook(
            "https is expected; http only to this machine, and with alarm_webhook_allow_http: true"
        )
    return Webhook(
        target,
        token=main.alarm_webhook_token,
        key=main.alarm_webhook_key,
        ca_file=main.alarm_webhook_ca_certs_file,
    )
