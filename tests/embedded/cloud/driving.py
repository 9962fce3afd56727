"""A real browser on the pages: started, and what people do in it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.system.parts.names import Names
from tests.system.parts.needs import needs

from .running import Running

Driver = webdriver.Chrome
# A name that phones could reach the service by.
PHONES = "cloud.test"
SCREEN = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}


@contextmanager
def started(folder: Path) -> Iterator[Driver]:
    """Chromium with the screen of a phone."""
    options = webdriver.ChromeOptions()
    options.binary_location = needs("chromium", "chromium")
    folder.mkdir(exist_ok=True)
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars",
        "window-size=390,844", f"user-data-dir={folder}", "no-proxy-server",
        f"host-resolver-rules=MAP {PHONES} 127.0.0.1",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.accept_insecure_certs = True  # ours is made by ourselves
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    names = Names(folder)
    names.set(localhost="127.0.0.1")  # the driver finds its browser by that name
    # Its crash handler keeps its files there, and not in the home of whoever runs the tests.
    environment = os.environ | names.env | {"XDG_CONFIG_HOME": str(folder)}
    service = webdriver.ChromeService(needs("chromedriver", "chromium-driver"), env=environment)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SCREEN)
        yield driver
    finally:
        driver.quit()
        _end_crash_handlers(folder)


def _end_crash_handlers(folder: Path) -> None:
    """Chromium leaves them behind, and they hear nothing else."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if b"chrome_crashpad_handler" in command and f"{folder}/".encode() in command:
                os.kill(int(process.name), signal.SIGKILL)


def scanned(driver: Driver, folder: Path) -> str:
    """What a camera reads in the picture of the QR code that is on the screen."""
    program, picture = needs("zbarimg", "zbar-tools"), folder / "qr.png"
    shown = wait(driver, lambda d: d.find_element(By.CSS_SELECTOR, "svg.qr"))
    picture.write_bytes(shown.screenshot_as_png)
    done = subprocess.run([program, "-q", "--raw", picture], capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


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
    driver.find_element(By.PARTIAL_LINK_TEXT, "Use this browser").click()
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
