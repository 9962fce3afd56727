"""FreeRADIUS as the NAS: it relays what radclient asks, with a Proxy-State and a Message-Authenticator of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench import wire
from tests.system.bench.journal import RadiusReply, RadiusRequest
from tests.system.bench.wire import MESSAGE_AUTHENTICATOR, PROXY_STATE
from tests.system.nas.world import CASES, Doors
from tests.system.parts.clients import radclient
from tests.system.parts.eapol import eapol
from tests.system.parts.freeradius import FreeRadius

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def relays(_doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, FreeRadius]]:
    def relay(name: str, port: int) -> FreeRadius:
        secret = _doors.canaries.new(f"the secret of {name}'s relay")
        return FreeRadius(tmp_path_factory.mktemp(name), secret, relay_to=(port, _doors.secret))

    auto = relay("auto", _doors.door(_doors.auto, signs=True))
    asking = relay("asking", _doors.door(_doors.asking, signs=True))
    eap = relay("eap", _doors.door(_doors.eap, signs=True))
    with auto, asking, eap:
        yield {"auto": auto, "asking": asking, "eap": eap}


@pytest.mark.parametrize("case", CASES)
def test_log_in(doors: Doors, relays: dict[str, FreeRadius], case: str) -> None:
    relay = relays["auto"]
    before = len(doors.journal)

    def log_in(user: str, password: str) -> bool:
        said = radclient(
            "127.0.0.1", relay.port, relay.secret, user, password, 'Proxy-State = "the first hop"'
        )
        assert said.reply in {"Access-Accept", "Access-Reject"}, said.text
        # R34: the hop before the last one gets its own back, and no other.
        received = said.text.partition("Received ")[2]
        assert received.count("Proxy-State = ") == 1, said.text
        return said.reply == "Access-Accept"

    doors.play(case, log_in)
    asked = doors.journal.all(RadiusRequest, since=before)[-1]
    sent = list(wire.split_attributes(asked.octets[20:]))
    assert len([value for kind, value in sent if kind == PROXY_STATE]) == 2
    assert [len(value) for kind, value in sent if kind == MESSAGE_AUTHENTICATOR] == [16]
    (reply,) = doors.journal.all(RadiusReply, lambda reply: reply.request == asked.order)
    states = [pair for pair in wire.split_attributes(reply.octets[20:]) if pair[0] == PROXY_STATE]
    assert states == [pair for pair in sent if pair[0] == PROXY_STATE]


@pytest.mark.parametrize("case", CASES)
def test_a_menu(doors: Doors, relays: dict[str, FreeRadius], case: str) -> None:
    """The State of our challenge goes there and back over the relay."""
    relay = relays["asking"]

    def log_in(user: str, password: str, answer: str) -> bool:
        said = radclient("127.0.0.1", relay.port, relay.secret, user, password)
        if said.reply != "Access-Challenge":
            return said.reply == "Access-Accept"
        state = said.text.partition("State = ")[2].split()[0]
        said = radclient("127.0.0.1", relay.port, relay.secret, user, answer, f"State = {state}")
        assert said.reply in {"Access-Accept", "Access-Reject"}, said.text
        return said.reply == "Access-Accept"

    doors.play_menu(case, log_in)


@pytest.mark.parametrize("method", ["peap-gtc", "ttls-pap"])
@pytest.mark.parametrize("case", CASES)
def test_eap(doors: Doors, relays: dict[str, FreeRadius], tmp_path: Path, method: str, case: str) -> None:
    """TLS begins at the device and ends at us; the relay takes our keys and gives them on under its own secret."""
    relay = relays["eap"]

    def log_in(user: str, password: str) -> bool:
        where = {"port": relay.port, "secret": relay.secret, "authority": doors.eap_authority}
        heard = eapol(tmp_path, method, user, password, **where)
        assert heard.accepted or heard.failure, heard.text[-3000:]
        assert heard.keys == heard.accepted
        return heard.accepted

    doors.play(case, log_in)
