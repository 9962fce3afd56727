"""Which server nodes share, and how it is reached."""

from __future__ import annotations

from dataclasses import field

from authproxy.backends.tls import Trust
from authproxy.secret import Secret
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class SharedStateSettings:
    """`timeout`: seconds for one answer. `nodes`: how many nodes share it."""

    host: str
    port: int = 6379
    trust: Trust | None = None  # None: no TLS
    tls_name: str | None = None
    username: str | None = None
    password: Secret | None = field(default=None, repr=False)
    database: int = 0
    timeout: float = 1.0
    nodes: int = 2
