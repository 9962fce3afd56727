"""A bad network between a NAS and the daemon: loses, repeats, reorders and delays datagrams, by a seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.system.bench.loop import Loop

Address = tuple[str, int]
Deliver = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Bad:
    """Chances a datagram, each way. `late`: seconds by which one is reordered, or its second follows it, at most."""

    drop: float = 0.0
    twice: float = 0.0
    reorder: float = 0.0
    late: float = 0.03


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._received(data, addr[:2])


class Relay:
    """A port before another. Each client has a socket of its own towards the daemon, so that ports stay different.

    `counts`: what became of datagrams; `passed`: those that reached the daemon.
    """

    def __init__(self, loop: Loop, target: Address, bad: Bad, seed: int) -> None:
        self.bad, self.counts = bad, Counter[str]()
        self.passed: set[bytes] = set()
        self._loop, self._target = loop, target
        self._random = random.Random(seed)
        self._clients: dict[Address, asyncio.Task[asyncio.DatagramTransport]] = {}
        self._transport = loop.call(self._open(self._from_client, local_addr=("127.0.0.1", 0)))
        self.address: Address = self._transport.get_extra_info("sockname")[:2]

    def close(self) -> None:
        async def close() -> None:
            self._transport.close()
            for client in self._clients.values():
                (await client).close()

        self._loop.call(close())

    async def _open(
        self, received: Callable[[bytes, Address], None], **how: Address
    ) -> asyncio.DatagramTransport:
        running = asyncio.get_running_loop()
        transport, _ = await running.create_datagram_endpoint(lambda: _Socket(received), **how)  # type: ignore[arg-type]
        return transport

    def _from_client(self, data: bytes, client: Address) -> None:
        if client not in self._clients:

            def back(reply: bytes, _: Address) -> None:
                self._carry(reply, "out", lambda octets: self._transport.sendto(octets, client))

            opening = self._open(back, remote_addr=self._target)
            self._clients[client] = asyncio.ensure_future(opening)
        self._clients[client].add_done_callback(
            lambda opened: self._carry(data, "in", self._to(opened.result()))
        )

    def _to(self, transport: asyncio.DatagramTransport) -> Deliver:
        def deliver(octets: bytes) -> None:
            self.passed.add(octets)
            transport.sendto(octets)

        return deliver

    def _carry(self, octets: bytes, way: str, deliver: Deliver) -> None:
        running = asyncio.get_running_loop()
        if self._random.random() < self.bad.drop:
            self.counts[f"{way} lost"] += 1
            return
        self.counts[way] += 1
        if self._random.random() < self.bad.reorder:
            self.counts[f"{way} late"] += 1
            running.call_later(self.bad.late, deliver, octets)
        else:
            deliver(octets)
        if self._random.random() < self.bad.twice:
            self.counts[f"{way} twice"] += 1
            running.call_later(self.bad.late * self._random.random(), deliver, octets)
