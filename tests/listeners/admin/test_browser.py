"""The page in a real browser: its script runs under the policy it is served with, and the page is live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from authproxy.listeners.admin.guard import Guard
from authproxy.pipeline.fail_mode import FailMode
from tests.listeners.admin.fakes import CLOUD_DOWN, section
from tests.listeners.admin.test_page import EVIL
from tests.listeners.admin.test_site import Served
from tests.observe.test_audit import EVENT
from tests.system.parts.needs import needs

pytestmark = pytest.mark.system


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = needs("chromium", "chromium")
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-proxy-server"):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={tmp_path}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(needs("chromedriver", "chromium-driver")))
    yield driver
    driver.quit()


def test_the_page_is_live(
    on_reactor: Callable[..., Any],
    reactor_thread: Any,
    browser: webdriver.Chrome,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("authproxy.listeners.admin.live._EVERY", 0.05)
    served = Served(on_reactor, reactor_thread, Guard())
    served.told.of_decisions = [EVENT._replace(username=EVIL)]
    browser.get(f"http://127.0.0.1:{served.port}/")
    waits = WebDriverWait(browser, 10, poll_frequency=0.05)
    waits.until(lambda driver: driver.execute_script("return document.documentElement.dataset.live") == "yes")
    assert "<script>alert(1)</script>" in browser.find_element("id", "decisions").text
    assert browser.find_elements("tag name", "img") == []
    served.told.of_fail_opens = [EVENT._replace(username="mallory", fail_open=True)]
    waits.until(lambda driver: "mallory" in driver.find_element("id", "open").text)
    # An open door: on top wherever one is on the page, in the tab's title, and gone when it is shut.
    served.told.of_sections = [section(fail_mode=FailMode.SAFE, cloud=CLOUD_DOWN)]
    waits.until(lambda driver: driver.title.startswith("DOOR OPEN - authproxy on "))
    browser.execute_script("document.body.style.minHeight = '4000px'; window.scrollTo(0, 3000)")
    shown = browser.execute_script(
        "return document.querySelector('#banner section').getBoundingClientRect().top"
    )
    assert 0 <= shown < 20
    assert "The door is open: vpn" in browser.find_element("id", "banner").text
    served.told.of_sections = [section()]
    waits.until(lambda driver: driver.title.startswith("authproxy on "))
    assert browser.find_element("id", "banner").text == ""
    # Our own policy refused nothing, no script failed.
    assert [line["message"] for line in browser.get_log("browser")] == []
    # Fits a phone: nothing scrolls sideways.
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True},
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    served.close()
    waits.until(lambda driver: driver.execute_script("return document.documentElement.dataset.live") == "no")
