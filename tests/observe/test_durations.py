"""What a scrape reads is what prometheus_client's own histogram would have shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from authproxy.observe.durations import Durations
from authproxy.observe.metrics import Metrics

BOUNDS = (0.002, 0.5, 30.0)
SECONDS = st.one_of(st.sampled_from([0.0, *BOUNDS, 31.0]), st.floats(0, 100))

# Making them is what switches the second series off that theirs would have.
Metrics()


@given(st.lists(st.tuples(st.sampled_from(["vpn", 'a"b']), SECONDS)))
def test_it_shows_what_theirs_shows(observed: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Durations("took_seconds", "How long.", BOUNDS, ours)
    other = Histogram("took_seconds", "How long.", ("section",), buckets=BOUNDS, registry=theirs)
    for section, seconds in observed:
        mine.of(section).observe(seconds)
        other.labels(section).observe(seconds)
    assert generate_latest(ours) == generate_latest(theirs)
