"""FreeRADIUS on loopback: as the primary that a section asks, or as a relay in front of authproxy."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.system.bench.mschap import hash_of_hash, old_hash_proof
from tests.system.parts.needs import needs
from tests.system.parts.pki import Files, make_certificate
from tests.system.parts.process import NotStarted, Process, free_port


@dataclass(frozen=True, slots=True)
class Person:
    """`replies`: in the notation of FreeRADIUS's users file. `codes`: asked for behind the password, in turn.

    `old`: a password that may be changed into the one that is right; every MS-CHAP response of theirs is believed.
    """

    password: str
    replies: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    old: str | None = None


_MAIN = """
raddbdir = {folder}
logdir = {folder}
radacctdir = {folder}
run_dir = {folder}
libdir = /usr/lib/freeradius
max_request_time = {patience}
log {{
  destination = stdout
  auth = yes
}}
security {{
  max_attributes = 200
  reject_delay = 0
  status_server = yes
}}
client loopback {{
  ipaddr = 127.0.0.0/8
  secret = "{secret}"
  require_message_authenticator = {requires}
}}
modules {{
  pap {{
  }}
  chap {{
  }}
  mschap {{
    use_mppe = yes
    ntlm_auth = "{folder}/authenticate %{{mschap:User-Name}}"
    passchange {{
      ntlm_auth = "{folder}/change"
      ntlm_auth_username = "username: %{{mschap:User-Name}}"
    }}
  }}
  files {{
    usersfile = {folder}/people
  }}
  attr_filter refusal {{
    filename = {folder}/refusal
    key = "%{{User-Name}}"
  }}
  detail accounting_log {{
    filename = {folder}/accounting.log
  }}
  always reject {{
    rcode = reject
  }}
  always handled {{
    rcode = handled
  }}
  always ok {{
    rcode = ok
  }}
{eap}
}}
{upstream}
server outer {{
  listen {{
    type = auth
    ipaddr = {address}
    port = {port}
  }}
  listen {{
    type = acct
    ipaddr = 127.0.0.1
    port = {accounting_port}
  }}
{radsec}
{policy}
}}
{inner}
"""
_RADSEC = """
  listen {{
    type = auth+acct
    proto = tcp
    ipaddr = 127.0.0.1
    port = {port}
    clients = radsec
    tls {{
      private_key_file = {key}
      certificate_file = {certificate}
      ca_file = {trusted}
      cipher_list = "DEFAULT"
      require_client_cert = yes
      tls_min_version = "1.2"
      tls_max_version = "1.3"
    }}
  }}
"""
_RADSEC_CLIENTS = """
thread pool {
  start_servers = 2
  max_servers = 8
}
clients radsec {
  client radsec {
    ipaddr = 127.0.0.0/8
    proto = tls
    secret = radsec
  }
}
"""
_POLICY = """
  authorize {{
    chap
    mschap
    eap {{
      ok = return
    }}
{codes}
    files
    pap
  }}
  authenticate {{
    Auth-Type PAP {{
      pap
    }}
    Auth-Type CHAP {{
      chap
    }}
    Auth-Type MS-CHAP {{
      mschap
    }}
    eap
  }}
  preacct {{
    ok
  }}
  accounting {{
    accounting_log
    ok
  }}
  post-auth {{
{sign}
    Post-Auth-Type REJECT {{
      refusal
{sign}
    }}
    Post-Auth-Type Challenge {{
{sign}
    }}
  }}
"""
_RELAY = """
  authorize {
    update control {
      Proxy-To-Realm := there
    }
  }
"""
_UPSTREAM = """
proxy server {{
}}
home_server there {{
  type = auth
  ipaddr = 127.0.0.1
  port = {port}
  secret = "{secret}"
  response_window = {patience}
{tls}
}}
home_server_pool there {{
  home_server = there
}}
realm there {{
  auth_pool = there
  nostrip
}}
"""
_UPSTREAM_TLS = """\
  proto = tcp
  tls {{
    private_key_file = {own.key}
    certificate_file = {own.certificate}
    ca_file = {trust}
    cipher_list = "DEFAULT"
    tls_min_version = "1.2"
    tls_max_version = "1.3"
  }}
"""
_EAP = """
  eap {{
    default_eap_type = peap
    tls-config common {{
      private_key_file = {key}
      certificate_file = {certificate}
      ca_file = {authority}
      cipher_list = "DEFAULT"
      tls_min_version = "1.2"
      tls_max_version = "1.2"
    }}
    md5 {{
    }}
    gtc {{
      auth_type = PAP
    }}
    mschapv2 {{
    }}
    ttls {{
      tls = common
      default_eap_type = md5
      virtual_server = inner
      use_tunneled_reply = yes
    }}
    peap {{
      tls = common
      default_eap_type = mschapv2
      virtual_server = inner
      use_tunneled_reply = yes
    }}
  }}
"""
_SIGN = "    update reply {\n      Message-Authenticator := 0x00\n    }"
# Whom the tunnel has let in, to the NAS.
_NAMED = "    update reply {\n      User-Name := &request:User-Name\n    }"
_REFUSAL = """\
DEFAULT
\tEAP-Message =* ANY, State =* ANY, Message-Authenticator =* ANY, Reply-Message =* ANY,
\tMS-CHAP-Error =* ANY, Proxy-State =* ANY
"""


# In the place of Samba's ntlm_auth, without which FreeRADIUS 3.2.1 changes no password (and dies of trying).
_AUTHENTICATE = """\
#!/bin/sh
case $1 in
{known}
  *) exit 1 ;;
esac
"""
_CHANGE = """\
#!/bin/sh
said=No
while read -r line; do
  case $line in
{known}
    .) printf 'Password-Change: %s\\n.\\n' "$said"; said=No ;;
  esac
done
"""


class FreeRadius:
    """`with FreeRadius(folder, secret, people) as server: …`.

    `signs`: Message-Authenticator in every answer (Debian's version puts none into plain ones by itself).
    `names`: User-Name of who is inside EAP's tunnel; otherwise the name outside is repeated.
    `relay_to`: a port and its secret; then it asks there, and adds a Proxy-State; with `relay_tls`, its own
    certificate and the authority of the other's, over TLS. `radsec`: the authority of those who may ask over TLS.
    `patience`: seconds that a relay waits.
    """

    def __init__(
        self,
        folder: Path,
        secret: str,
        people: Mapping[str, Person] | None = None,
        *,
        signs: bool = True,
        names: bool = False,
        requires: bool = False,
        relay_to: tuple[int, str] | None = None,
        relay_tls: tuple[Files, Path] | None = None,
        radsec: Path | None = None,
        port: int | None = None,
        patience: int = 30,
        address: str = "127.0.0.1",
    ) -> None:
        self._program = needs("freeradius", "freeradius")
        self._probe = needs("radclient", "freeradius-utils")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder.resolve()
        self.secret = secret
        self.people = dict(people or {})
        self.port = port or free_port()
        self.address = address
        self.accounting_port = free_port()
        self.radsec_port = free_port()
        self._files = make_certificate(folder / "pki", "radius.example.test", "127.0.0.1")
        self.authority = self._files.authority
        self._names = names
        self._signs, self._requires, self._relay_to = signs, requires, relay_to
        self._patience = patience
        self._relay_tls, self._radsec = relay_tls, radsec
        self.process: Process | None = None

    @property
    def log(self) -> str:
        return (self._folder / "freeradius.log").read_text(errors="replace")

    @property
    def accounting(self) -> str:
        path = self._folder / "accounting.log"
        return path.read_text() if path.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._write()
        self.process = Process(
            (self._program, "-f", "-l", "stdout", "-d", str(self._folder)), self._folder / "freeradius.log"
        )
        until = time.monotonic() + 20
        while not self._answers():
            if time.monotonic() > until:
                raise NotStarted(f"FreeRADIUS does not answer:\n{self.log[-2000:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def _answers(self) -> bool:
        command = [
            self._probe,
            "-r",
            "1",
            "-t",
            "0.5",
            f"{self.address}:{self.port}",
            "status",
            self.secret,
        ]
        ended = subprocess.run(
            command, input="Message-Authenticator = 0x00", text=True, capture_output=True, check=False
        )
        return ended.returncode == 0

    def _write(self) -> None:
        files = self._files
        sign = _SIGN if self._signs else ""
        upstream, inner, policy, eap = "", "", _RELAY, ""
        if self._relay_to is not None:
            own = self._relay_tls
            tls = "" if own is None else _UPSTREAM_TLS.format(own=own[0], trust=own[1])
            upstream = _UPSTREAM.format(
                port=self._relay_to[0], secret=self._relay_to[1], patience=self._patience, tls=tls
            )
        else:
            eap = _EAP.format(key=files.key, certificate=files.certificate, authority=files.authority)
            policy = _POLICY.format(codes=self._codes(), sign=sign)
            inner = f"server inner {{\n{_POLICY.format(codes='', sign=_NAMED if self._names else '')}\n}}"
        (self._folder / "dictionary").touch()
        (self._folder / "people").write_text("\n".join(map(_entry, self.people, self.people.values())))
        (self._folder / "refusal").write_text(_REFUSAL)
        changing = {name: person for name, person in self.people.items() if person.old is not None}
        for script, text, known in (
            ("authenticate", _AUTHENTICATE, map(_key, changing, changing.values())),
            ("change", _CHANGE, map(_change, changing.values())),
        ):
            path = self._folder / script
            path.write_text(text.format(known="\n".join(known)))
            path.chmod(0o700)
        (self._folder / "radiusd.conf").write_text(
            _MAIN.format(
                folder=self._folder,
                secret=self.secret,
                patience=self._patience,
                requires="yes" if self._requires else "no",
                address=self.address,
                port=self.port,
                accounting_port=self.accounting_port,
                eap=eap,
                radsec=self._over_tls(),
                upstream=upstream + (_RADSEC_CLIENTS if self._radsec else ""),
                policy=policy,
                inner=inner,
            )
        )

    def _over_tls(self) -> str:
        if self._radsec is None:
            return ""
        files = self._files
        return _RADSEC.format(
            port=self.radsec_port, key=files.key, certificate=files.certificate, trusted=self._radsec
        )

    def _codes(self) -> str:
        """People who are asked on after the password: State `1` behind it, `2` behind the first code, and so on."""
        return "\n".join(_asked_on(name, person) for name, person in self.people.items() if person.codes)


def _entry(name: str, person: Person) -> str:
    own = [] if person.old is not None else ["MS-CHAP-Use-NTLM-Auth := No"]
    checks = ", ".join((f'Cleartext-Password := "{person.password}"', *own, *person.checks))
    return f"{name} {checks}\n" + (f"\t{', '.join(person.replies)}\n" if person.replies else "")


def _key(name: str, person: Person) -> str:
    return f"  {name}) echo NT_KEY: {hash_of_hash(person.password).hex().upper()} ;;"


def _change(person: Person) -> str:
    assert person.old is not None
    return f'    "old-nt-hash-blob: {old_hash_proof(person.old, person.password).hex()}") said=Yes ;;'


def _asked_on(name: str, person: Person) -> str:
    lines = [f'    if (&User-Name == "{name}" && &User-Password) {{']
    typed = (person.password, *person.codes)
    for step, right in enumerate(typed):
        here = f"&State == 0x{str(step).encode().hex()}" if step else "!&State"
        lines.append(f'      {"els" if step else ""}{"if"} ({here} && &User-Password == "{right}") {{')
        if step + 1 == len(typed):
            lines.append("        update control {\n          Auth-Type := Accept\n        }\n      }")
        else:
            lines.append(
                f'        update reply {{\n          State := "{step + 1}"\n'
                f'          Reply-Message := "Code {step + 1} of your token: "\n          Session-Timeout := 90\n'
                "          Prompt := No-Echo\n        }\n"
                "        update control {\n          Response-Packet-Type := Access-Challenge\n        }\n"
                "        handled\n      }"
            )
    lines.append("      else {\n        reject\n      }\n    }")
    return "\n".join(lines)
