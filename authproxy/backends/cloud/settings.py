"""The cloud settings of a section."""

from __future__ import annotations

from dataclasses import field

from authproxy.backends.cloud.pool import PoolLimits
from authproxy.backends.cloud.proxy import OutboundProxy
from authproxy.backends.tls import Trust
from authproxy.secret import Secret
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class CloudSettings:
    """One application at one service. Times are in seconds."""

    section: str
    host: str
    ikey: str
    skey: Secret = field(repr=False)
    port: int = 443
    trust: Trust = field(default_factory=Trust)
    proxy: OutboundProxy | None = None
    # The known option: one HTTP request as a whole, connecting included. 0: the budgets below and the login's deadline.
    api_timeout: float = 0.0
    allow_local: bool = False
    hostname: str = ""  # told to the service as the place that is logged in to
    preauth_seconds: float = 10.0  # preauth with its retries
    factor_seconds: float = 75.0  # a push lives 60, a call about as long
    # One poll. Services hold them for 15 to 25 seconds, or until the user decides, which takes a push's life at most.
    # To give one up costs a connection, at 10,000 pending pushes half a processor; a network that is dead shows sooner.
    poll_seconds: float = 65.0
    slow_seconds: float = 3.0  # from which an answer that is owed at once is slow
    limits: PoolLimits = field(default_factory=PoolLimits)
