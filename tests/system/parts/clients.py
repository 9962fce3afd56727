"""RADIUS clients that others wrote: radclient of FreeRADIUS, and pyrad."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from pyrad.client import Client, Timeout
from pyrad.dictionary import Dictionary
from pyrad.packet import AccessRequest

from tests.system.parts.needs import needs

DICTIONARY = """\
ATTRIBUTE User-Name 1 string
ATTRIBUTE User-Password 2 string encrypt=1
ATTRIBUTE NAS-IP-Address 4 ipaddr
ATTRIBUTE Reply-Message 18 string
ATTRIBUTE Calling-Station-Id 31 string
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE Proxy-State 33 octets
ATTRIBUTE Message-Authenticator 80 octets
"""


@dataclass(frozen=True, slots=True)
class Said:
    """The reply's name as RADIUS has it ('' for silence), and what the client printed."""

    reply: str
    text: str


def radclient(
    address: str,
    port: int,
    secret: str,
    user: str,
    password: str,
    *more: str,
    command: str = "auth",
    timeout: int = 15,
    signed: bool = True,
) -> Said:
    """One request, with a Message-Authenticator if `signed`.

    The secret and the password are read from standard input and a file, as a careful script does.
    """
    program = needs("radclient", "freeradius-utils")
    lines = [f'User-Name = "{user}"', f'User-Password = "{password}"'] if user else []
    ended = subprocess.run(
        [program, "-x", "-r", "1", "-t", str(timeout), f"{address}:{port}", command, secret],
        input=", ".join([*lines, *(["Message-Authenticator = 0x00"] if signed else []), *more]),
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout + 10,
    )
    text = ended.stdout + ended.stderr
    found = [line.split()[1] for line in text.splitlines() if line.startswith("Received ")]
    return Said(found[0] if found else "", text)


def pyrad(
    address: str, port: int, secret: str, user: str, password: str, attributes: Sequence[tuple[str, str]] = ()
) -> Said:
    """One request by pyrad's own client, which checks the reply's authenticators."""
    import io

    client = Client(
        server=address,
        authport=port,
        secret=secret.encode(),
        dict=Dictionary(io.StringIO(DICTIONARY)),
        enforce_ma=True,
    )
    client.timeout, client.retries = 15, 1
    request = client.CreateAuthPacket(code=AccessRequest, User_Name=user)
    request["User-Password"] = request.PwCrypt(password)
    for name, value in attributes:
        request[name] = value
    request.add_message_authenticator()
    try:
        reply = client.SendPacket(request)
    except Timeout:
        return Said("", "no answer")
    names = {2: "Access-Accept", 3: "Access-Reject", 11: "Access-Challenge"}
    return Said(names.get(reply.code, str(reply.code)), repr(reply.get("Reply-Message")))
