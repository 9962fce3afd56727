"""A world: one journal, a directory, a cloud, the daemon between them, NASes before it, and the two oracles."""

from __future__ import annotations

import contextlib
import copy
import json
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from authproxy.protocols.ldap.dn import MalformedDN, parse_dn
from tests.system.bench.canaries import Canaries, Leak
from tests.system.bench.cloud import Cloud, User
from tests.system.bench.daemon import Daemon, free_port
from tests.system.bench.directory import BASE, Directory, fold
from tests.system.bench.journal import (
    CloudRefused,
    CloudRequest,
    Event,
    Journal,
    PrimaryBind,
    PrimaryRefused,
    RadiusReply,
)
from tests.system.bench.ldap_client import LdapClient
from tests.system.bench.ldap_ear import Ear
from tests.system.bench.ldap_tap import LdapTap, Tls
from tests.system.bench.loop import Loop
from tests.system.bench.nas import Nas
from tests.system.bench.oracles import AuditEvent, Oracle, Section, read_audit
from tests.system.bench.pki import Authority
from tests.system.bench.tap import Tap

CLOUD_HOST = "localhost"
AUDIT_PATIENCE = 3.0  # seconds
Options = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Login:
    """A user of this world, and what they type."""

    user: str
    password: str = field(repr=False)


class World:
    """Build it, change `config`, then `start`. Every secret in it is a canary."""

    live: list[World] = []

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loop = Loop()
        self.journal = Journal()
        self.canaries = Canaries()
        self.authority = Authority(folder / "pki")
        self.cloud = self.new_cloud(CLOUD_HOST)
        self.clouds = {self.cloud.host: self.cloud}
        self.directory = Directory(self.loop, self.journal)
        self.sections: list[Section] = []
        self.ldap_sections: list[Section] = []
        self.secret = self.canaries.new("shared secret of 127.0.0.1")
        self.daemon: Daemon | None = None
        self.daemons: list[Daemon] = []
        self.home = folder / "authproxy"  # what belongs to the daemon
        self.home.mkdir()
        self.admin = free_port()
        self.config: Options = {
            "main": {
                "log_dir": str(self.home / "log"),
                "state_dir": str(self.home / "state"),
                "admin": f"127.0.0.1:{self.admin}",
                "interface": "127.0.0.1",
            }
        }
        # What a test breaks on purpose, and so allows.
        self.expected_refusals = re.compile("(?!)")
        self.expected_failures = re.compile("(?!)")
        self.audit_works = True
        self.orders: list[tuple[float, float]] = []  # when primary-only was on, in monotonic seconds
        self.clock_is_real = True
        self._nodes: list[Daemon] = []
        self._nases: list[Nas] = []
        self._taps: list[Tap | LdapTap] = []
        self._applications: list[LdapClient] = []
        self._checked: object = None
        self._scanned: dict[str, int] = {}
        self._used: set[tuple[str, str]] = set()
        self._passwords: dict[str, bytes] | None = None
        self._audit_begin = self._forgotten = 0
        self._use_directory()
        self.closed = False

    # ---- building

    def new_cloud(self, host: str, **more: Any) -> Cloud:
        """A service with an authority that the sections trust."""
        return Cloud(self.loop, self.journal, self.authority.context(host), host=host, keys={}, **more)

    def _use_directory(self) -> None:
        password = self.canaries.new("the service account's password")
        self.service = self.directory.add("svc-authproxy", password)
        self.config["ad_client"] = {
            "host": "127.0.0.1",
            "port": self.directory.port,
            "transport": "clear",
            "auth_type": "plain",
            "bind_dn": self.service.dn,
            "service_account_password": password,
            "search_dn": BASE,
            "timeout": 5,
        }

    def use_real_directory(self, passwords: dict[str, str], **ad_client: Any) -> None:
        """Instead of the scripted one. `passwords`: the right ones, which the oracles go by."""
        secret = ad_client["service_account_password"]
        for user, password in {"the service account": secret, **passwords}.items():
            self.canaries.keep(f"the password of {user}", password)
        self._passwords = {user: password.encode() for user, password in passwords.items()}
        self.know_service_account(ad_client.get("bind_dn", ""), secret)
        self.config["ad_client"] = ad_client
        for cloud in self.clouds.values():
            cloud.users.update({user: User() for user in passwords})

    def use_radius(self, name: str, port: int | list[int], secret: str, **options: Any) -> None:
        """A `radius_client` section, for the sections that name it."""
        ports = port if isinstance(port, list) else [port]
        self.canaries.keep(f"the secret of {name}", secret)
        self.config[name] = {
            "host": ["127.0.0.1"] * len(ports),
            "port": ports,
            "secret": secret,
            "retry_wait": 1,
            **options,
        }

    def know_passwords(self, passwords: dict[str, str]) -> None:
        """The right ones at a server that keeps no journal; the clouds get the users, too."""
        for user, password in passwords.items():
            self.canaries.keep(f"the password of {user}", password)
        known = {user: password.encode() for user, password in passwords.items()}
        self._passwords = (self._passwords or {}) | known
        for cloud in self.clouds.values():
            cloud.users.update({user: User() for user in passwords})

    def know_service_account(self, name: str, password: str) -> None:
        """As `know_passwords`; no cloud knows this one."""
        self.canaries.keep(f"the password of {name}", password)
        self._passwords = (self._passwords or {}) | {_first_value(name).lower(): password.encode()}

    def add_section(
        self,
        name: str = "vpn",
        *,
        kind: str = "radius_server_auto",
        cloud: Cloud | None = None,
        failmode: str = "secure",
        exempt: tuple[str, ...] = (),
        port: int | None = None,
        **options: Any,
    ) -> Section:
        """A RADIUS section with 127.0.0.1 as its client, an application of its own at its cloud."""
        cloud = cloud or self.cloud
        self.clouds[cloud.host] = cloud
        ikey = "DI" + "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(18))
        skey = cloud.keys[ikey] = self.canaries.new(f"the secret key of {name}", 40)
        section = Section(
            name,
            free_port() if port is None else port,
            cloud.host,
            failmode,
            frozenset(exempt),
            options.get("delimiter", ",").encode(),
            options.get("pw_codec", "utf-8"),
            alone=kind == "radius_server_duo_only" or str(options.get("client")).startswith("duo_only"),
        )
        number = sum(known.startswith(kind) for known in self.config) + 1
        self.config[kind if number == 1 else f"{kind}{number}"] = {
            "name": name,
            "ikey": ikey,
            "skey": skey,
            "api_host": cloud.host,
            "api_port": cloud.port,
            "api_ca_certs_file": str(self.authority.ca),
            "allow_local_api": True,
            "failmode": failmode,
            "port": section.port,
            "clients": [{"name": "nas", "ip": "127.0.0.1", "secret": self.secret}],
            **({"exempt_usernames": list(exempt)} if exempt else {}),
            **options,
        }
        if kind.startswith("radius_server"):
            # Not the second that is usual: a test has many rejects.
            self.options(section).setdefault("reject_delay", 0.1)
        self.sections.append(section)
        return section

    def add_ldap_section(self, name: str, **options: Any) -> Section:
        """An `ldap_server_auto` without TLS, on loopback as everything here; its binds count with B2 like logins."""
        section = self.add_section(name, kind="ldap_server_auto", require_tls=False, **options)
        del self.options(section)["clients"]
        return section

    def options(self, section: Section) -> Options:
        """The section's options in `config`."""
        return next(options for options in self.config.values() if options.get("name") == section.name)

    def add_user(
        self,
        name: str,
        password: str | bytes | None = None,
        *,
        refusal: tuple[int, str] | None = None,
        **cloud_user: Any,
    ) -> Login:
        """Known to the directory, and to every cloud with the same settings. `refusal`: of the right password."""
        if password is None:
            password = self.canaries.new(f"the password of {name}")
        else:
            self.canaries.keep(f"the password of {name}", password)
        self.directory.add(name, password, refusal=refusal)
        for cloud in self.clouds.values():
            cloud.users[name.lower()] = User(**cloud_user)
        return Login(name, password if isinstance(password, str) else password.decode("latin-1"))

    # ---- running

    def write_config(self) -> Path:
        """JSON is YAML, and says without doubt what is text and what is not."""
        path = self.home / "authproxy.yaml"
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.config, indent=1, ensure_ascii=False))
        return path

    def start(
        self, *, config: Path | None = None, wait: bool = True, proven: bool = True, **more: Any
    ) -> Daemon:
        """`proven`: wait until each section's credentials have passed `check`, which a safe one needs to open."""
        if self not in World.live:  # and not before: one that was skipped half built is nobody's to look at
            World.live.append(self)
        config = config or self.write_config()
        self.daemon = Daemon(self.home, config, admin=self.admin, **more)
        self.daemons.append(self.daemon)
        if wait:
            self.daemon.wait_ready()
            if proven:
                self.wait_proven()
        return self.daemon

    def start_node(self, address: str = "127.0.0.2", **main: Any) -> Daemon:
        """Another node, with the same configuration and ports at this address, and a folder of its own."""
        home = self.home / f"node-{address}"
        home.mkdir(exist_ok=True)
        config = copy.deepcopy(self.config)
        admin = free_port()
        config["main"] |= {
            "log_dir": str(home / "log"),
            "state_dir": str(home / "state"),
            "admin": f"127.0.0.1:{admin}",
            "interface": address,
            **main,
        }
        path = home / "authproxy.yaml"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        node = Daemon(home, path, admin=admin)
        self.daemons.append(node)
        self._nodes.append(node)
        node.wait_ready()
        return node

    def wait_proven(self) -> None:
        """Until each application's credentials have passed `check` at its cloud, and that is on the disk."""
        used = {
            (options["ikey"], _text(options["skey"])) for options in self.config.values() if "ikey" in options
        }
        self._used |= used
        wait_for(lambda: len(self._proven()) >= len(self._used), 20)

    def _proven(self) -> list[str]:
        file = self.home / "state" / "proven-credentials.json"
        names: list[str] = json.loads(file.read_bytes())["names"] if file.exists() else []
        return names

    @property
    def running(self) -> Daemon:
        assert self.daemon is not None
        assert self.daemon.running, "the daemon has ended"
        return self.daemon

    def nas(self, section: Section | None = None, *, secret: str | None = None, **more: Any) -> Nas:
        """A client of this section (of the first, if none is named). Closed with the test."""
        section = section or self.sections[0]
        server = (more.pop("address", "127.0.0.1"), section.port)
        nas = Nas(self.journal, server, (secret or self.secret).encode(), **more)
        self._nases.append(nas)
        return nas

    def application(self, section: Section, **more: Any) -> LdapClient:
        """A connection to this LDAP section. Closed with the test."""
        client = LdapClient(self.journal, ("127.0.0.1", section.port), **more)
        self._applications.append(client)
        return client

    def tap(self, section: Section | None = None) -> Tap:
        """A port to send somebody else's RADIUS client to. Closed with the test."""
        section = section or self.sections[0]
        tap = Tap(self.journal, ("127.0.0.1", section.port), self.secret.encode())
        self._taps.append(tap)
        return tap

    def ldap_tap(self, port: int, tls: Tls | None = None, *, at_once: bool = False) -> LdapTap:
        """A port to send somebody else's LDAP client to. Closed with the test."""
        tap = LdapTap(self.loop, self.journal, port, tls, at_once=at_once)
        self._taps.append(tap)
        return tap

    def ear(self, port: int, source: str) -> Ear | None:
        """For a connection to this port, if an LDAP section of this world listens there."""
        if any(port in (section.port, section.ssl_port) for section in self.ldap_sections):
            return Ear(self.journal, ("127.0.0.1", port), source)
        return None

    @property
    def _audit_file(self) -> Path:
        return self.home / "log" / "authevents.log"

    def forget(self, *, pushes: bool = False) -> None:
        """What `check` has judged. `pushes`: those of the time before the last, too, for runs that last hours."""
        self.check()
        for cloud in self.clouds.values() if pushes else ():
            cloud.forget(self._forgotten)
        self._forgotten = len(self.journal)
        self.journal.forget()
        self._audit_begin = self._audit_file.stat().st_size

    def audit(self, **wanted: object) -> list[AuditEvent]:
        """The events of authevents.log with these values."""
        events = read_audit(self._audit_file, whole=self.audit_works, begin=self._audit_begin)
        for node in self._nodes:
            events += read_audit(node.folder / "log" / "authevents.log", whole=self.audit_works)
        return [event for event in events if wanted.items() <= event.items()]

    def wait_audit(self, count: int = 1, timeout: float = 5, **wanted: object) -> list[AuditEvent]:
        """The same, once there are `count` of them."""

        def enough() -> list[AuditEvent]:
            found = self.audit(**wanted)
            return found if len(found) >= count else []

        found: list[AuditEvent] = wait_for(enough, timeout)
        return found

    def binds(self, user: str) -> list[PrimaryBind]:
        """What the directory was asked about this user's password."""
        return self.journal.all(PrimaryBind, lambda bind: bind.user == user)

    def asked(self, user: str, endpoint: str = "auth") -> list[dict[str, str]]:
        """The parameters of what the clouds were asked about this user."""
        name = user.lower()
        requests = self.journal.all(
            CloudRequest, lambda request: request.user == name and request.endpoint == endpoint
        )
        return [request.params for request in requests]

    def log(self) -> str:
        file = self.home / "log" / "authproxy.log"
        return file.read_text() if file.exists() else ""

    def wait_log(self, *wanted: str) -> str:
        """The log, once all of this is in it: lines are on their way to the disk for a moment."""

        def log_with_all() -> str:
            text = self.log() + "".join(daemon.stderr.text for daemon in self.daemons)
            return text if all(one in text for one in wanted) else ""

        text: str = wait_for(log_with_all, AUDIT_PATIENCE)
        return text

    def story(self) -> Iterator[tuple[str, str]]:
        """The end of everything, for whoever reads a failure."""
        if self.daemon is not None:
            yield "stderr", self.daemon.stderr.text[-3000:]
        yield "authproxy.log", self.log()[-6000:]
        yield "authevents.log", "\n".join(map(json.dumps, self.audit()[-10:]))
        yield "journal", "\n".join(map(str, self.journal.all(Event)[-40:]))

    # ---- the oracles

    def settle(self) -> None:
        """After a test: no fault is left, nobody is waited for."""
        for cloud in self.clouds.values():
            cloud.settle()
        self.directory.heal()
        for open_ in (*self._nases, *self._taps, *self._applications):
            open_.close()
        self._nases.clear()
        self._taps.clear()
        self._applications.clear()

    def check(self) -> None:
        """B2, B3, and what the strict fakes had to complain of. Raises AssertionError with every problem.

        Where nothing has happened since the last time nothing is looked at again.
        """
        state = self._extent()
        if state == self._checked:
            return
        problems = [
            *self._let_in_after_all(),
            *map(str, self.leaks()),
            *self._complaints(),
            *self._failures(),
        ]
        assert not problems, "\n".join(problems)
        self._checked = state

    def judge(self) -> None:
        """B2 alone, for whoever wants to know after each step. Raises AssertionError."""
        assert not (wrong := self._let_in_after_all()), "\n".join(wrong)

    def _let_in_after_all(self) -> list[str]:
        """An event may be on its way to the disk still (only fail open's comes before the answer, F8)."""
        deadline = time.monotonic() + AUDIT_PATIENCE
        while (wrong := self._let_in_wrongly()) and time.monotonic() < deadline:
            time.sleep(0.03)
        return wrong

    def _extent(self) -> object:
        """What grows whenever anything happens."""
        sizes = {str(file): file.stat().st_size for file in self.home.rglob("*") if file.is_file()}
        said = sum(len(daemon.stdout) + len(daemon.stderr) for daemon in self.daemons)
        return len(self.journal), sizes, said, self.daemon is not None and self.daemon.running

    def _let_in_wrongly(self) -> list[str]:
        epoch = time.time() - time.monotonic() if self.clock_is_real else None
        oracle = Oracle(
            (*self.sections, *self.ldap_sections),
            self.canonical,
            epoch,
            self.audit_works,
            self._passwords,
            self.orders,
        )
        return oracle.unexplained(self.journal, self.audit())

    def canonical(self, name: str) -> str:
        """The account that this name means; of a stranger, the name itself."""
        if self._passwords is not None:
            name = _first_value(name)
            name = name.rpartition("\\")[2].partition("@")[0]
        return fold(self.directory.user_of(name) or name)

    def _complaints(self) -> Iterator[str]:
        refused: list[CloudRefused | PrimaryRefused] = [
            *self.journal.all(CloudRefused),
            *self.journal.all(PrimaryRefused),
        ]
        for event in refused:
            if not self.expected_refusals.search(event.why):
                yield f"a strict peer turned this away: {event}"

    def _failures(self) -> Iterator[str]:
        """A traceback is a bug (A19)."""
        for daemon in self.daemons:
            file = daemon.folder / "log" / "authproxy.log"
            text = daemon.stderr.text + daemon.stdout.text + (file.read_text() if file.exists() else "")
            at = text.find("Traceback")
            if at >= 0 and not self.expected_failures.search(text):
                yield f"a traceback: {text[max(0, at - 500) : at + 3000]}"

    def leaks(self) -> list[Leak]:
        """What has not been looked at yet of all that the daemon has written and shows."""
        found: list[Leak] = []
        for where, octets in self._seen():
            scanned = self._scanned.get(where, 0)
            begin = max(0, scanned - 200) if scanned <= len(octets) else 0
            self._scanned[where] = len(octets)
            found += self.canaries.find(where, octets[begin:])
        return found

    def _seen(self) -> Iterator[tuple[str, bytes]]:
        for number, daemon in enumerate(self.daemons):
            yield f"stdout {number}", daemon.stdout.octets
            yield f"stderr {number}", daemon.stderr.octets
        for file in sorted(self.home.rglob("*")):
            if file.is_file() and file.suffix not in {".yaml", ".cfg", ".secret"}:
                with contextlib.suppress(OSError):
                    yield str(file.relative_to(self.home)), file.read_bytes()
        replies = self.journal.all(RadiusReply)
        yield "replies on the wire", b"\n".join(reply.octets for reply in replies)
        if self.daemon is not None and self.daemon.running:
            yield from _process(self.daemon.pid)
            for path in ("/livez", "/readyz", "/metrics", "/"):
                self._scanned.pop(path, None)
                with contextlib.suppress(OSError):
                    yield path, self.daemon.get(path).body

    def close(self, *, code: int = 0) -> None:
        """Stop the daemon, which has to end well, and look at everything once more."""
        self.closed = True
        if self in World.live:
            World.live.remove(self)
        try:
            self.settle()
            if self.daemon is not None and self.daemon.running:
                self.check()
                assert self.daemon.stop() == code
            for node in self._nodes:
                assert not node.running or node.stop() == 0
            self.check()
        finally:
            for daemon in self.daemons:
                daemon.kill()
            self.loop.close()


def _first_value(name: str) -> str:
    """`alice` of uid=alice,ou=people: what tests call their users."""
    try:
        return parse_dn(name).rdns[0][0].value.decode()
    except (MalformedDN, IndexError):
        return name


def _text(secret: object) -> str:
    return secret if isinstance(secret, str) else json.dumps(secret)


def _process(pid: int) -> Iterator[tuple[str, bytes]]:
    for name in ("cmdline", "environ"):
        with contextlib.suppress(OSError):
            yield f"/proc/PID/{name}", Path(f"/proc/{pid}/{name}").read_bytes()


def wait_for(ask: Any, timeout: float = 10, every: float = 0.02) -> Any:
    """The first true answer. For what can't be waited for otherwise, such as a file's content."""
    deadline = time.monotonic() + timeout
    while not (answer := ask()):
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(every)
    return answer
