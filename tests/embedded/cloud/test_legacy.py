"""Old clients, for whom the switch is: the client library's AuthV1, and the BSON that others read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from duo_client.auth_v1 import AuthV1
from hypothesis import given
from hypothesis import strategies as st

from authproxy.embedded.cloud.api.bson import encode
from authproxy.embedded.cloud.model import UserStatus
from authproxy.embedded.cloud.outcomes import Verdict

from .running import Running
from .test_api import later


@pytest.fixture
def old(reactor_thread: Any, tmp_path: Path) -> Iterator[Running]:
    running = Running(reactor_thread, tmp_path / "cloud", legacy=True)
    yield running
    running.stop()
    assert running.log.bugs == []


def client_of(running: Running, credentials: tuple[str, str]) -> AuthV1:
    ikey, skey = credentials
    trust = str(running.files.authority)
    return AuthV1(ikey=ikey, skey=skey, host="localhost", port=running.port, ca_certs=trust, timeout=30)


def test_every_call(old: Running) -> None:
    client = client_of(old, old.application())
    user, device_id, _ = old.user(number="+49 151 2345678")
    assert client.ping() is True
    assert client.check() is True
    told = client.preauth("alice", ipaddr="10.0.0.1")
    assert told["result"] == "auth"
    assert told["factors"] == {"default": "push1", "1": "push1", "2": "phone1", "3": "sms1"}
    assert "1. Push a login request" in told["prompt"]
    assert client.auth("alice", factor="passcode", passcode=old.passcode(device_id))
    assert not client.auth("alice", factor="passcode", passcode="000000")
    assert client.auth("alice", factor="auto", auto=old.passcode(device_id, 1))
    waiting = later(lambda: client.auth("alice", factor="push"))
    old.decide(device_id, Verdict.APPROVE)
    assert waiting()
    txid = client.auth("alice", factor="auto", auto="push", async_txn=True)
    assert "result" not in client.json_api_call("GET", "/rest/v1/status", {"txid": txid})
    old.decide(device_id, Verdict.DENY)
    assert client.status(txid)[:2] == (False, False) or client.status(txid)
    told = client.json_api_call("GET", "/rest/v1/status", {"txid": txid})
    assert told == {"result": "deny", "status": "Login request denied."}
    for status, result in ((UserStatus.BYPASS, "allow"), (UserStatus.DISABLED, "deny")):
        old.run(old.store.users.set_status, user.user_id, status)
        assert client.preauth("alice")["result"] == result
    told = client.preauth("nobody")
    assert told["result"] == "enroll"
    assert "http://localhost" in told["status"]
    for sent in ({"factor": "push", "phone": "phone9"}, {"factor": "what"}, {"factor": "auto", "auto": "x"}):
        with pytest.raises(RuntimeError, match="Received 400"):
            client.json_api_call("POST", "/rest/v1/auth", {"user": "bob", **sent})


def test_it_is_off_by_default(cloud: Running) -> None:
    client = client_of(cloud, cloud.application())
    for call in (client.ping, client.check):
        with pytest.raises(RuntimeError, match="Received 404"):
            call()


BSON = st.recursive(
    st.text(max_size=20) | st.integers(-(2**31), 2**31 - 1),
    lambda inner: st.dictionaries(
        st.text(max_size=8).filter(lambda name: "\0" not in name), inner, max_size=4
    ),
    max_leaves=10,
)


def read(octets: bytes) -> Any:
    """A second opinion on BSON, from its specification."""
    (length,) = struct.unpack_from("<i", octets)
    assert length == len(octets)
    assert octets[-1] == 0
    at, found = 4, {}
    while octets[at]:
        kind, end = octets[at], octets.index(0, at + 1)
        name, at = octets[at + 1 : end].decode(), end + 1
        (number,) = struct.unpack_from("<i", octets, at)
        match kind:
            case 2:
                found[name] = octets[at + 4 : at + 3 + number].decode()
                at += 4 + number
            case 3:
                found[name] = read(octets[at : at + number])
                at += number
            case 16:
                found[name] = number
                at += 4
    return found


@given(st.dictionaries(st.text(max_size=8).filter(lambda name: "\0" not in name), BSON, max_size=5))
def test_bson_can_be_read(document: Any) -> None:
    assert read(encode(document)) == document
