"""The pages without scripts: plain forms, plain answers; and everything that another site could try."""

from __future__ import annotations

import http.client
import re
import string
from typing import Any
from urllib.parse import urlencode

import pytest

from authproxy.embedded.cloud.links import Links
from authproxy.embedded.cloud.pages.me import SAID
from authproxy.secret import Secret

from .running import Running


class Browser:
    """Keeps one cookie, follows nothing."""

    def __init__(self, cloud: Running, token: Secret | None = None, *, secure: bool = False) -> None:
        self._connection: http.client.HTTPConnection = (
            cloud.https() if secure else http.client.HTTPConnection("localhost", cloud.pages, timeout=10)
        )
        self.origin = f"https://localhost:{cloud.port}" if secure else f"http://localhost:{cloud.pages}"
        self.cookie = "" if token is None else f"phone={token.reveal().decode()}"
        self.status = 0
        self.headers: Any = None
        self.html = ""

    def get(self, path: str, **headers: str) -> str:
        return self._send("GET", path, None, headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> str:
        told = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin} | headers
        return self._send("POST", path, urlencode(form), told)

    def _send(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> str:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            told["Cookie"] = self.cookie
        self._connection.request(method, path, body, told)
        response = self._connection.getresponse()
        self.status, self.headers, self.html = response.status, response.headers, response.read().decode()
        if set_cookie := response.headers["Set-Cookie"]:
            self.cookie = set_cookie.split(";")[0]
        return self.html

    def hidden(self, name: str) -> str:
        found = re.search(f'name="{name}" value="([^"]*)"', self.html)
        assert found, name
        return found[1]


def ask(cloud: Running, credentials: tuple[str, str], **more: Any) -> str:
    client = cloud.client(credentials)
    sent = {"username": "alice", "device": "auto", "async_txn": True, "ipaddr": "203.0.113.7"} | more
    txid: str = client.auth("push", **sent)["txid"]
    return txid


def test_a_whole_enrolment_and_an_approval(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    url = client.preauth(username="alice")["enroll_portal_url"]
    computer, phone = Browser(cloud), Browser(cloud)
    computer.get(url.removeprefix(computer.origin))
    assert "Set up a phone for alice" in computer.html
    (link,) = set(re.findall(r'href="(/activate/[^"]*)"', computer.html))
    phone.get(link)
    assert "alice" in phone.html
    assert cloud.run(cloud.store.users.named, "alice") is None  # looking changes nothing
    phone.post(link, {})
    assert (phone.status, phone.headers["Location"]) == (303, "/")
    phone.get("/")
    assert "Nothing to approve" in phone.html
    txid = client.auth("push", username="alice", device="auto", async_txn=True, ipaddr="203.0.113.7")["txid"]
    phone.get("/")
    assert "203.0.113.7" in phone.html
    phone.post("/decide", {"word": phone.hidden("word"), "txid": phone.hidden("txid"), "verdict": "approve"})
    assert phone.headers["Location"] == "/?said=approved"
    assert client.auth_status(txid)["success"] is True
    phone.get("/?said=approved")
    assert SAID["approved"][0] in phone.html
    # The link is used up, for both.
    for path in (link.removeprefix(phone.origin), url.removeprefix(phone.origin)):
        assert "This link was used" in Browser(cloud).get(path)
    late = Browser(cloud)
    late.post(link.removeprefix(late.origin), {})
    assert late.status == 410
    assert late.cookie == ""


@pytest.mark.parametrize(("verdict", "status"), [("deny", "deny"), ("fraud", "fraud")])
def test_no(cloud: Running, verdict: str, status: str) -> None:
    credentials = cloud.application()
    _, _, token = cloud.user()
    phone = Browser(cloud, token)
    txid = ask(cloud, credentials)
    phone.get("/")
    phone.post("/decide", {"word": phone.hidden("word"), "txid": txid, "verdict": verdict})
    assert cloud.client(credentials).auth_status(txid)["status"] == status
    events = cloud.run(cloud.store.events.recent, 5)
    assert any(event.what == "login.reported_as_fraud" for event in events) is (verdict == "fraud")


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({"word": ""}, {}),
        ({"word": "0" * 32}, {}),
        ({}, {"Origin": "https://evil.example"}),
        ({}, {"Origin": "null"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "same-site"}),
        ({}, {"Content-Type": "text/plain"}),
        ({"verdict": "sure"}, {}),
        ({"verdict": ""}, {}),
    ],
)
def test_another_site_decides_nothing(
    cloud: Running, change: dict[str, str], headers: dict[str, str]
) -> None:
    credentials = cloud.application()
    _, _, token = cloud.user()
    phone = Browser(cloud, token)
    txid = ask(cloud, credentials)
    phone.get("/")
    form = {"word": phone.hidden("word"), "txid": txid, "verdict": "approve"} | change
    phone.post("/decide", form, **headers)
    assert phone.headers["Location"] == "/?said=stale"
    assert cloud.client(credentials).auth_status(txid)["waiting"]


def test_another_user_decides_nothing(cloud: Running) -> None:
    credentials = cloud.application()
    cloud.user()
    _, _, stranger = cloud.user("mallory")
    txid = ask(cloud, credentials)
    for token in (stranger, Secret(b"x" * 43), None):
        phone = Browser(cloud, token)
        phone.get("/")
        word = phone.hidden("word") if 'name="word"' in phone.html else ""
        phone.post("/decide", {"word": word, "txid": txid, "verdict": "approve"})
        assert phone.headers["Location"] in ("/?said=late", "/?said=stale")
    assert cloud.client(credentials).auth_status(txid)["waiting"]


def test_too_late(cloud: Running) -> None:
    credentials = cloud.application()
    _, _, token = cloud.user()
    txid = ask(cloud, credentials)
    phone = Browser(cloud, token)
    phone.get("/")
    cloud.clock.ahead = 61
    phone.post("/decide", {"word": phone.hidden("word"), "txid": txid, "verdict": "approve"})
    assert phone.headers["Location"] == "/?said=late"
    assert cloud.client(credentials).auth_status(txid)["status"] == "timeout"


def test_headers(cloud: Running) -> None:
    _, _, token = cloud.user()
    phone = Browser(cloud, token)
    for path in ("/", "/passcodes", "/static/phone.js", "/enroll/nothing"):
        phone.get(path)
        policy = phone.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert phone.headers["X-Content-Type-Options"] == "nosniff"
        assert re.search(r"<script(?! src)|<style|style=|\bon\w+=", phone.html) is None or path.endswith(
            ".js"
        )
    phone.get("/")
    assert phone.headers["Cache-Control"] == "no-store"


def test_cookies_are_bound_to_their_host(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    for secure in (True, False):
        told = client.enroll(f"user{secure}")
        browser = Browser(cloud, secure=secure)
        browser.post(f"/activate/{told['activation_code'].removeprefix('duo://')}", {})
        cookie = browser.headers["Set-Cookie"]
        assert cookie.startswith("__Host-phone=" if secure else "phone=")
        assert ("; Secure" in cookie) is secure
        for attribute in ("HttpOnly", "SameSite=Lax", "Path=/"):
            assert attribute in cookie
        assert "Nothing to approve" in browser.get("/")


def test_one_browser_may_be_the_phone_of_several(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    browser = Browser(cloud)
    for name in ("alice", "bob"):
        code = client.enroll(name)["activation_code"].removeprefix("duo://")
        browser.post(f"/activate/{code}", {})
    client.auth("push", username="alice", device="auto", async_txn=True)
    client.auth("push", username="bob", device="auto", async_txn=True)
    html = browser.get("/")
    assert html.count("Are you logging in?") == 2
    browser.post("/forget", {"word": browser.hidden("word")})
    assert "Max-Age=0" in browser.headers["Set-Cookie"]
    assert client.preauth(username="alice")["devices"][0]["capabilities"] == ["mobile_otp"]


def test_activation_is_not_for_other_sites(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    code = client.enroll("alice")["activation_code"].removeprefix("duo://")
    browser = Browser(cloud)
    browser.post(f"/activate/{code}", {}, Origin="https://evil.example")
    assert browser.cookie == ""
    assert browser.headers["Location"] == f"/activate/{code}"


def test_other_hosts_get_nothing(cloud: Running) -> None:
    _, _, token = cloud.user()
    phone = Browser(cloud, token)
    phone.get("/", Host="rebound.example")
    assert phone.status == 421
    assert "alice" not in phone.html
    phone.get("/", Host=f"127.0.0.1:{cloud.pages}")
    assert phone.status == 200


def test_passcodes_are_shown_and_work(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    _, _, token = cloud.user()
    phone = Browser(cloud, token)
    for result in ("allow", "allow"):  # the second is the next one: the page shows none that was used
        found = re.search(r'class="code big">([0-9 ]+)<', phone.get("/passcodes"))
        assert found
        told = client.auth("passcode", username="alice", passcode=found[1].replace(" ", ""))
        assert told["result"] == result
    assert "Used just now" in phone.get("/passcodes")
    assert Browser(cloud).get("/passcodes") == ""


def test_an_authenticator_app(cloud: Running) -> None:
    import pyotp

    client = cloud.client(cloud.application())
    _, _, token = cloud.user()
    phone = Browser(cloud, token)
    phone.get("/authenticator")
    form = {"word": phone.hidden("word"), "user_id": phone.hidden("user_id")}
    phone.post("/authenticator", form)
    phone.get("/authenticator")
    secret = re.search(r"secret=([A-Z2-7]+)", phone.html)
    assert secret
    app = pyotp.TOTP(secret[1])
    # Before it is confirmed, it logs nobody in.
    assert client.auth("passcode", username="alice", passcode=app.now())["result"] == "deny"
    phone.post("/authenticator/confirm", form | {"code": "000000"})
    assert phone.headers["Location"] == "/authenticator?said=code"
    phone.post("/authenticator/confirm", form | {"code": app.now()})
    assert phone.headers["Location"] == "/?said=added"
    assert secret[1] not in phone.get("/authenticator")
    assert client.auth("passcode", username="alice", passcode=app.now())["result"] == "deny"  # used up
    cloud.clock.ahead = 30
    import time

    assert (
        client.auth("passcode", username="alice", passcode=app.at(int(time.time() + 30)))["result"] == "allow"
    )
    phone.post("/authenticator", form | {"user_id": "DUXXXXXXXXXXXXXXXXXX"})
    assert phone.headers["Location"] == "/authenticator?said=stale"


def test_live_events(cloud: Running) -> None:
    credentials = cloud.application()
    _, _, token = cloud.user()
    connection = http.client.HTTPConnection("localhost", cloud.pages, timeout=10)
    connection.request("GET", "/events", headers={"Cookie": f"phone={token.reveal().decode()}"})
    stream = connection.getresponse()
    assert stream.headers["Content-Type"] == "text/event-stream"

    def event() -> bytes:
        lines = b""
        while not lines.endswith(b"\n\n"):
            lines += stream.readline()
        return lines

    assert b"data: begin" in event()
    ask(cloud, credentials)
    assert b"data: now" in event()
    connection.close()
    idle = Browser(cloud)
    idle.get("/events")
    assert idle.status == 204


def test_a_phone_call_on_the_page(cloud: Running) -> None:
    client = cloud.client(cloud.application())
    _, _, token = cloud.user(number="+49 151 2345678")
    phone = Browser(cloud, token)
    txid = client.auth("phone", username="alice", device="auto", async_txn=True)["txid"]
    phone.get("/")
    assert "Phone call" in phone.html
    form = {"word": phone.hidden("word"), "txid": txid}
    phone.post("/decide", form | {"verdict": "answer"})
    assert client.auth_status(txid)["status"] == "answered"
    assert "Press a key" in phone.get("/")
    phone.post("/decide", form | {"verdict": "approve"})
    assert client.auth_status(txid)["success"] is True
    client.auth("sms", username="alice", device="auto")
    assert "Passcodes: 1" in phone.get("/")


@pytest.mark.parametrize(
    "code", ["", "x", "~", "~AAAA", "~" + "A" * 60, "%7E%00", "a" * 500, "~****", "..%2f..%2fetc"]
)
def test_codes_that_are_none(cloud: Running, code: str) -> None:
    browser = Browser(cloud)
    for path in (f"/activate/{code}", f"/enroll/{code}", f"/frame/qr?value={code}"):
        browser.get(path)
        assert browser.status == 404
    browser.post(f"/activate/{code}", {})
    assert browser.status == 404
    assert cloud.run(cloud.store.users.list) == []


def test_a_signed_link_ends_and_cannot_be_changed(cloud: Running) -> None:
    code = cloud.run(cloud.service.enrolment.sign, "alice")
    octets = code.reveal()
    changed = [
        octets[:at] + (b"B" if octets[at : at + 1] != b"B" else b"C") + octets[at + 1 :]
        for at in range(1, len(octets))
    ]
    # The last letter of Base64 has bits that mean nothing: another spelling must not be another link.
    letters = (string.ascii_letters + string.digits + "-_=").encode()
    changed += [octets[:-1] + bytes([letter]) for letter in letters if letter != octets[-1]]
    for forged in (*changed, octets + b"=", octets + b"A"):
        assert cloud.run(cloud.service.enrolment.read, Secret(forged)) is None
    assert cloud.run(cloud.service.enrolment.read, code) is not None
    cloud.clock.ahead = 3601
    assert cloud.run(cloud.service.enrolment.read, code) is None


def test_a_signed_link_ends_with_the_first_device(cloud: Running) -> None:
    code = cloud.run(cloud.service.enrolment.sign, "alice")
    assert cloud.run(cloud.service.enrolment.read, code) is not None
    cloud.user()
    assert cloud.run(cloud.service.enrolment.read, code) is None
    assert cloud.run(cloud.service.enrolment.activate, code, "x") is None


@pytest.mark.parametrize(
    ("base", "nowhere"),
    [
        ("http://localhost:8480", True),
        ("https://127.0.0.1:8443", True),
        ("https://[::1]:8443", True),
        ("http://demo.localhost", True),
        ("https://cloud.corp.example:8443", False),
        ("https://192.0.2.7", False),
        ("https://localhost.example", False),
    ],
)
def test_links_that_no_phone_can_follow(base: str, nowhere: bool) -> None:
    assert Links(base).reach_no_phone() is nowhere


def test_a_start_page_says_what_comes_next(cloud: Running) -> None:
    browser = Browser(cloud)
    assert "authproxy cloud user add NAME" in browser.get("/")
    cloud.run(cloud.store.users.add, "alice")
    assert "authproxy cloud" not in browser.get("/")
    assert "ask your administrator" in browser.html
