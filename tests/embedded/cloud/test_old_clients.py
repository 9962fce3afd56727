"""Debian's login_duo and pam_duo, as they are: the old API only, signed without a date."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from authproxy.embedded.cloud.model import NewUsers, Policy, UserStatus
from authproxy.embedded.cloud.outcomes import Verdict
from tests.system.parts.names import Names
from tests.system.parts.needs import needs, needs_library

from .running import Running
from .test_api import later

pytestmark = pytest.mark.system
ME = pwd.getpwuid(os.geteuid()).pw_name
# Ready to run: what it needs is there.
Program = Callable[[], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def old(reactor_thread: Any, tmp_path: Path) -> Iterator[Running]:
    running = Running(reactor_thread, tmp_path / "cloud", legacy=True)
    yield running
    running.stop()
    assert running.log.bugs == []


def conf(old: Running, folder: Path, credentials: tuple[str, str], **more: str) -> Path:
    """What both read. It has to be this user's and nobody else's to read."""
    ikey, skey = credentials
    lines = {
        "ikey": ikey, "skey": skey, "host": f"localhost:{old.port}", "cafile": str(old.files.authority),
        "failmode": "secure", "pushinfo": "yes", "autopush": "no", "prompts": "1", "https_timeout": "20",
    } | more  # fmt: skip
    path = folder / "duo.conf"
    path.write_text("[duo]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items()))
    path.chmod(0o600)
    return path


def environment(folder: Path, *libraries: Path) -> dict[str, str]:
    """These resolve localhost by the C library, which in a bare chroot has no /etc/hosts to read it from."""
    names = Names(folder)
    names.set(localhost="127.0.0.1")
    return os.environ | names.env | {"LD_PRELOAD": ":".join((names.env["LD_PRELOAD"], *map(str, libraries)))}


def login_duo(conf: Path) -> Program:
    """Without a terminal: it takes the first factor there is by itself."""
    program = needs("login_duo", "login-duo")
    command = [program, "-d", "-c", str(conf), "-h", "10.9.8.7", "/bin/echo", "GRANTED"]
    env = environment(conf.parent)
    return lambda: subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def pam_duo(conf: Path, typed: str = "") -> Program:
    """pamtester with a PAM service of its own (pam_wrapper), answering the menu with `typed`."""
    services = conf.parent / "pam.d"
    services.mkdir(exist_ok=True)
    module = needs_library("security/pam_duo.so", "libpam-duo")
    (services / "duo").write_text(f"auth required {module} conf={conf}\n")
    wrapper = {"PAM_WRAPPER": "1", "PAM_WRAPPER_SERVICE_DIR": str(services)}
    preloaded = environment(conf.parent, needs_library("libpam_wrapper.so", "libpam-wrapper"))
    command = [needs("pamtester", "pamtester"), "-I", "rhost=10.9.8.7", "duo", ME, "authenticate"]
    return lambda: subprocess.run(
        command,
        input=f"{typed}\n", env=preloaded | wrapper, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


VERDICTS = [(Verdict.APPROVE, True), (Verdict.DENY, False), (Verdict.FRAUD, False)]


@pytest.mark.parametrize(("verdict", "granted"), VERDICTS)
def test_login_duo(old: Running, tmp_path: Path, verdict: Verdict, granted: bool) -> None:
    _, device_id, _ = old.user(ME)
    file = conf(old, tmp_path, old.application(), autopush="yes")
    run = later(login_duo(file))
    old.decide(device_id, verdict)
    done = run()
    assert ("GRANTED" in done.stdout) is granted, done.stderr


def test_login_duo_fails_closed_with_a_wrong_key(old: Running, tmp_path: Path) -> None:
    ikey, _ = old.application()
    done = login_duo(conf(old, tmp_path, (ikey, "0" * 40)))()
    assert "GRANTED" not in done.stdout


@pytest.mark.parametrize(("verdict", "granted"), VERDICTS)
def test_pam_duo_with_a_push(old: Running, tmp_path: Path, verdict: Verdict, granted: bool) -> None:
    _, device_id, _ = old.user(ME)
    file = conf(old, tmp_path, old.application())
    run = later(pam_duo(file, "1"))
    (told,) = waiting(old, device_id, verdict)
    done = run()
    assert "1. Push a login request to iPhone" in done.stderr
    assert (done.returncode == 0) is granted, done.stdout + done.stderr
    assert told["ipaddr"] == "10.9.8.7"


def waiting(old: Running, device_id: str, verdict: Verdict) -> list[Any]:
    """What the phone was told; then it answers."""
    old.decide(device_id, verdict)
    lines = old.run(old.store.logins.recent, 5)
    return [line.login.details for line in lines]


def test_pam_duo_with_a_passcode(old: Running, tmp_path: Path) -> None:
    _, device_id, _ = old.user(ME)
    file = conf(old, tmp_path, old.application())
    code = old.passcode(device_id)
    assert pam_duo(file, "000000")().returncode != 0
    assert pam_duo(file, code)().returncode == 0
    # The same again is a code that somebody watched.
    assert pam_duo(file, code)().returncode != 0


@pytest.mark.parametrize(
    ("status", "new_users", "said", "granted"),
    [
        (UserStatus.BYPASS, NewUsers.ENROLL, "", True),
        (UserStatus.DISABLED, NewUsers.ALLOW, "disabled", False),
        (UserStatus.ACTIVE, NewUsers.ENROLL, "/enroll/", False),
        (UserStatus.ACTIVE, NewUsers.DENY, "not enrolled", False),
        (UserStatus.ACTIVE, NewUsers.ALLOW, "", True),
    ],
)
def test_pam_duo_without_a_phone(
    old: Running, tmp_path: Path, status: UserStatus, new_users: NewUsers, said: str, granted: bool
) -> None:
    user = old.run(old.store.users.add, ME)
    old.run(old.store.users.set_status, user.user_id, status)
    file = conf(old, tmp_path, old.application(policy=Policy(new_users=new_users)))
    done = pam_duo(file)()
    assert said in done.stdout
    assert (done.returncode == 0) is granted, done.stdout + done.stderr


def test_pam_duo_is_refused_without_the_switch(cloud: Running, tmp_path: Path) -> None:
    _, device_id, _ = cloud.user(ME)
    file = conf(cloud, tmp_path, cloud.application())
    assert pam_duo(file, cloud.passcode(device_id))().returncode != 0
    # It never came as far as a question.
    assert cloud.run(cloud.store.logins.recent, 5) == []
