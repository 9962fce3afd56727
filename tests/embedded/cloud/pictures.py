"""Pictures of every page, for the documentation and for eyes: python -m tests.embedded.cloud.pictures FOLDER"""

from __future__ import annotations

import base64
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyotp
from selenium.webdriver.common.by import By
from twisted.internet import reactor as _reactor

from authproxy.embedded.cloud.model import Policy
from authproxy.secret import Secret

from .driving import PHONES, Driver, press, push, started, wait
from .running import Running

_reactor_any: Any = _reactor
PUSHINFO = "Client=laptop-17&Country=Switzerland"


class Pictures:
    def __init__(self, cloud: Running, driver: Driver, folder: Path) -> None:
        self._cloud = cloud
        self._driver = driver
        self._folder = folder

    def take(self) -> None:
        self._phone()
        self._administration()
        self._compose("phone-pages", ["enroll", "phone-page", "number-dark"], 254)
        self._compose("admin-page", ["admin"], 780)

    def _compose(self, name: str, pictures: Sequence[str], width: int) -> None:
        """Beside each other, for docs/, in few octets."""
        page = self._folder / f"{name}.html"
        style = "border:1px solid #ccd;border-radius:12px;box-sizing:border-box"
        images = "".join(f'<img src="{picture}.png" width={width} style="{style}">' for picture in pictures)
        page.write_text(f'<body style="margin:0;display:flex;align-items:start;gap:9px">{images}')
        self._driver.get(page.as_uri())
        height = self._driver.execute_script("return document.querySelector('img').height")
        clip = {"x": 0, "y": 0, "width": (width + 9) * len(pictures) - 9, "height": height, "scale": 1}
        shot = {"format": "webp", "quality": 80, "clip": clip}
        told = self._driver.execute_cdp_cmd("Page.captureScreenshot", shot)
        (self._folder / f"{name}.webp").write_bytes(base64.b64decode(told["data"]))
        page.unlink()

    def _phone(self) -> None:
        cloud, driver = self._cloud, self._driver
        vpn = cloud.application("Corporate VPN")
        bank = cloud.application("Payments", Policy(number_matching=True))
        driver.get(f"{cloud.base}/")
        self._save("welcome")
        driver.get(cloud.client(vpn).preauth(username="alice")["enroll_portal_url"])
        self._save("enroll")
        driver.find_element(By.PARTIAL_LINK_TEXT, "Use this browser").click()
        self._save("activate")
        press(driver, "Yes, set it up")
        wait(driver, lambda d: d.find_element(By.ID, "live").text == "Live")
        self._save("idle")
        push(cloud, vpn, pushinfo=PUSHINFO)
        self._question("phone-page")
        press(driver, "Approve")
        self._said("approved")
        client = cloud.client(bank)
        told = client.preauth(username="alice", client_supports_verified_push="1")
        sent = {"username": "alice", "factor": "push", "device": "auto", "async": "1", "txid": told["txid"]}
        client.json_api_call("POST", "/auth/v2/auth", sent | {"ipaddr": "203.0.113.7"})
        self._question("number")
        press(driver, "I didn’t ask for this")
        self._said("fraud")
        for page in ("passcodes", "authenticator"):
            driver.get(f"{cloud.base}/{page}")
            self._save(page)
        press(driver, "Show the code to scan")
        self._save("authenticator-code")
        driver.get(f"{cloud.base}/enroll/nothing")
        self._save("void")

    def _question(self, name: str) -> None:
        wait(self._driver, lambda d: d.find_elements(By.CSS_SELECTOR, "#waiting .request"))
        self._save(name)

    def _said(self, name: str) -> None:
        wait(self._driver, lambda d: d.find_element(By.ID, "idle").is_displayed())
        self._save(name)

    def _administration(self) -> None:
        cloud, driver = self._cloud, self._driver
        wide(driver)
        driver.get(f"{cloud.base}/admin")
        self._save("admin-none")
        secret = cloud.run(cloud.store.administrators.add, "root", Secret(b"correct horse battery"))
        driver.get(f"{cloud.base}/admin")
        self._save("admin-login")
        typed = {
            "name": "root",
            "password": "correct horse battery",
            "code": pyotp.TOTP(secret.reveal()).now(),
        }
        for name, value in typed.items():
            driver.find_element(By.NAME, name).send_keys(value)
        press(driver, "Log in")
        push(cloud, cloud.application("Wiki"))
        driver.get(f"{cloud.base}/admin")
        self._save("admin")
        for page in ("users", "applications", "log"):
            driver.get(f"{cloud.base}/admin/{page}")
            self._save(f"admin-{page}")
        user = cloud.run(cloud.store.users.named, "alice")
        driver.get(f"{cloud.base}/admin/user/{user.user_id}")
        self._save("admin-user")

    def _save(self, name: str) -> None:
        for scheme in ("light", "dark"):
            media = [
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]
            self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
            suffix = "" if scheme == "light" else "-dark"
            self._driver.save_screenshot(str(self._folder / f"{name}{suffix}.png"))


def wide(driver: Driver) -> None:
    size = {"width": 1100, "height": 760, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    thread = threading.Thread(target=lambda: _reactor_any.run(installSignalHandlers=False), daemon=True)
    thread.start()
    with tempfile.TemporaryDirectory() as scratch, started(Path(scratch) / "browser") as driver:
        cloud = Running(_reactor_any, Path(scratch) / "cloud", name=PHONES)
        try:
            Pictures(cloud, driver, folder).take()
        finally:
            cloud.stop()
    _reactor_any.callFromThread(_reactor_any.stop)
    thread.join(10)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
