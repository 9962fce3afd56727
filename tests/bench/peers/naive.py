"""The first thing one would write: pyrad, ldap3 and requests, a thread a login, connections kept by each thread.

Run as a program: python naive.py '{"port": …, "ldap_port": …, "https_port": …, "ca": …, "ikey": …, "skey": …}'
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import json
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import ldap3
import pyrad.dictionary
import pyrad.packet
import requests

THREADS = 64
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Settings:
    port: int
    secret: str
    ldap_port: int
    https_port: int
    ca: str
    ikey: str
    skey: str
    admin_dn: str
    admin_password: str
    people_dn: str
    search: bool = True  # find the user's entry first, else compose its name
    calls: int = 3  # 3: preauth, auth with async, auth_status; 2: preauth and an auth that waits

    @classmethod
    def of(cls, text: str) -> Settings:
        return cls(**json.loads(text))


class Directory:
    """A thread's own connections: one for the service account, one that users bind on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        server = ldap3.Server("127.0.0.1", port=settings.ldap_port, get_info=ldap3.NONE)
        self._service = ldap3.Connection(server, settings.admin_dn, settings.admin_password, auto_bind=True)
        self._user = ldap3.Connection(server, settings.admin_dn, settings.admin_password, auto_bind=True)

    def verify(self, user: str, password: str) -> bool:
        dn = self._find(user)
        return bool(dn and password and self._user.rebind(user=dn, password=password))

    def _find(self, user: str) -> str:
        people = self._settings.people_dn
        if not self._settings.search:
            return f"uid={user},{people}"
        wanted = f"(uid={ldap3.utils.conv.escape_filter_chars(user)})"
        self._service.search(people, wanted, attributes=["uid"])
        return self._service.entries[0].entry_dn if len(self._service.entries) == 1 else ""


class Cloud:
    """A thread's own session."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = requests.Session()

    def allows(self, user: str) -> bool:
        if self._call("POST", "/auth/v2/preauth", {"username": user})["result"] != "auth":
            return False
        parameters = {"username": user, "factor": "auto", "device": "auto"}
        if self._settings.calls == 2:
            return bool(self._call("POST", "/auth/v2/auth", parameters)["result"] == "allow")
        txid = self._call("POST", "/auth/v2/auth", {**parameters, "async": "1"})["txid"]
        while (status := self._call("GET", "/auth/v2/auth_status", {"txid": txid}))["result"] == "waiting":
            pass
        return bool(status["result"] == "allow")

    def _call(self, method: str, path: str, parameters: dict[str, str]) -> dict[str, str]:
        query = "" if method == "POST" else f"txid={parameters['txid']}"
        body = json.dumps(parameters, sort_keys=True, separators=(",", ":")) if method == "POST" else ""
        reply = self._session.request(
            method,
            f"https://localhost:{self._settings.https_port}{path}" + (f"?{query}" if query else ""),
            data=body,
            headers={**self._signed(method, path, query, body), "Content-Type": "application/json"},
            verify=self._settings.ca,
            timeout=120,
        )
        reply.raise_for_status()
        response: dict[str, str] = reply.json()["response"]
        return response

    def _signed(self, method: str, path: str, query: str, body: str) -> dict[str, str]:
        date = email.utils.formatdate()
        hashes = [hashlib.sha512(part.encode()).hexdigest() for part in (body, "")]
        canonical = "\n".join([date, method, "localhost", path, query, *hashes])
        signature = hmac.new(self._settings.skey.encode(), canonical.encode(), hashlib.sha512).hexdigest()
        credentials = base64.b64encode(f"{self._settings.ikey}:{signature}".encode()).decode()
        return {"Date": date, "Authorization": f"Basic {credentials}"}


class Server:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secret = settings.secret.encode()
        self._dictionary = pyrad.dictionary.Dictionary(str(_HERE / "dictionary"))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("127.0.0.1", settings.port))
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(THREADS)

    def serve(self) -> None:
        while True:
            datagram, peer = self._socket.recvfrom(4096)
            self._pool.submit(self._answer, datagram, peer)

    def _answer(self, datagram: bytes, peer: tuple[str, int]) -> None:
        request = pyrad.packet.AuthPacket(packet=datagram, dict=self._dictionary, secret=self._secret)
        if not request.verify_message_authenticator():
            return
        user = request["User-Name"][0]
        password = request.PwDecrypt(request["User-Password"][0])
        reply = request.CreateReply()
        accepted = self._directory().verify(user, password) and self._cloud().allows(user)
        reply.code = pyrad.packet.AccessAccept if accepted else pyrad.packet.AccessReject
        reply.add_message_authenticator()
        self._socket.sendto(reply.ReplyPacket(), peer)

    def _directory(self) -> Directory:
        if not hasattr(self._own, "directory"):
            self._own.directory = Directory(self._settings)
        return self._own.directory  # type: ignore[no-any-return]

    def _cloud(self) -> Cloud:
        if not hasattr(self._own, "cloud"):
            self._own.cloud = Cloud(self._settings)
        return self._own.cloud  # type: ignore[no-any-return]


if __name__ == "__main__":
    Server(Settings.of(sys.argv[1])).serve()
