"""Redis on loopback: what nodes share, with TLS and a user of their own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.system.bench.pki import Authority
from tests.system.parts.needs import needs
from tests.system.parts.process import Process, free_port

NAME = "store.test"

# What docs/nodes.md gives the nodes' user, and nothing else.
COMMANDS = (
    "+ping +select +eval +evalsha +time +get +set +del +exists +pexpire "
    "+sadd +smembers +rpush +lrange +zadd +zrem +zcard +zrangebyscore +zremrangebyscore"
)
# Every name and value in it, as whoever owns the server reads them.
_ALL = """
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  all[#all + 1] = key
  local kind = redis.call('TYPE', key)['ok']
  local held = {}
  if kind == 'string' then held = {redis.call('GET', key)}
  elseif kind == 'set' then held = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then held = redis.call('ZRANGE', key, 0, -1) end
  for _, one in ipairs(held) do all[#all + 1] = one end
end
return all
"""


@dataclass
class Redis:
    """`password`: of the nodes' user. Its owner is another one."""

    folder: Path
    authority: Authority
    password: str = field(repr=False)
    port: int = field(default_factory=free_port)
    process: Process | None = None

    def start(self) -> None:
        """Empty, as after a crash: nothing of it is on the disk."""
        program = needs("redis-server", "redis-server")
        self.folder.mkdir(exist_ok=True)
        self.authority.context(NAME)
        certificate = self.authority.folder / f"{NAME}.pem"
        config = self.folder / "redis.conf"
        config.write_text(
            f"bind 127.0.0.1\nport 0\ntls-port {self.port}\ntls-auth-clients no\nsave ''\nappendonly no\n"
            f"tls-cert-file {certificate}\ntls-key-file {certificate}\ntls-ca-cert-file {self.authority.ca}\n"
            f"dir {self.folder}\nuser default off\nuser owner on >owner ~* +@all\n"
            f"user nodes on >{self.password} ~authproxy:* -@all {COMMANDS}\n"
        )
        self.process = Process([program, str(config)], self.folder / "redis.log")
        self.process.wait_for_port("127.0.0.1", self.port)

    def options(self, **more: Any) -> dict[str, Any]:
        """A `shared_state` section."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "ssl_ca_certs_file": str(self.authority.ca),
            "ssl_server_name": NAME,
            "username": "nodes",
            "password": self.password,
            **more,
        }

    def content(self) -> bytes:
        """All that is in it."""
        return self.own("EVAL", _ALL, "0")

    def own(self, *command: str) -> bytes:
        """As its owner: what it answers."""
        program = needs("redis-cli", "redis-tools")
        done = subprocess.run(
            [
                *(program, "-h", "127.0.0.1", "-p", str(self.port), "--user", "owner", "--pass", "owner"),
                *("--no-auth-warning", "--raw", "--tls", "--sni", NAME, "--cacert", str(self.authority.ca)),
                *command,
            ],
            capture_output=True,
            check=True,
            timeout=10,
        )
        return done.stdout

    def stop(self) -> None:
        """At once."""
        if self.process is not None:
            self.process.kill()
            self.process = None
