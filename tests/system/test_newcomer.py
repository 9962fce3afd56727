"""Somebody who has never seen it, from a start to a login that they approved: by what is printed and what pages say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duo_client
import pytest
from selenium.webdriver.common.by import By

from tests.embedded.cloud.driving import Driver, cards, press, said, started, wait
from tests.embedded.cloud.test_api import later
from tests.system.test_demo import begin, read_until

pytestmark = [pytest.mark.system, pytest.mark.long]
ROOT = Path(__file__).parents[2]
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with started(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


def command(printed: str, *more: str, typed: str = "") -> str:
    """What it says when a person copies it from what was printed."""
    words = [*shlex.split(printed), *more]
    words = words[next(at for at, word in enumerate(words) if "authproxy" in word) + 1 :]
    done = subprocess.run(
        [sys.executable, "-m", "authproxy", *words],
        input=typed, capture_output=True, text=True, timeout=90, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.stdout + done.stderr


def test_from_the_start_of_the_cloud(tmp_path: Path, browser: Driver, record_property: Record) -> None:
    began = time.monotonic()
    serve = subprocess.Popen(
        [
            sys.executable, "-m", "authproxy", "cloud", "serve", "--data", str(tmp_path / "data"),
            "--listen", "127.0.0.1:0", "--pages", "127.0.0.1:0",
        ],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert serve.stderr is not None
        ready, application, user = (serve.stderr.readline() for _ in range(3))
        port, pages, trust = re.findall(r":(\d+), pages (\S+), clients trust (\S+)", ready)[0]
        # Who opens the page first is told what to do.
        browser.get(pages)
        assert "authproxy cloud user add NAME --invite" in browser.find_element(By.TAG_NAME, "main").text
        keys, alice = (
            _facts(command(re.findall(r"next: (.*?)   ", line)[0].replace("NAME", name)))
            for line, name in ((application, "vpn"), (user, "alice"))
        )
        _set_up(browser, alice["link"])
        client = duo_client.Auth(
            ikey=keys["ikey"], skey=keys["skey"], host="localhost", port=int(port), ca_certs=trust
        )
        login = later(lambda: client.auth("push", username="alice", device="auto"))
        _approve(browser)
        assert login()["result"] == "allow"
    finally:
        serve.terminate()
        assert serve.wait(20) == 0
    record_property("seconds", round(time.monotonic() - began, 1))


def test_from_the_demo(tmp_path: Path, browser: Driver, record_property: Record) -> None:
    """Alice by her link; then Carol, whose login is refused with a link to set a phone up."""
    began = time.monotonic()
    demo = begin(tmp_path)
    try:
        told = read_until(demo, "Decisions:")
        (line,) = re.findall(r"^ +(\S.* login --section radius_server_auto) alice$", told, re.MULTILINE)
        passwords = dict(re.findall(r"^ +(\w+) +(\w+) +has ", told, re.MULTILINE))

        def logs_in(name: str) -> str:
            return command(f"{line} {name}", "--password-stdin", typed=f"{passwords[name]}\n")

        _set_up(browser, re.findall(r"alice +(http\S+)", told)[0])
        login = later(lambda: logs_in("alice"))
        _approve(browser)
        assert "accept" in login().lower()
        record_property("seconds", round(time.monotonic() - began, 1))
        browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
        _set_up(browser, re.findall(r"http\S+/enroll/\S+", logs_in("carol"))[0])
        login = later(lambda: logs_in("carol"))
        _approve(browser)
        assert "accept" in login().lower()
    finally:
        demo.terminate()
        demo.communicate(timeout=30)


def _facts(printed: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+) +(\S+)$", printed, re.MULTILINE))


def _set_up(browser: Driver, link: str) -> None:
    """Whatever the page asks to tap, until it says that there is nothing to approve."""
    browser.get(link)
    if browser.find_elements(By.LINK_TEXT, "Use this browser"):
        assert "Tap the button" in browser.find_element(By.TAG_NAME, "main").text
        browser.find_element(By.LINK_TEXT, "Use this browser").click()
    press(browser, "Yes, set it up")
    wait(browser, lambda d: d.find_element(By.ID, "live").text == "Live")
    assert "the question shows up here by itself" in browser.find_element(By.ID, "idle").text


def _approve(browser: Driver) -> None:
    (card,) = wait(browser, cards)
    assert "Are you logging in?" in card.text
    press(browser, "Approve")
    wait(browser, lambda d: "Approved" in said(d))
