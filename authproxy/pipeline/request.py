"""One login as the pipeline sees it, whatever protocol it came by."""

from __future__ import annotations

from dataclasses import field

from authproxy.pipeline.username import Username
from authproxy.secret import Secret
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class AuthRequest:
    """`received` and `deadline` are monotonic seconds."""

    login: str  # one id from the packet to the cloud's transaction
    section: str
    username: Username
    password: Secret = field(repr=False)
    client: str  # the configured client's name
    nas_ip: str
    received: float
    deadline: float  # after it nobody waits for the answer
    client_ip: str | None = None  # the user's own address; None when nothing vouches for it (R22)
    calling_station: bytes = b""
    state: bytes = b""  # of the challenge that this answers; octets, as the peer sent them
    can_challenge: bool = False  # the protocol can ask the user back
    # A proof that only a RADIUS primary can check (CHAP, MS-CHAP, EAP): `password` is then what tells it from others.
    opaque: bool = False
    # What else a primary is shown, and may decide by; it is alike when the same login is asked again.
    shown: bytes = field(default=b"", repr=False)
    carried: object = None  # the packet's attributes, for a primary that wants them; opaque here
