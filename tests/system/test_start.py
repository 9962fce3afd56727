"""Starting: what a wrong configuration says, what the exit codes are, who may read the files."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from tests.system.bench.daemon import Daemon, free_port, run
from tests.system.bench.world import World

pytestmark = pytest.mark.system

WRONG = """\
main:
  log_dir: log
  state_dir: state
  adminn: 127.0.0.1:8912
ad_client:
  host: dc1.corp.example
  transport: telepathy
  bind_dn: CN=svc,DC=corp,DC=example
  service_account_password: {secret}
  search_dn: DC=corp,DC=example
  ldap_filter: "(&(objectClass=user)"
radius_server_auto:
  ikey: DIXXXXXXXXXXXXXXXXXX
  skey: {secret}
  api_host: api.example.com
  fail_mode: secure
  port: 99999
  clients:
    - {{ip: 10.0.0.0/8, secret: {secret}}}
    - {{ip: 10.0.0.0/33, secret: {secret}}}
    - {{ip: 10.0.0.0/8, secret: short}}
radius_server_iframe:
  type: juniper
radius_server_auto2:
  ikey: DIXXXXXXXXXXXXXXXXXX
  skey: {secret}
  api_host: 127.0.0.1
  clients:
    - {{ip: 10.0.0.0/8, secret: {secret}}}
    - {{ip: 10.0.0.0/8, secret: {secret}x}}
"""
# What each of its mistakes is called, with the line it stands on.
MISTAKES = {
    "adminn": 4,
    "transport": 7,
    "ldap_filter": 11,
    "radius_server_auto.fail_mode": 16,
    "radius_server_auto.port": 17,
    "radius_server_auto.clients[1].ip": 20,
    "radius_server_auto.clients[2].secret": 21,
    "radius_server_iframe": 22,
    "radius_server_auto2.api_host": 27,
    "radius_server_auto2.clients[1]": 30,
}


@pytest.fixture
def wrong(world: World) -> Path:
    path = world.home / "authproxy.yaml"
    path.touch(mode=0o600)
    path.write_text(WRONG.format(secret=world.canaries.new("a secret in a wrong file", 40)))
    return path


@pytest.mark.parametrize("verb", ["run", "check"])
def test_a_wrong_configuration_starts_nothing(world: World, wrong: Path, verb: str) -> None:
    """S5, F5: exit 2, and every mistake at once with file and line and what was meant; no secret among them."""
    ended = run(world.home, verb, "-c", str(wrong))
    said = ended.stdout + ended.stderr
    assert ended.returncode == 2, said
    for mistake, line in MISTAKES.items():
        assert mistake in said, said
        assert f"authproxy.yaml:{line}:" in said, (mistake, said)
    assert "did you mean" in said
    assert "failmode" in said
    assert world.canaries.find("output", said.encode()) == []
    assert not (world.home / "log").exists()
    assert not (world.home / "state").exists()


NO_CONFIGURATION = ["", "{", "- a\n- b\n", "main: 7\n", "main:\n\ta: x\n", "\0\x01\x02", "a: &a [*a]\n"]


@pytest.mark.parametrize(("verb", "text"), [("run", "{"), *(("check", text) for text in NO_CONFIGURATION)])
def test_what_is_no_configuration(world: World, verb: str, text: str) -> None:
    path = world.home / "authproxy.yaml"
    path.touch(mode=0o600)
    path.write_text(text)
    ended = run(world.home, verb, "-c", str(path))
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "authproxy.yaml" in ended.stderr + ended.stdout


def test_no_file(world: World) -> None:
    ended = run(world.home, "run", "-c", "nowhere.yaml")
    assert ended.returncode == 2
    assert "nowhere.yaml" in ended.stderr
    ended = run(world.home, "run", "-c", "nowhere.toml")
    assert ended.returncode == 2


def test_check_binds_nothing_and_asks_nobody(world: World) -> None:
    """`check` builds what `run` builds. It may run beside the daemon, or with everybody away."""
    world.add_section()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", world.sections[0].port))
        before = len(world.journal)
        ended = run(world.home, "check", "-c", str(world.write_config()))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(world.journal) == before
    assert world.canaries.find("output", (ended.stdout + ended.stderr).encode()) == []


def test_warnings_of_check(world: World) -> None:
    """What works and may not be meant: safe, clear passwords, exempt users, clients that need not sign."""
    world.add_user("robot")
    world.add_section(failmode="safe", exempt=("robot",), require_message_authenticator="no")
    said = run(world.home, "check", "-c", str(world.write_config())).stdout
    for word in ("failmode", "transport", "robot", "require_message_authenticator"):
        assert word in said


@pytest.mark.long
def test_options_on_both_sides_of_the_verb(world: World) -> None:
    world.add_section()
    config = str(world.write_config())
    assert run(world.home, "-c", config, "check").returncode == 0
    assert run(world.home, "check", "-c", config).returncode == 0
    assert run(world.home, "check", env={"AUTHPROXY_CONFIG": config}).returncode == 0


def test_ready_names_every_address(world: World) -> None:
    """`ready` and the listening addresses, on standard error and in the log; SIGTERM ends with 0."""
    world.add_section()
    world.add_section("other")
    world.start()
    addresses = world.running.wait_ready()
    for port in (world.sections[0].port, world.sections[1].port, world.admin):
        assert ("127.0.0.1", port) in addresses
        world.wait_log(f"127.0.0.1:{port}")
    assert world.running.stop() == 0


@pytest.mark.parametrize("kind", ["radius", "admin"])
def test_a_port_that_is_taken(world: World, kind: str) -> None:
    """Exit 1, with the address and what is wrong with it; it listens nowhere else instead."""
    world.add_section()
    port = world.sections[0].port if kind == "radius" else world.admin
    with socket.socket(
        socket.AF_INET, socket.SOCK_DGRAM if kind == "radius" else socket.SOCK_STREAM
    ) as taken:
        taken.bind(("127.0.0.1", port))
        if kind == "admin":
            taken.listen()
        daemon = world.start(wait=False)
        assert daemon.wait() == 1
    assert str(port) in daemon.stderr.text
    assert "Traceback" not in daemon.stderr.text


def test_an_address_that_is_not_here(world: World) -> None:
    world.add_section(interface="192.0.2.1")
    daemon = world.start(wait=False)
    assert daemon.wait() == 1
    assert "192.0.2.1" in daemon.stderr.text


@pytest.mark.parametrize("folder", ["state_dir", "log_dir"])
def test_a_folder_that_can_not_be_written(world: World, folder: str) -> None:
    """Without somewhere to keep what must last it says so and doesn't start."""
    world.add_section()
    blocked = world.home / "a file"
    blocked.write_text("not a folder")
    world.config["main"][folder] = str(blocked / "below")
    daemon = world.start(wait=False)
    assert daemon.wait() in {1, 2}
    assert "a file" in daemon.stderr.text
    assert "Traceback" not in daemon.stderr.text


def test_files_are_private(world: World) -> None:
    """S4: logs 0640 at most, folders 0750 at most, state for nobody else."""
    world.add_section()
    user = world.add_user("alice")
    world.start()
    assert world.nas().ask(user.user, user.password)
    for path in world.home.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_relative_to(world.home / "log"):
            assert mode & 0o027 == 0, f"{path}: {mode:o}"
        if path.is_relative_to(world.home / "state"):
            assert mode & 0o077 == 0, f"{path}: {mode:o}"


@pytest.mark.long
@pytest.mark.parametrize(
    ("mode", "starts"), [(0o600, True), (0o640, True), (0o644, True), (0o666, False), (0o602, False)]
)
def test_who_may_write_the_configuration(world: World, mode: int, starts: bool) -> None:
    """S4: one that others can write is refused, one that others can read is warned of."""
    world.add_section()
    config = world.write_config()
    config.chmod(mode)
    ended = run(world.home, "check", "-c", str(config))
    said = ended.stdout + ended.stderr
    assert (ended.returncode == 0) == starts, said
    if mode & 0o007:
        assert "authproxy.yaml" in said


def test_secrets_from_files_and_the_environment(world: World) -> None:
    """S3: the values are used and shown nowhere."""
    section = world.add_section()
    user = world.add_user("alice")
    options = world.options(section)
    for name, value in (("skey.secret", options["skey"]), ("nas.secret", world.secret)):
        (world.home / name).touch(mode=0o600)
        (world.home / name).write_text(value + "\n")
    options["skey"] = {"file": "skey.secret"}
    options["clients"][0]["secret"] = {"file": str(world.home / "nas.secret")}
    world.start()
    assert world.nas().ask(user.user, user.password)


def test_proxy_variables_of_the_environment_are_ignored(world: World) -> None:
    """T7: nobody reroutes the cloud from outside the configuration."""
    world.add_section()
    user = world.add_user("alice")
    nowhere = f"http://127.0.0.1:{free_port()}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    env = {name: nowhere for upper in names for name in (upper, upper.lower())}
    world.start(env=env)
    reply = world.nas().ask(user.user, user.password)
    assert reply is not None
    assert reply.code == 2


def test_a_second_daemon_on_the_same_ports(world: World) -> None:
    world.add_section()
    world.start()
    second = Daemon(world.home, world.home / "authproxy.yaml")
    assert second.wait() == 1
    assert world.running.running


def test_the_four_lines_of_an_existing_file(world: World) -> None:
    """A `.cfg` as administrators have it runs as it is, with its defaults; `check` says what is risky."""
    section = world.add_section(failmode="safe")
    user = world.add_user("alice")
    options = world.options(section)
    config = world.home / "authproxy.cfg"
    config.touch(mode=0o600)
    config.write_text(
        f"""; a comment
[main]
log_dir={world.home / "log"}
state_dir={world.home / "state"}
log_auth_events=true
interface=127.0.0.1
admin=127.0.0.1:{world.admin}

[ad_client]
host=127.0.0.1
port={world.directory.port}
auth_type=plain
bind_dn={world.service.dn}
service_account_password={world.config["ad_client"]["service_account_password"]}
search_dn=DC=corp,DC=test

[radius_server_auto]
name={section.name}
ikey={options["ikey"]}
skey={options["skey"]}
api_host=localhost
api_port={world.cloud.port}
api_ca_certs_file={world.authority.ca}
allow_local_api=true
radius_ip_1=127.0.0.1
radius_secret_1={world.secret}
port={section.port}
"""
    )
    checked = run(world.home, "check", "-c", str(config))
    assert checked.returncode == 0, checked.stderr
    assert "failmode" in checked.stdout
    world.start(config=config)
    reply = world.nas().ask(user.user, user.password)
    assert reply is not None
    assert reply.code == 2


def test_help_and_version(world: World) -> None:
    assert run(world.home, "--version").returncode == 0
    for words in (("--help",), ("run", "--help"), ("check", "--help")):
        shown = run(world.home, *words)
        assert shown.returncode == 0
        assert shown.stdout.isprintable() or "\n" in shown.stdout
    assert run(world.home, "fly").returncode == 2
