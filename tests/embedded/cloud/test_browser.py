"""The pages in a real browser: what a person does on a phone, and what they see without touching anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from authproxy.embedded.cloud.model import Policy
from tests.system.parts.names import Names
from tests.system.parts.needs import needs

from .running import Running

pytestmark = pytest.mark.system
Driver = webdriver.Chrome


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    options = webdriver.ChromeOptions()
    options.binary_location = needs("chromium", "chromium")
    folder = tmp_path_factory.mktemp("browser")
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars",
        "window-size=390,844", f"user-data-dir={folder}", "no-proxy-server",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    names = Names(folder)
    names.set(localhost="127.0.0.1")  # the driver finds its browser by that name
    service = webdriver.ChromeService(needs("chromedriver", "chromium-driver"), env=os.environ | names.env)
    driver = webdriver.Chrome(options=options, service=service)
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
    )
    yield driver
    driver.quit()


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


def wait(driver: Driver, condition: Callable[[Driver], Any]) -> Any:
    """What the page redraws meanwhile is looked at again."""
    waiting = WebDriverWait(driver, 20, 0.05, [StaleElementReferenceException])
    return waiting.until(condition)


def said(driver: Driver) -> str:
    return str(driver.find_element(By.ID, "said").text)


def cards(driver: Driver) -> list[Any]:
    """What can be read by now: a card fades in."""
    return [card for card in driver.find_elements(By.CSS_SELECTOR, "#waiting .request") if card.text]


def press(driver: Driver, words: str) -> None:
    wait(driver, lambda d: d.find_element(By.XPATH, f"//button[normalize-space()='{words}']")).click()


def enrol(cloud: Running, driver: Driver, credentials: tuple[str, str]) -> None:
    """As a newcomer does: the link of a refused login, on this very browser."""
    driver.get(cloud.client(credentials).preauth(username="alice")["enroll_portal_url"])
    driver.find_element(By.LINK_TEXT, "Use this browser instead").click()
    press(driver, "Yes, set it up")
    wait(driver, lambda d: "Nothing to approve" in d.page_source)
    wait(driver, lambda d: d.find_element(By.ID, "live").text == "Live")


def push(cloud: Running, credentials: tuple[str, str], **more: Any) -> str:
    sent = {"username": "alice", "device": "auto", "async_txn": True, "ipaddr": "203.0.113.7"} | more
    txid: str = cloud.client(credentials).auth("push", **sent)["txid"]
    return txid


def status(cloud: Running, credentials: tuple[str, str], txid: str) -> str:
    told: str = cloud.client(credentials).auth_status(txid)["status"]
    return told


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
    for _ in range(12):
        phone.switch_to.active_element.send_keys(Keys.TAB)
        if phone.switch_to.active_element.text == "Approve":
            break
    outline = phone.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
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


def test_the_computer_sees_the_phone_set_up(cloud: Running, phone: Driver) -> None:
    credentials = cloud.application()
    url = cloud.client(credentials).preauth(username="alice")["enroll_portal_url"]
    phone.get(url)
    assert phone.find_element(By.CSS_SELECTOR, "svg.qr").size["width"] > 150
    from authproxy.embedded.cloud.pages.enrol import ACTIVATED
    from authproxy.secret import Secret

    cloud.run(cloud.service.enrolment.activate, Secret.of(url.rpartition("/")[2]), "iPhone")
    cloud.run(cloud.service.changes.tell, ACTIVATED)
    wait(phone, lambda d: "Your phone is ready" in d.find_element(By.ID, "state").text)


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
