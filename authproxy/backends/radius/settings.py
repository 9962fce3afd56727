"""A `radius_client` section as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from authproxy.backends.lockout import LockoutRules
from authproxy.backends.radius.whose import OuterName
from authproxy.backends.tls import Trust
from authproxy.protocols.radius.relay import NOTHING, Allowed
from authproxy.protocols.radius.salted import STANDARD_HIDDEN, Hiding
from authproxy.protocols.radius.vendor import Key
from authproxy.secret import Secret
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class RadiusClientSettings:
    """`hosts`: names or addresses with their ports, in order of preference. Times in seconds."""

    hosts: tuple[tuple[str, int], ...]
    secret: Secret = field(repr=False)
    name: str = "radius_client"  # the section's, for logs
    retries: int = 3  # beside the first send
    retry_wait: float = 2.0
    require_message_authenticator: bool = True  # in replies (R20)
    nas_ip: str | None = None  # None: our own address towards the server
    nas_identifier: str | None = None
    returned: Allowed = NOTHING  # what of an Accept goes to the NAS
    eap_outer_name: OuterName = OuterName.ASK
    hidden: Mapping[Key, Hiding] = field(default_factory=lambda: STANDARD_HIDDEN)
    lockout: LockoutRules = field(default_factory=LockoutRules)
    # Over TLS: whom to believe, with the certificate that we show. None: by UDP.
    trust: Trust | None = None
    tls_name: str | None = None  # that each host's certificate has to have; None: the host's own
