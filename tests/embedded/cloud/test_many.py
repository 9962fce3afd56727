"""Many at once: pushes that wait, pages that watch, polls that are held; and a restart in the middle.

`AUTHPROXY_MANY=2000` is the full number; every day a twentieth of it is enough to see a leak or a lost one.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from authproxy.embedded.cloud.model import DeviceKind
from authproxy.embedded.cloud.outcomes import Limits, Verdict
from authproxy.protocols.cloud.signing import Signer, canonical_params
from authproxy.secret import Secret

from .running import Running

MANY = int(os.environ.get("AUTHPROXY_MANY", "100"))


class Client:
    """One kept HTTPS connection."""

    def __init__(self, cloud: Running, signer: Signer) -> None:
        self._cloud = cloud
        self._signer = signer

    async def open(self) -> None:
        port, context = self._cloud.port, self._cloud.context()
        self._reader, self._writer = await asyncio.open_connection("localhost", port, ssl=context)

    async def call(self, method: str, path: str, sent: dict[str, str]) -> Any:
        date = email.utils.formatdate(time.time())
        body, params = b"", ""
        if method == "POST":
            body = json.dumps(sent).encode()
        else:
            params = canonical_params(sent.items())
        sign = self._signer.authorization(date=date, method=method, path=path, params=params, body=body)
        target = f"{path}?{urlencode(sent)}" if params else path
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nDate: {date}\r\nAuthorization: {sign}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        told = json.loads(await self._reader.readexactly(length))
        assert told["stat"] == "OK", told
        return told["response"]

    def close(self) -> None:
        self._writer.transport.abort()


async def watch(cloud: Running, token: str, seen: asyncio.Event) -> None:
    """A live page: comes back when the service goes away, as EventSource does."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("localhost", cloud.pages)
            try:
                writer.write(
                    f"GET /events HTTP/1.1\r\nHost: localhost\r\nCookie: phone={token}\r\n\r\n".encode()
                )
                while line := await reader.readline():
                    if line == b"data: now\n":
                        seen.set()
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.2)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what changes is in another thread
            await asyncio.sleep(0.02)


async def in_groups(work: list[Any], size: int = 50) -> list[Any]:
    results: list[Any] = []
    for at in range(0, len(work), size):
        results += await asyncio.gather(*work[at : at + size])
    return results


@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_restart_with_many_waiting(reactor_thread: Any, tmp_path: Path) -> None:
    cloud = Running(reactor_thread, tmp_path, hold=60.0, limits=Limits(push_life=240, per_minute=10**6))

    def prepare() -> list[tuple[str, str, str]]:
        made = []
        with cloud.store.database.change():
            for number in range(MANY):
                user = cloud.store.users.add(f"user{number}")
                device = cloud.store.devices.add(user.user_id, DeviceKind.PHONE)
                token = cloud.store.devices.give_page(device.device_id)
                made.append((user.username, device.device_id, token.reveal().decode()))
        return made

    users = cloud.run(prepare)
    ikey, skey = cloud.application()
    signer = Signer(ikey, Secret.of(skey), "localhost")
    try:
        asyncio.run(_play(cloud, signer, users))
        assert cloud.log.bugs == []
    finally:
        cloud.stop()


async def _play(cloud: Running, signer: Signer, users: list[tuple[str, str, str]]) -> None:
    pages = [asyncio.Event() for _ in users]
    watching = [
        asyncio.create_task(watch(cloud, token, seen))
        for (_, _, token), seen in zip(users, pages, strict=True)
    ]
    clients = [Client(cloud, signer) for _ in users]
    await in_groups([client.open() for client in clients])
    sent = [{"username": name, "factor": "push", "device": "auto", "async": "1"} for name, _, _ in users]
    asked = await in_groups(
        [client.call("POST", "/auth/v2/auth", one) for client, one in zip(clients, sent, strict=True)]
    )
    txids = [answer["txid"] for answer in asked]
    # Every page has heard of its push.
    await asyncio.wait_for(asyncio.gather(*(seen.wait() for seen in pages)), 60)
    first = await in_groups(
        [
            client.call("GET", "/auth/v2/auth_status", {"txid": txid})
            for client, txid in zip(clients, txids, strict=True)
        ]
    )
    assert {answer["status"] for answer in first} == {"pushed"}
    held = [
        asyncio.create_task(client.call("GET", "/auth/v2/auth_status", {"txid": txid}))
        for client, txid in zip(clients, txids, strict=True)
    ]
    # All of them wait on the other side: a page and a poll each.
    await until(lambda: len(cloud.service.changes) == 2 * len(users))
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, cloud.restart)
    await asyncio.gather(*held, return_exceptions=True)
    await in_groups([client.open() for client in clients])
    await loop.run_in_executor(None, _decide_all, cloud, users, txids)
    last = await in_groups(
        [
            client.call("GET", "/auth/v2/auth_status", {"txid": txid})
            for client, txid in zip(clients, txids, strict=True)
        ]
    )
    assert [answer["status"] for answer in last] == [
        "allow" if at % 2 else "deny" for at in range(len(users))
    ]
    for client in clients:
        client.close()
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    await until(lambda: len(cloud.service.changes) == 0)


def _decide_all(cloud: Running, users: list[tuple[str, str, str]], txids: list[str]) -> None:
    def decide() -> None:
        for at, ((_, device_id, _), txid) in enumerate(zip(users, txids, strict=True)):
            device = cloud.store.devices.find(device_id)
            assert device is not None
            cloud.service.core.decide([device], txid, Verdict.APPROVE if at % 2 else Verdict.DENY)

    cloud.run(decide)
