"""What the log says of a login: the fields of its audit event that are known.

Every login writes this line. Made field by field, through a dict, it costs five times what it costs here, where
neighbours of which there are few different ones are one piece.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter

from authproxy.observe.audit import AuditEvent
from authproxy.observe.lines import OwnText, quoted

_NAMES = (
    "login",
    "server_section",
    "username",
    "decision",
    "reason",
    "cause",
    "why",
    "factor",
    "client",
    "nas_ip",
    "client_ip",
    "primary_ms",
    "cloud_ms",
    "txid",
    "detail",
)
_values = attrgetter(*_NAMES)


class LoginFields(OwnText):
    """Of one event, which is a decision."""

    __slots__ = ("_event",)

    def __init__(self, event: AuditEvent) -> None:
        self._event = event

    def items(self) -> Iterable[tuple[str, object]]:
        return [
            (name, value)
            for name, value in zip(_NAMES, _values(self._event), strict=True)
            if value is not None
        ]

    def text(self) -> str:
        """As of any event with these items."""
        (
            _, _, username, _, _, _, client_ip, section, _, factor, _, login, _,
            decision, reason, cause, detail, primary, cloud, client, nas_ip, txid, _, why,
        ) = self._event  # fmt: skip
        text = (
            f"login={quoted(login)} server_section={_known(section)} username={_known(username)}"
            f"{_outcome(decision, reason, cause, why, factor, client, nas_ip)}"
        )
        if client_ip is not None:
            text += f" client_ip={_known(client_ip)}"
        if primary is not None:
            text += f" primary_ms={_measured(primary)}"
        if cloud is not None:
            text += f" cloud_ms={_measured(cloud)}"
        if txid is not None:
            text += f" txid={quoted(txid)}"
        if detail is not None:
            text += f" detail={quoted(detail)}"
        return text


@lru_cache(maxsize=1024)
def _outcome(
    decision: str | None,
    reason: str | None,
    cause: str | None,
    why: str | None,
    factor: str | None,
    client: str,
    nas_ip: str,
) -> str:
    values = (decision, reason, cause, why, factor, client, nas_ip)
    named = zip(_NAMES[3:10], values, strict=True)
    return "".join([f" {name}={quoted(value)}" for name, value in named if value is not None])


# Users come back, and so do tenths of milliseconds.
_known = lru_cache(maxsize=4096)(quoted)
_measured = lru_cache(maxsize=1024)(quoted)
