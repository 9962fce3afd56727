"""Files of the existing product, as its documentation has people write them, run unchanged: a login at each section.

What a test has to add to a file stands in `_HERE` and nowhere else: where the service is that plays the cloud.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench.radius_primary import Asked, RadiusPrimary
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_CHALLENGE, ACCESS_REJECT, STATE, codes
from tests.system.bench.world import World
from tests.system.parts.pki import make_certificate

CLASS = 25
pytestmark = pytest.mark.system

_HERE = "api_port={api_port}\nallow_local_api=true\nname={name}\n"
_MAIN = """\
; Comments have lines of their own.
[main]
log_dir={home}/log
log_auth_events=true
http_ca_certs_file={ca}
interface=127.0.0.1
"""
_LDAP = """\
[ad_client]
host=127.0.0.1
port={ldap_port}
auth_type=plain
bind_dn={bind_dn}
service_account_password={bind_password}
search_dn=DC=corp,DC=test
"""
_RADIUS = """\
[radius_client]
host=127.0.0.1
secret={primary_secret}
port={primary_port}
pass_through_all=true
"""
_SERVER = """\
ikey={ikey}
skey={skey}
api_host=localhost
radius_ip_1=127.0.0.1
radius_secret_1={secret}
port={port}
"""
# Per file: what stands behind, then each section with its own lines.
FILES: dict[str, tuple[str, dict[str, str]]] = {
    "ldap": (
        _LDAP,
        {
            "radius_server_auto": "failmode=safe\nclient=ad_client\nfactors=push,phone\nexempt_username_1=backup\n",
            "radius_server_auto2": "failmode=secure\nclient=ad_client\nallow_concat=false\napi_timeout=60\n",
            "radius_server_challenge": "failmode=secure\nclient=ad_client\nprompt_format=console\n",
            "radius_server_concat": "failmode=safe\nclient=ad_client\ndelimiter=;\n",
            "radius_server_eap": "client=ad_client\ncerts={certs}\npkey={pkey}\nfactors=push\n",
        },
    ),
    "radius": (
        _RADIUS,
        {
            "radius_server_auto": "failmode=safe\npass_through_attr_names=NAS-Port-Type,Calling-Station-Id\n",
            "radius_server_challenge": "client=radius_client\nenroll_challenge=true\n",
            "radius_server_concat": "client=radius_client\nfailmode=secure\n",
        },
    ),
    "nobody": (
        "[duo_only_client]\n",
        {
            "radius_server_auto": "client=duo_only_client\nfailmode=secure\n",
            "radius_server_duo_only": "failmode=safe\n",
        },
    ),
}


class Existing(World):
    """A file of FILES, and a daemon that runs it."""

    def __init__(self, folder: Path, which: str) -> None:
        super().__init__(folder)
        self.alice, self.bob = self.add_user("alice"), self.add_user("bob", answer="deny")
        self.passcode = self.canaries.passcode("alice's passcode")
        self.primary = RadiusPrimary(
            self.journal, self._answer, secret=self.canaries.new("the primary's secret")
        )
        behind, sections = FILES[which]
        server = make_certificate(self.home / "pki", "radius.example.test")
        service = self.config["ad_client"]
        values: dict[str, object] = {
            "home": self.home,
            "ca": self.authority.ca,
            "ldap_port": self.directory.port,
            "bind_dn": self.service.dn,
            "bind_password": service["service_account_password"],
            "primary_port": self.primary.port,
            "primary_secret": self.primary.secret,
            "api_port": self.cloud.port,
            "secret": self.secret,
            "certs": server.certificate,
            "pkey": server.key,
        }
        text = (_MAIN + behind).format(**values)
        self.by_heading = {}
        for heading, lines in sections.items():
            client = "duo_only_client" if "duo_only_client" in lines else None
            section = self.add_section(
                heading.replace("_", "-"),
                kind=heading.rstrip("2"),
                failmode="secure" if "secure" in lines else "safe",
                delimiter=";" if "delimiter=;" in lines else ",",
                client=client,
            )
            self.by_heading[heading] = section
            own = self.options(section) | {"name": section.name}
            text += f"[{heading}]\n" + (_SERVER + lines + _HERE).format(**(values | own))
        # So that the daemon is known to be ready and keeps what it has to keep in this test's folder.
        text = text.replace(
            "[main]\n", f"[main]\nadmin=127.0.0.1:{self.admin}\nstate_dir={self.home / 'state'}\n"
        )
        self.file = self.home / "authproxy.cfg"
        self.file.touch(mode=0o600)
        self.file.write_text(text)

    def _answer(self, asked: Asked) -> bytes:
        return asked.reply(2 if asked.password == self.alice.password.encode() else 3, (CLASS, b"staff"))

    def close(self, *, code: int = 0) -> None:
        try:
            super().close(code=code)
        finally:
            self.primary.close()


@pytest.fixture(scope="module", params=FILES)
def existing(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Existing]:
    world = Existing(tmp_path_factory.mktemp("existing"), request.param)
    world.start(config=world.file)
    yield world
    world.close()


def test_each_section_lets_in_and_keeps_out(existing: Existing) -> None:
    alice, wrong = existing.alice, existing.canaries.new("wrong password")
    refused = []
    for heading, section in existing.by_heading.items():
        nas = existing.nas(section)
        user, typed = (existing.bob.user, "push") if section.alone else (alice.user, wrong)
        refused.append((heading, nas, nas.login(user, typed)))
        # One at a time: the right password after it ends the count of wrong ones, and too many would keep alice out.
        nas.send(refused[-1][2])
        nas = existing.nas(section)
        existing.cloud.users["alice"].passcodes = {existing.passcode}
        match heading:
            case "radius_server_challenge":
                asked = nas.ask(alice.user, alice.password)
                assert codes([asked]) == [ACCESS_CHALLENGE], heading
                assert asked is not None
                accepted = nas.ask(alice.user, existing.passcode, (STATE, asked.values(STATE)[0]))
            case "radius_server_concat":
                typed = section.delimiter.decode().join((alice.password, existing.passcode))
                accepted = nas.ask(alice.user, typed)
            case _:
                accepted = nas.ask(alice.user, existing.passcode if section.alone else alice.password)
        assert codes([accepted]) == [ACCESS_ACCEPT], heading
        if heading == "radius_server_auto" and "[radius_client]" in existing.file.read_text():
            assert accepted is not None
            assert accepted.values(CLASS) == [b"staff"]
    for heading, nas, request in refused:
        assert codes([nas.receive(request)]) == [ACCESS_REJECT], heading
