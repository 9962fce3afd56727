"""When it is ready, and what it says when it isn't."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authproxy.listeners.admin.overview import (
    CloudState,
    Health,
    HostState,
    PrimaryState,
    SectionState,
    readiness,
    section_readiness,
)
from authproxy.listeners.admin.report import readyz, status
from authproxy.pipeline.fail_mode import FailMode, SlowCloud
from tests.listeners.admin.fakes import CLOUD_DOWN, CLOUD_UP, DOWN, UP, Told, section

UNKNOWN = HostState("dc3:636", Health.UNKNOWN)
CLOUD_UNKNOWN = CLOUD_UP.__class__("api", Health.UNKNOWN)
SAFE, SECURE = FailMode.SAFE, FailMode.SECURE


def primary(*hosts: HostState) -> PrimaryState:
    return PrimaryState("ad_client", hosts)


CASES = [
    (section(), True, "", ""),
    (section(listening=()), False, "not listening", ""),
    (section(primary=primary(DOWN)), False, "dc2.corp.example:636: connection refused", ""),
    (section(primary=primary(DOWN, UP)), True, "", "lost a host"),
    (section(primary=primary(DOWN, UNKNOWN)), True, "", "lost a host"),
    (section(primary=primary(UNKNOWN)), True, "", ""),
    (section(primary=None), True, "", ""),
    (section(cloud=CLOUD_DOWN, fail_mode=SECURE), False, "nobody is let in", ""),
    (section(cloud=CLOUD_DOWN, fail_mode=SAFE), True, "", "THE DOOR IS OPEN"),
    (section(cloud=CLOUD_DOWN, fail_mode=SAFE, primary=None), False, "nobody is let in", ""),
    (section(cloud=CLOUD_UNKNOWN), True, "", ""),
    (section(cloud=None), True, "", ""),
]


@pytest.mark.parametrize(("of", "ready", "why", "warning"), CASES)
def test_a_section(of: SectionState, ready: bool, why: str, warning: str) -> None:
    state = section_readiness(of)
    assert state.ready is ready
    assert why in " ".join(state.why)
    assert bool(why) == bool(state.why)
    assert warning in " ".join(state.warnings)
    assert bool(warning) == bool(state.warnings)
    whole = readyz(Told(of_sections=[section(name="fine"), of]))
    assert whole is not None
    assert whole[0] is ready
    json.dumps(whole[1])


def test_an_open_breaker_is_out_of_reach() -> None:
    """Also while the last answer was good: nobody is being asked."""
    assert section(cloud=CLOUD_DOWN.__class__("api", Health.UP, breaker_open=True), fail_mode=SAFE).is_open


def test_the_whole() -> None:
    assert readiness(Told()).ready
    assert readiness(Told(of_sections=[])).ready, "an http_proxy alone"
    assert readiness(Told(is_draining=True)).why == ("draining",)
    assert readiness(Told(of_troubles=["the audit can't be written"])).warnings == (
        "the audit can't be written",
    )
    assert readiness(Told(of_sections=[section(listening=())])).why == ("vpn: not listening",)


def test_one_section_alone() -> None:
    told = Told(of_sections=[section(), section(name="citrix", listening=())])
    found = {name: readyz(told, name) for name in ("vpn", "citrix", "nobody")}
    assert found["vpn"] is not None
    assert found["vpn"][0] is True
    assert found["citrix"] is not None
    assert found["citrix"][0] is False
    assert found["nobody"] is None
    told.is_draining = True
    draining = readyz(told, "vpn")
    assert draining is not None
    assert draining[1]["why"] == ["draining"]


def test_the_report_has_what_the_contract_says() -> None:
    body = status(Told(of_sections=[section(cloud=CLOUD_DOWN)]), {"version": "1"})
    (found,) = body["sections"]
    assert found["primary"]["state"] == "up"
    assert found["cloud"] == {
        "api_host": "api-1.example.com",
        "state": "down",
        "why": "connect timeout",
        "since": "2025-01-31T11:58:20.000000Z",
        "slow": False,
        "latency": None,
        "breaker": "open",
    }
    assert found["why"]
    assert body["decisions"][0]["login"] == "L1"


@pytest.mark.parametrize(
    ("changes", "is_open", "warned"),
    [
        ({"primary_only_until": 3600.0}, True, "primary-only until 1970-01-01T01:00:00"),
        (
            {"slow": True, "slow_cloud": SlowCloud.WAIT},
            False,
            "degraded: cloud api answers slowly, 4.2 s of late",
        ),
        ({"slow": True, "slow_cloud": SlowCloud.PASSCODE}, False, "slow_cloud: passcode"),
        ({"slow": True, "slow_cloud": SlowCloud.FAILMODE}, True, "THE DOOR IS OPEN"),
    ],
)
def test_other_ways_to_an_open_door(changes: dict[str, Any], is_open: bool, warned: str) -> None:
    changes = dict(changes)
    cloud = CloudState("api", Health.UP, slow=changes.pop("slow", False), latency=4.2)
    primary = PrimaryState("ad_client", (HostState("dc1:636", Health.UP),))
    state = SectionState(
        "vpn", "radius_server_auto", ("[::]:1812",), FailMode.SAFE, primary, cloud, **changes
    )
    assert state.is_open is is_open
    (warning,) = section_readiness(state).warnings
    assert warned in warning
    assert section_readiness(state).ready


@pytest.mark.parametrize(
    ("fail_mode", "cloud", "changes", "expected"),
    [
        (
            SECURE,
            CloudState("api", Health.UP, slow=True),
            {"slow_cloud": SlowCloud.FAILMODE},
            "slow_cloud: failmode",
        ),
        (SAFE, CLOUD_DOWN, {"shut_by": "max_minutes"}, "nobody is let in any more (max_minutes)"),
    ],
)
def test_other_ways_to_a_shut_one(
    fail_mode: FailMode, cloud: CloudState, changes: dict[str, Any], expected: str
) -> None:
    primary = PrimaryState("ad_client", (HostState("dc1:636", Health.UP),))
    state = SectionState("vpn", "radius_server_auto", ("[::]:1812",), fail_mode, primary, cloud, **changes)
    assert not state.is_open
    (why,) = section_readiness(state).why
    assert expected in why
