"""The pages in a real browser: what a person does on a phone, and what they see without touching anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from authproxy.embedded.cloud.model import Policy
from authproxy.embedded.cloud.outcomes import Limits
from authproxy.secret import Secret

from .driving import PHONES, SCREEN, Driver, cards, enrol, press, push, said, scanned, started, status, wait
from .running import Running

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with started(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture
def phone(browser: Driver, cloud: Running) -> Iterator[Driver]:
    browser.get("about:blank")
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.get_log("browser")
    yield browser
    browser.get("about:blank")
    severe = [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    # Nothing of ours is refused by our own policy, and no script fails.
    assert [line for line in severe if "404" not in line and "410" not in line] == []


@pytest.mark.parametrize(
    ("button", "words", "outcome"),
    [
        ("Approve", "Approved", "allow"),
        ("Deny", "Denied", "deny"),
        ("I didn’t ask for this", "change it now", "fraud"),
    ],
)
def test_enrol_and_answer(cloud: Running, phone: Driver, button: str, words: str, outcome: str) -> None:
    credentials = cloud.application("Corporate VPN")
    enrol(cloud, phone, credentials)
    txid = push(cloud, credentials, pushinfo="Device=Laptop")
    # It comes by itself.
    (card,) = wait(phone, cards)
    for shown in ("Are you logging in?", "Corporate VPN", "alice", "203.0.113.7", "Laptop", "seconds left"):
        assert shown in card.text
    assert phone.title.startswith("(1)")
    assert "New request" in said(phone)
    press(phone, button)
    wait(phone, lambda d: words in said(d))
    wait(phone, lambda d: not cards(d))
    assert status(cloud, credentials, txid) == outcome
    assert phone.find_element(By.ID, "idle").is_displayed()


def test_what_another_decides_goes_away(cloud: Running, phone: Driver) -> None:
    credentials = cloud.application()
    enrol(cloud, phone, credentials)
    txid = push(cloud, credentials)
    wait(phone, cards)
    cloud.run(lambda: cloud.service.core._end(cloud.store.logins.find(txid), *_denied()))
    wait(phone, lambda d: not cards(d))
    wait(phone, lambda d: "Denied" in d.find_element(By.ID, "recent").text)


def _denied() -> tuple[Any, Any]:
    from authproxy.embedded.cloud.model import Result, Status

    return Result.DENY, Status.DENY


def test_number_matching(cloud: Running, phone: Driver) -> None:
    credentials = cloud.application(policy=Policy(number_matching=True))
    enrol(cloud, phone, credentials)
    client = cloud.client(credentials)
    for right in (True, False):
        told = client.preauth(username="alice", client_supports_verified_push="1")
        sent = {"username": "alice", "factor": "push", "device": "auto", "async": "1", "txid": told["txid"]}
        client.json_api_call("POST", "/auth/v2/auth", sent)
        (card,) = wait(phone, cards)
        number = told["verification_code"] if right else f"{(int(told['verification_code']) + 1) % 1000:03d}"
        field = card.find_element(By.NAME, "number")
        field.send_keys(number)
        # News about something else doesn't take away what was typed.
        cloud.run(cloud.service.changes.tell_all)
        press(phone, "Approve")
        wait(phone, lambda d: not cards(d))
        assert status(cloud, credentials, told["txid"]) == ("allow" if right else "deny")


def test_by_keyboard_alone(cloud: Running, phone: Driver) -> None:
    credentials = cloud.application()
    enrol(cloud, phone, credentials)
    txid = push(cloud, credentials)
    wait(phone, cards)
    tab_to(phone, "Approve")
    phone.switch_to.active_element.send_keys(Keys.ENTER)
    wait(phone, lambda d: "Approved" in said(d))
    assert status(cloud, credentials, txid) == "allow"


def test_without_scripts(cloud: Running, phone: Driver) -> None:
    credentials = cloud.application()
    enrol(cloud, phone, credentials)
    txid = push(cloud, credentials)
    phone.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        phone.get(f"http://localhost:{cloud.pages}/")
        press(phone, "Approve")
        wait(phone, lambda d: "Approved" in said(d))
    finally:
        phone.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert status(cloud, credentials, txid) == "allow"


def test_it_comes_back_after_the_service_does(cloud: Running, phone: Driver) -> None:
    credentials = cloud.application()
    enrol(cloud, phone, credentials)
    cloud.stop()
    wait(phone, lambda d: d.find_element(By.ID, "live").text == "Reconnecting…")
    cloud.start()
    txid = push(cloud, credentials)
    wait(phone, cards)
    press(phone, "Approve")
    wait(phone, lambda d: "Approved" in said(d))
    assert status(cloud, credentials, txid) == "allow"
    phone.get_log("browser")  # it did tell of refused connections meanwhile


@pytest.fixture
def reachable(reactor_thread: Any, tmp_path: Path) -> Iterator[Running]:
    """The service under a name that phones reach: its links lead there, over HTTPS."""
    running = Running(reactor_thread, tmp_path / "reachable", name=PHONES)
    yield running
    running.stop()
    assert running.log.bugs == []


def test_a_phone_scans_the_code_of_the_computer(reachable: Running, phone: Driver, tmp_path: Path) -> None:
    credentials = reachable.application()
    phone.get(reachable.client(credentials).preauth(username="alice")["enroll_portal_url"])
    address = scanned(phone, tmp_path)
    assert address == phone.find_element(By.CSS_SELECTOR, "a.address").text
    assert address.startswith(f"https://{PHONES}:{reachable.port}/activate/")
    computer = phone.current_window_handle
    phone.switch_to.new_window("tab")
    phone.get(address)
    press(phone, "Yes, set it up")
    wait(phone, lambda d: "Nothing to approve" in d.page_source)
    (kept,) = phone.execute_cdp_cmd("Network.getCookies", {})["cookies"]
    assert kept["name"] == "__Host-phone"
    assert (kept["secure"], kept["httpOnly"], kept["sameSite"]) == (True, True, "Lax")
    txid = push(reachable, credentials)
    wait(phone, cards)
    press(phone, "Approve")
    wait(phone, lambda d: "Approved" in said(d))
    assert status(reachable, credentials, txid) == "allow"
    phone.close()
    phone.switch_to.window(computer)
    wait(phone, lambda d: "Your phone is ready" in d.find_element(By.ID, "state").text)
    assert phone.find_elements(By.CSS_SELECTOR, "svg.qr") == []


def test_a_code_that_leads_nowhere_is_not_shown(cloud: Running, phone: Driver) -> None:
    """localhost is another machine on a phone: the page says so, and offers what works."""
    phone.get(cloud.client(cloud.application()).preauth(username="alice")["enroll_portal_url"])
    assert phone.find_elements(By.CSS_SELECTOR, "svg.qr") == []
    assert "no phone can reach it" in phone.find_element(By.TAG_NAME, "main").text


def test_an_authenticator_app_scans_its_code(cloud: Running, phone: Driver, tmp_path: Path) -> None:
    credentials = cloud.application()
    enrol(cloud, phone, credentials)
    phone.find_element(By.LINK_TEXT, "Add an authenticator app").click()
    press(phone, "Show the code to scan")
    app = pyotp.parse_uri(scanned(phone, tmp_path))
    assert isinstance(app, pyotp.TOTP)
    assert (app.name, app.issuer, app.digits, app.interval) == ("alice", "authproxy", 6, 30)
    for code, outcome in (("000000", "That was not the code"), (app.now(), "The app is ready")):
        phone.find_element(By.NAME, "code").send_keys(code)
        press(phone, "Confirm")
        wait(phone, lambda d, words=outcome: words in said(d))  # type: ignore[misc]
    later = app.at(int(cloud.clock()) + 30)
    assert cloud.client(credentials).auth("passcode", username="alice", passcode=later)["result"] == "allow"


def test_it_notifies_while_nobody_looks(cloud: Running, phone: Driver) -> None:
    origin = f"http://localhost:{cloud.pages}"
    phone.execute_cdp_cmd("Browser.grantPermissions", {"origin": origin, "permissions": ["notifications"]})
    credentials = cloud.application("Corporate VPN")
    enrol(cloud, phone, credentials)
    assert not phone.find_element(By.ID, "notify").is_displayed()
    assert phone.execute_script("return navigator.serviceWorker.ready.then(() => true)")
    page = phone.current_window_handle
    phone.switch_to.new_window("tab")  # the page is hidden now, and asked about from another one
    phone.get(f"{origin}/passcodes")
    push(cloud, credentials)
    shown = wait(phone, lambda d: d.execute_script(_NOTIFICATIONS))
    assert [title for title, _ in shown] == ["Log in at Corporate VPN?"]
    assert "203.0.113.7" in shown[0][1]
    phone.execute_script(
        "navigator.serviceWorker.ready.then(async (w) => (await w.getNotifications()).forEach((n) => n.close()))"
    )
    phone.close()
    phone.switch_to.window(page)
    phone.execute_cdp_cmd("Browser.resetPermissions", {})


_NOTIFICATIONS = """
return navigator.serviceWorker.ready.then((worker) => worker.getNotifications())
  .then((shown) => shown.length ? shown.map((one) => [one.title, one.body]) : null);
"""
_CLOSE_NOTIFICATIONS = """
return navigator.serviceWorker.ready.then((worker) => worker.getNotifications())
  .then((shown) => shown.forEach((one) => one.close()));
"""


@pytest.mark.long
def test_a_request_that_runs_out_goes_away(reactor_thread: Any, tmp_path: Path, browser: Driver) -> None:
    cloud = Running(reactor_thread, tmp_path / "short", limits=Limits(push_life=2.0))
    try:
        credentials = cloud.application()
        enrol(cloud, browser, credentials)
        push(cloud, credentials)
        wait(browser, cards)
        wait(browser, lambda d: not cards(d))
        wait(browser, lambda d: "No answer" in d.find_element(By.ID, "recent").text)
        browser.get("about:blank")
    finally:
        cloud.stop()


def tab_to(driver: Driver, words: str) -> None:
    """To what has these words on it, by the Tab key alone; it can be seen where the focus is."""
    for _ in range(20):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        if driver.switch_to.active_element.text == words:
            break
    assert driver.switch_to.active_element.text == words
    outline = driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_set_up_by_keyboard_alone(cloud: Running, phone: Driver) -> None:
    credentials = cloud.application(policy=Policy(number_matching=True))
    client = cloud.client(credentials)
    phone.get(client.preauth(username="alice")["enroll_portal_url"])
    tab_to(phone, "Use this browser")
    phone.switch_to.active_element.send_keys(Keys.ENTER)
    wait(phone, lambda d: "Make this your phone" in d.page_source)
    tab_to(phone, "Yes, set it up")
    phone.switch_to.active_element.send_keys(Keys.ENTER)
    wait(phone, lambda d: d.find_element(By.ID, "live").text == "Live")
    told = client.preauth(username="alice", client_supports_verified_push="1")
    sent = {"username": "alice", "factor": "push", "device": "auto", "async": "1", "txid": told["txid"]}
    client.json_api_call("POST", "/auth/v2/auth", sent)
    wait(phone, cards)
    tab_to(phone, "")  # the field for the number has no words on it
    while phone.switch_to.active_element.get_attribute("name") != "number":
        phone.switch_to.active_element.send_keys(Keys.TAB)
    phone.switch_to.active_element.send_keys(told["verification_code"])
    tab_to(phone, "Approve")
    phone.switch_to.active_element.send_keys(Keys.SPACE)
    wait(phone, lambda d: "Approved" in said(d))
    assert status(cloud, credentials, told["txid"]) == "allow"


def heard(driver: Driver) -> list[tuple[str, str]]:
    """What a screen reader finds: role and name of everything that has one."""
    nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    return [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]


def test_what_a_screen_reader_hears(cloud: Running, phone: Driver) -> None:
    credentials = cloud.application("Corporate VPN", Policy(number_matching=True))
    enrol(cloud, phone, credentials)
    client = cloud.client(credentials)
    told = client.preauth(username="alice", client_supports_verified_push="1")
    sent = {"username": "alice", "factor": "push", "device": "auto", "async": "1", "txid": told["txid"]}
    client.json_api_call("POST", "/auth/v2/auth", sent | {"ipaddr": "203.0.113.7"})
    wait(phone, cards)
    tree = heard(phone)
    for wanted in (
        ("banner", ""),
        ("main", ""),
        ("region", "Logins that wait for you"),
        ("form", "Are you logging in?"),
        ("heading", "Are you logging in?"),
        ("textbox", "Type the number shown where you log in"),
        ("button", "Deny"),
        ("button", "Approve"),
        ("button", "I didn’t ask for this"),
        ("status", ""),
        ("navigation", "More"),
    ):
        assert wanted in tree, wanted
    words = [name for role, name in tree if role == "StaticText"]
    for word in ("Corporate VPN", "alice", "203.0.113.7", "New request: log in at Corporate VPN?"):
        assert word in words
    for address in ("", "passcodes", "authenticator", "enroll/none", "admin"):
        phone.get(f"http://localhost:{cloud.pages}/{address}")
        tree = heard(phone)
        unnamed = [role for role, name in tree if role in _HAVE_NAMES and not name.strip()]
        assert unnamed == [], address
        assert [role for role, _ in tree].count("main") == 1
        assert any(role == "heading" for role, _ in tree), address
        assert phone.title
    assert phone.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"


_HAVE_NAMES = {
    "button",
    "link",
    "textbox",
    "checkbox",
    "radio",
    "combobox",
    "heading",
    "image",
    "spinbutton",
}


def test_a_small_screen(cloud: Running, phone: Driver) -> None:
    """The smallest that is still sold, the longest names: all of it in reach (WCAG 2.2 §1.4.10, §2.5.8)."""
    credentials = cloud.application("A" * 100)
    enrol(cloud, phone, credentials)
    size = {"width": 320, "height": 480, "deviceScaleFactor": 1, "mobile": True}
    phone.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        push(
            cloud,
            credentials,
            display_username="u" * 200,
            pushinfo=f"{'k' * 40}={'v' * 200}",
        )
        wait(phone, cards)
        for address in (None, "passcodes", "authenticator", "enroll/none", "admin"):
            if address is not None:
                phone.get(f"http://localhost:{cloud.pages}/{address}")
            assert phone.execute_script("return document.documentElement.scrollWidth <= innerWidth"), address
            small = phone.execute_script(
                "return [...document.querySelectorAll('button, main a, input:not([type=hidden])')]"
                ".filter((e) => e.checkVisibility()).map((e) => [e.innerText, e.getBoundingClientRect().height])"
                ".filter(([, height]) => height < 24)"
            )
            assert small == [], address
    finally:
        phone.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SCREEN)


def test_administration(cloud: Running, phone: Driver) -> None:
    """From the door to an application that can call, and a login that is denied from there."""
    otp = cloud.run(cloud.store.administrators.add, "root", Secret(b"correct horse battery"))
    enrol(cloud, phone, cloud.application("VPN"))
    phone.get(f"http://localhost:{cloud.pages}/admin")
    code = pyotp.TOTP(otp.reveal().decode()).at(int(cloud.clock()))
    for name, value in (("name", "root"), ("password", "correct horse battery"), ("code", code)):
        phone.find_element(By.NAME, name).send_keys(value)
    press(phone, "Log in")
    wait(phone, lambda d: d.find_element(By.LINK_TEXT, "Applications")).click()
    wait(phone, lambda d: d.find_element(By.NAME, "name")).send_keys("Wiki")
    press(phone, "Add")
    ikey, skey = wait(phone, lambda d: [e.text for e in d.find_elements(By.CSS_SELECTOR, "dd.code")])
    phone.refresh()
    assert skey not in phone.page_source
    phone.find_element(By.LINK_TEXT, "Now").click()
    wait(phone, lambda d: "Nobody waits." in d.page_source)
    txid = push(cloud, (ikey, skey))
    wait(phone, lambda d: "Wiki" in d.find_element(By.ID, "live").text)  # by itself
    poor = phone.execute_script(_CONTRAST)
    assert poor == []
    press(phone, "Deny")
    wait(phone, lambda d: "Nobody waits." in d.page_source)
    assert status(cloud, (ikey, skey), txid) == "deny"
    tree = heard(phone)
    assert ("navigation", "Administration") in tree
    press(phone, "Log out root")
    wait(phone, lambda d: d.find_element(By.NAME, "password"))


@pytest.mark.long
def test_an_installable_page_with_readable_colours(cloud: Running, phone: Driver) -> None:
    credentials = cloud.application()
    enrol(cloud, phone, credentials)
    push(cloud, credentials)
    wait(phone, cards)
    manifest = phone.execute_cdp_cmd("Page.getAppManifest", {})
    assert manifest["errors"] == []
    assert phone.execute_script("return navigator.serviceWorker.ready.then(() => true)") is True
    for scheme in ("light", "dark"):
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        phone.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        poor = phone.execute_script(_CONTRAST)
        assert poor == [], scheme
        assert phone.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    phone.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    unnamed = phone.execute_script(
        "return [...document.querySelectorAll('button,input:not([type=hidden]),a')]"
        ".filter(e => e.checkVisibility() && !e.innerText.trim() && !e.labels?.length && !e.ariaLabel).length"
    )
    assert unnamed == 0


# WCAG 2.2 §1.4.3: the ratio of every visible text against what is behind it, where that is plain.
_CONTRAST = """
const parse = (text) => text.match(/[0-9.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
const behind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = parse(getComputedStyle(e).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll('main *')].filter((e) => e.checkVisibility() &&
    [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
  .map((e) => {
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    return [e.textContent.trim().slice(0, 30), (a + 0.05) / (b + 0.05)];
  }).filter(([, ratio]) => ratio < 4.5);
"""
