"""The administration page: who gets in, what they can change, and what others can't make them change."""

from __future__ import annotations

import re
import time
from typing import Any

import pyotp
import pytest

from authproxy.embedded.cloud.model import Factor, NewUsers, UserPolicy, UserStatus
from authproxy.secret import Secret

from .running import Running
from .test_pages import Browser, ask

PASSWORD = "correct horse battery"


class Admin(Browser):
    def __init__(self, cloud: Running, name: str = "root") -> None:
        super().__init__(cloud)
        self._cloud = cloud
        self.name = name
        otp = cloud.run(cloud.store.administrators.add, name, Secret.of(PASSWORD))
        self._app = pyotp.TOTP(otp.reveal().decode())

    def code(self, steps: int = 0) -> str:
        return str(self._app.at(int(self._cloud.clock()) + 30 * steps))

    def log_in(self, **changes: str) -> None:
        self.post("/admin/login", {"name": self.name, "password": PASSWORD, "code": self.code()} | changes)

    def press(self, page: str, path: str, **form: str) -> str:
        """A form of this page, as it stands there."""
        self.get(page)
        return self.post(path, {"word": self.hidden("word")} | form)


@pytest.fixture
def admin(cloud: Running) -> Admin:
    made = Admin(cloud)
    made.log_in()
    assert (made.status, made.headers["Location"]) == (303, "/admin")
    return made


def test_both_factors_are_needed(cloud: Running) -> None:
    admin = Admin(cloud)
    for changes in (
        {"password": "wrong"},
        {"code": "000000"},
        {"name": "nobody"},
        {"password": ""},
        {"code": ""},
        {"name": "x" * 2000},
    ):
        admin.log_in(**changes)
        assert admin.status == 403, changes
        assert "That is not right" in admin.html
        assert admin.cookie == ""
        cloud.run(cloud.store.database.execute, "UPDATE administrator SET failures = 0")
    assert "Log in" in admin.get("/admin/users")
    admin.log_in()
    assert "alice" not in admin.get("/admin/users")
    assert "New user" in admin.html


def test_a_code_counts_once(cloud: Running, admin: Admin) -> None:
    admin.log_in()
    assert admin.status == 403
    admin.log_in(code=admin.code(1))
    assert admin.status == 303


def test_guessing_ends(cloud: Running) -> None:
    admin = Admin(cloud)
    for _ in range(5):
        admin.log_in(password="wrong")
    admin.log_in()
    assert admin.status == 403
    cloud.clock.ahead = 301
    admin.log_in()
    assert admin.status == 303


def test_sessions_end(cloud: Running, admin: Admin) -> None:
    cookie = admin.headers["Set-Cookie"]
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert attribute in cookie
    cloud.clock.ahead = 1700
    assert "Waiting now" in admin.get("/admin")
    cloud.clock.ahead = 3600
    assert "Log in" in admin.get("/admin")  # half an hour of nothing
    cloud.clock.ahead = 4000
    admin.log_in()
    for hours in range(1, 9):
        cloud.clock.ahead = 4000 + hours * 1700
        admin.get("/admin")
    assert "Waiting now" in admin.html
    kept = admin.cookie
    admin.press("/admin", "/admin/logout")
    admin.cookie = kept
    assert "Log in" in admin.get("/admin")


def test_eight_hours_at_most(cloud: Running, admin: Admin) -> None:
    for step in range(1, 18):
        cloud.clock.ahead = step * 1700
        admin.get("/admin")
    assert "Log in" in admin.html


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, None]
)
def test_other_sites_change_nothing(cloud: Running, admin: Admin, headers: dict[str, str] | None) -> None:
    admin.get("/admin/users")
    word = admin.hidden("word") if headers else "0" * 32
    admin.post("/admin/users/add", {"word": word, "username": "mallory"}, **(headers or {}))
    assert cloud.run(cloud.store.users.named, "mallory") is None
    stranger = Browser(cloud)
    stranger.post("/admin/users/add", {"word": word, "username": "mallory"})
    assert stranger.headers["Location"] == "/admin"
    stranger.post(
        "/admin/login",
        {"name": "root", "password": PASSWORD, "code": admin.code(1)},
        Origin="https://evil.example",
    )
    assert stranger.cookie == ""
    assert cloud.run(cloud.store.users.named, "mallory") is None


def test_a_phones_cookie_opens_nothing(cloud: Running, admin: Admin) -> None:
    _, _, token = cloud.user()
    phone = Browser(cloud, token)
    phone.cookie = f"admin={token.reveal().decode()}"
    assert "Log in" in phone.get("/admin/users")


def test_users(cloud: Running, admin: Admin) -> None:
    admin.press("/admin/users", "/admin/users/add", username="Alice")
    user = cloud.run(cloud.store.users.named, "alice")
    assert user is not None
    page = f"/admin/user/{user.user_id}"
    for name, said in (("alice", "taken"), ("", "name"), ("a\u202eb", "name")):
        admin.press("/admin/users", "/admin/users/add", username=name)
        assert admin.headers["Location"] == f"/admin/users?said={said}"
    admin.press(page, f"{page}/invite")
    link = re.search(r'href="(http[^"]*/enroll/[^"]+)"', admin.html)
    assert link
    assert "Set up a phone for alice" in Browser(cloud).get(link[1].removeprefix(admin.origin))
    admin.press(page, f"{page}/bypass")
    code = re.search(r'class="code">([0-9]{9})', admin.html)
    assert code
    client = cloud.client(cloud.application())
    assert client.auth("passcode", username="alice", passcode=code[1])["result"] == "allow"
    assert code[1] not in admin.get(page)
    admin.press(page, f"{page}/status", status="disabled")
    found = cloud.run(cloud.store.users.named, "alice")
    assert found.status is UserStatus.DISABLED
    admin.press(page, f"{page}/status", status="emperor")
    assert cloud.run(cloud.store.users.named, "alice").status is UserStatus.DISABLED
    admin.press(page, f"{page}/policy", factor_push="1", without_device="deny")
    found = cloud.run(cloud.store.users.named, "alice")
    assert found.policy == UserPolicy(frozenset({Factor.PUSH}), NewUsers.DENY)
    for wrong in ({"without_device": "deny"}, {"factor_push": "1", "without_device": "allow"}):
        admin.press(page, f"{page}/policy", **wrong)
        assert admin.headers["Location"] == "/admin/users?said=stale"
    assert cloud.run(cloud.store.users.named, "alice").policy == found.policy
    admin.press(page, f"{page}/unlock")
    admin.press(page, f"{page}/forget")
    admin.press(page, f"{page}/remove")
    assert cloud.run(cloud.store.users.named, "alice") is None
    admin.press("/admin/users", f"{page}/remove")
    assert admin.headers["Location"] == "/admin/users?said=gone"
    log = admin.get("/admin/log")
    for what in ("user.added", "user.invited", "user.bypass_codes_made", "user.status", "user.remove"):
        assert what in log


def test_devices(cloud: Running, admin: Admin) -> None:
    user, device_id, _ = cloud.user()
    assert "iPhone" in admin.get(f"/admin/user/{user.user_id}")
    admin.press(f"/admin/user/{user.user_id}", f"/admin/device/{device_id}/remove")
    assert cloud.run(cloud.store.devices.find, device_id) is None
    admin.press("/admin/users", f"/admin/device/{device_id}/remove")
    assert admin.headers["Location"] == "/admin/users?said=gone"


def test_applications(cloud: Running, admin: Admin) -> None:
    sent = {"new_users": "deny", "factor_push": "1", "remember_hours": "1.5"}
    html = admin.press("/admin/applications", "/admin/applications/add", name="Wiki", **sent)
    ikey = re.search(r'class="code">(DI[A-Z0-9]{18})<', html)
    skey = re.search(r'class="code">([A-Za-z0-9]{40})<', html)
    assert ikey
    assert skey
    client = cloud.client((ikey[1], skey[1]))
    assert client.check()
    assert client.preauth(username="nobody")["result"] == "deny"
    assert skey[1] not in admin.get("/admin/applications")
    changed = {"new_users": "allow", "factor_sms": "1"}
    admin.press("/admin/applications", f"/admin/application/{ikey[1]}/policy", **changed)
    found = cloud.run(cloud.store.applications.find, ikey[1])
    assert found.policy.new_users is NewUsers.ALLOW
    for wrong in ({"new_users": "x"}, {"new_users": "deny"}, changed | {"remember_hours": "nan"}):
        admin.press("/admin/applications", f"/admin/application/{ikey[1]}/policy", **wrong)
        assert admin.headers["Location"] == "/admin/applications?said=stale"
    admin.press("/admin/applications", f"/admin/application/{ikey[1]}/remove")
    with pytest.raises(RuntimeError, match="integration key"):
        client.check()


def test_what_waits_can_be_denied(cloud: Running, admin: Admin) -> None:
    credentials = cloud.application()
    cloud.user()
    txid = ask(cloud, credentials)
    assert "203.0.113.7" in admin.get("/admin")
    admin.press("/admin", f"/admin/login/{txid}/deny")
    assert cloud.client(credentials).auth_status(txid)["status"] == "deny"
    admin.press("/admin", f"/admin/login/{txid}/deny")
    assert admin.headers["Location"] == "/admin?said=gone"


def test_before_there_is_one(cloud: Running) -> None:
    browser = Browser(cloud)
    assert "authproxy cloud admin add" in browser.get("/admin")
    browser.post("/admin/login", {"name": "", "password": "", "code": ""})
    assert browser.cookie == ""


def test_pages_that_are_not(cloud: Running, admin: Admin) -> None:
    for path in ("/admin/nothing", "/admin/user/x/y/z"):
        admin.get(path)
        assert admin.status == 404
    admin.get("/administrator")
    assert admin.status == 404
    admin.press("/admin", "/admin/nothing")
    assert admin.status == 404


def test_the_loop_goes_on_while_passwords_are_checked(cloud: Running) -> None:
    """Each guess costs tens of milliseconds of a thread, never of the API."""
    admins = [Admin(cloud, f"root{number}") for number in range(4)]
    longest = [0.0]

    async def watch() -> None:
        from twisted.internet.task import deferLater

        last = time.monotonic()
        for _ in range(60):
            await deferLater(cloud.reactor, 0.005)
            longest[0], last = max(longest[0], time.monotonic() - last), time.monotonic()

    import threading

    from twisted.internet.defer import Deferred

    watching: Any = threading.Thread(target=lambda: cloud.run(lambda: Deferred.fromCoroutine(watch())))
    watching.start()
    for admin in admins:
        admin.log_in(password="wrong")
        assert admin.status == 403
    watching.join(30)
    assert longest[0] < 5
