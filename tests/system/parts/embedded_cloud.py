"""`authproxy cloud serve` as a process, its users made by its own commands, and a phone that is a browser."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlencode, urlsplit

from tests.system.parts.process import Process, free_port

Answer = Literal["approve", "deny", "fraud"]


class EmbeddedCloud:
    """`with EmbeddedCloud(folder) as cloud: …`. A later start on the same folder keeps the data and the ports."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._data = folder, folder / "data"
        self.port, self.pages = free_port(), free_port()
        self.process: Process | None = None

    @property
    def ca_file(self) -> Path:
        return self._data / "tls" / "ca.pem"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        listen = ["--listen", f"127.0.0.1:{self.port}", "--pages", f"127.0.0.1:{self.pages}"]
        command = [sys.executable, "-m", "authproxy", "cloud", "serve", "--data", str(self._data), *listen]
        self.process = Process(command, self._folder / "cloud.log")
        self.process.wait_for_port("127.0.0.1", self.port)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def command(self, *words: str) -> Any:
        """`authproxy cloud WORDS --json`, and what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "authproxy", "cloud", *words, "--data", str(self._data), "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def enrolled(self, user: str) -> Phone:
        """A new user, by the link that an administrator sends them."""
        invitation = self.command("user", "add", user, "--invite")["link"]
        phone = Phone(user, self.pages)
        page = phone.get(urlsplit(invitation).path)
        (link,) = set(re.findall(r'href="([^"]*/activate/[^"]*)"', page))
        path = urlsplit(link).path
        phone.get(path)
        phone.post(path, {})
        return phone


@dataclass
class Phone:
    """Somebody's browser on the phone page. `answering` taps on what comes, in a thread."""

    user: str
    pages: int
    cookie: str = field(default="", repr=False)
    answered: list[str] = field(default_factory=list)

    def get(self, path: str) -> str:
        return self._send("GET", path, None, {})

    def post(self, path: str, form: dict[str, str]) -> str:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"http://localhost:{self.pages}",
        }
        return self._send("POST", path, urlencode(form), headers)

    def _send(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> str:
        connection = http.client.HTTPConnection("localhost", self.pages, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers | ({"Cookie": self.cookie} if self.cookie else {}))
            response = connection.getresponse()
            page = response.read().decode()
            assert response.status < 400, page
            if set_cookie := response.headers["Set-Cookie"]:
                self.cookie = set_cookie.partition(";")[0]
        return page

    def tap(self, answer: Answer, timeout: float = 15) -> str:
        """Wait for the next login to approve, and answer it. Its transaction."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            page = self.get("/")
            fields = dict(re.findall(r'name="(word|txid)" value="([^"]*)"', page))
            if "txid" in fields and fields["txid"] not in self.answered:
                self.answered.append(fields["txid"])
                self.post("/decide", {**fields, "verdict": answer})
                return fields["txid"]
            time.sleep(0.05)
        raise AssertionError("no push came")

    @contextlib.contextmanager
    def answering(self, answer: Answer) -> Any:
        """Somebody taps while the test waits for the login's answer."""
        met: list[BaseException] = []

        def tap() -> None:
            try:
                self.tap(answer)
            except BaseException as error:  # noqa: BLE001 - told to the test, which waits elsewhere
                met.append(error)

        thread = threading.Thread(target=tap, daemon=True)
        thread.start()
        yield
        thread.join(20)
        assert not met, met
