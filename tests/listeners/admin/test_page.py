"""The page escapes what peers and clouds write, and doesn't let an open door be overlooked."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from authproxy.listeners.admin.markup import element, join, visible
from authproxy.listeners.admin.overview import CertificateState, PendingLogin, PrimaryState, readiness
from authproxy.listeners.admin.page import About, page, parts
from authproxy.listeners.admin.report import status
from authproxy.listeners.admin.words import span
from authproxy.observe.alarms.alarm import Alarm, AlarmKind
from authproxy.pipeline.fail_mode import FailMode, SlowCloud
from authproxy.pipeline.patience import ClientPatience
from tests.listeners.admin.fakes import CLOUD_DOWN, CLOUD_UP, DOWN, Told, section
from tests.observe.test_audit import EVENT

ABOUT = About("proxy1", "0.1.0", 1_738_300_000.0)
NOW = 1_738_324_800.0
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\n"


def shown(told: Told) -> str:
    return page(parts(told, ABOUT, NOW), ABOUT.hostname)


class Reader(HTMLParser):
    """Notes every tag, with its attributes' names, and checks that each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs), attrs
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_nothing_a_peer_writes_becomes_markup() -> None:
    event = EVENT._replace(
        username=EVIL,
        msg=EVIL,
        cause=EVIL,
        detail=EVIL,
        client=EVIL,
        nas_ip=EVIL,
        factor=EVIL,
        fail_open=True,
    )
    told = Told(
        of_sections=[
            section(name=EVIL, cloud=CLOUD_DOWN.__class__(EVIL, CLOUD_DOWN.health, EVIL), listening=(EVIL,))
        ],
        of_pending=[PendingLogin(EVIL, EVIL, EVIL, NOW, EVIL, EVIL, EVIL)],
        of_decisions=[event],
        of_fail_opens=[event],
        of_without_factor=[event],
        of_certificates=[CertificateState(EVIL, NOW)],
        of_troubles=[EVIL],
    )
    for document in (shown(told), shown(Told())):
        reader = Reader()
        reader.feed(document)
        reader.close()
        assert reader.open == []
        assert reader.tags.count("script") == 1
        assert "img" not in reader.tags
        assert "\u202e" not in document


def test_an_open_door_comes_first() -> None:
    told = Told(of_sections=[section(fail_mode=FailMode.SAFE, cloud=CLOUD_DOWN)])
    document = shown(told)
    assert document.index("The door is open: vpn") < document.index("Sections")
    told.of_fail_opens = [EVENT._replace(fail_open=True, username="mallory")]
    document = shown(told)
    assert (
        document.index("1 login was let in by fail open")
        < document.index("mallory")
        < document.index("Sections")
    )
    assert "Nobody was let in by fail open" in shown(Told())
    assert "The door is open" not in shown(Told(of_sections=[section(cloud=CLOUD_DOWN)]))


def test_long_lists_end() -> None:
    event = EVENT._replace(fail_open=True)
    told = Told(
        of_decisions=[event] * 10_000,
        of_fail_opens=[event] * 500,
        of_pending=[PendingLogin("L", "vpn", "alice", NOW)] * 10_000,
    )
    document = shown(told)
    assert document.count("<tr>") < 150
    assert "and 9950 more" in document
    assert "The last 20 are shown" in document


def test_certificates_by_expiry() -> None:
    day = 86_400
    told = Told(
        of_certificates=[
            CertificateState("later", NOW + 300 * day),
            CertificateState("soon", NOW + 40 * day),
            CertificateState("gone", NOW - day),
        ]
    )
    block = parts(told, ABOUT, NOW)["certificates"]
    assert block.index("gone") < block.index("soon") < block.index("later")
    assert "expired 1 d ago" in block
    assert '"tag warn">40 d<' in block
    assert '"tag good">300 d<' in block


def test_only_what_changed_changes() -> None:
    told = Told()
    before = parts(told, ABOUT, NOW)
    told.of_sections = [section(primary=PrimaryState("ad_client", (DOWN,)))]
    after = parts(told, ABOUT, NOW)
    assert {name for name in after if before[name] != after[name]} == {"head", "notes", "sections"}


def test_markup() -> None:
    assert (
        element("p", "a<b", None, 3, [element("b", "&")], class_="x", id=None)
        == '<p class="x">a&lt;b3<b>&amp;</b></p>'
    )
    assert element("meta", name='"') == '<meta name="&quot;">'
    assert join(("a", ["b"])) == "ab"
    assert visible("a\u202eb\n") == "a\\u202eb\\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (12.9, "12 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (93_600, "1 d 2 h"),
        (86_430, "1 d"),
    ],
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_an_open_door_that_nobody_can_overlook() -> None:
    """On top of everything, also while the cloud's state says nothing of it: somebody has come in."""
    told = Told(of_sections=[section(fail_mode=FailMode.SAFE, open_since=NOW - 61)])
    blocks = parts(told, ABOUT, NOW)
    assert "The door is open: vpn" in blocks["banner"]
    assert "let in 1 min 1 s ago" in blocks["banner"]
    text = page(blocks, "proxy1")
    assert "<title>DOOR OPEN - authproxy on proxy1</title>" in text
    assert text.index("The door is open") < text.index("<header")
    assert "THE DOOR IS OPEN" in blocks["notes"]
    shut = parts(Told(of_sections=[section(fail_mode=FailMode.SECURE, open_since=NOW)]), ABOUT, NOW)
    assert shut["banner"] == ""
    assert "<title>authproxy on" in page(shut, "proxy1")


def test_why_a_door_is_open() -> None:
    def banner(**changes: object) -> str:
        return parts(Told(of_sections=[section(fail_mode=FailMode.SAFE, **changes)]), ABOUT, NOW)["banner"]

    assert "off, by command, for 10 min more" in banner(primary_only_until=NOW + 600)
    assert "be reached, and failmode is safe" in banner(cloud=CLOUD_DOWN)
    slow = banner(cloud=replace(CLOUD_UP, slow=True), slow_cloud=SlowCloud.FAILMODE)
    assert "too slow" in slow
    assert "limits reached: max_per_hour" in banner(cloud=CLOUD_DOWN, limits_reached=("max_per_hour",))
    # One that keeps everybody out: no door is open, and the section isn't ready.
    shut = {"cloud": CLOUD_DOWN, "limits_reached": ("max_minutes",), "shut_by": "max_minutes"}
    assert banner(**shut) == ""
    told = Told(of_sections=[section(fail_mode=FailMode.SAFE, **shut)])
    assert not readiness(told).ready
    assert "limits of the open door reached: max_minutes" in parts(told, ABOUT, NOW)["notes"]


def test_alarms() -> None:
    alarm = Alarm(AlarmKind.TAMPER, EVIL, EVIL, NOW, {"detail": EVIL})
    shown = parts(Told(of_alarms=[alarm]), ABOUT, NOW)["alarms"]
    assert "tag alarm" in shown
    assert "<script>" not in shown
    assert "None since the start" in parts(Told(), ABOUT, NOW)["alarms"]


def test_how_long_clients_wait() -> None:
    """Who gives up too soon comes first, with what to do."""
    told = Told(
        of_patiences=[
            ClientPatience("vpn/patient", 5.0, None, 62.0),
            ClientPatience("vpn/hasty", 3.0, 9.0, 0.0),
            ClientPatience("vpn/slow", 20.0, 60.0, 0.0),
        ]
    )
    block = parts(told, ABOUT, NOW)["patience"]
    assert str(block).index("vpn/hasty") < str(block).index("vpn/slow") < str(block).index("vpn/patient")
    assert "9 s: too soon for a push, set it to 60 s or more" in str(block)
    assert "62 s" in str(block)
    (hasty,) = [client for client in status(told, {})["patience"] if client["too_short"]]
    assert hasty == {"client": "vpn/hasty", "asks_every": 3, "gives_up": 9, "waited": 0, "too_short": True}
