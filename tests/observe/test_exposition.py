"""What a scrape reads is what prometheus_client's own metrics would have shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from authproxy.observe.exposition import page
from authproxy.observe.series import Asked, Counts, Durations

BOUNDS = (0.002, 0.5, 30.0)
SECONDS = st.one_of(st.sampled_from([0.0, *BOUNDS, 31.0]), st.floats(0, 100))
SECTIONS = st.sampled_from(["vpn", 'a"b', "c\\d\n"])

# Their second series for each counter, which nobody reads.
disable_created_metrics()


@given(st.lists(st.tuples(SECTIONS, SECONDS)))
def test_durations(observed: list[tuple[str, float]]) -> None:
    theirs = CollectorRegistry()
    mine = Durations("took_seconds", "How long.", ("section",), BOUNDS)
    other = Histogram("took_seconds", "How long.", ("section",), buckets=BOUNDS, registry=theirs)
    for section, seconds in observed:
        mine.labels(section).observe(seconds)
        other.labels(section).observe(seconds)
    assert page([mine]) == generate_latest(theirs)


@given(st.lists(SECONDS))
def test_durations_without_labels(observed: list[float]) -> None:
    theirs = CollectorRegistry()
    mine = Durations("late_seconds", "How late.", (), BOUNDS)
    other = Histogram("late_seconds", "How late.", buckets=BOUNDS, registry=theirs)
    one = mine.labels()
    for seconds in observed:
        one.observe(seconds)
        other.observe(seconds)
    assert page([mine]) == generate_latest(theirs)


@given(st.lists(st.tuples(SECTIONS, st.booleans())))
def test_counts(counted: list[tuple[str, bool]]) -> None:
    theirs = CollectorRegistry()
    mine = Counts("opened", "A \\ and\na line.", ("section", "cause"))
    other = Counter("opened_total", "A \\ and\na line.", ("section", "cause"), registry=theirs)
    for section, happens in counted:
        ours, one = mine.labels(section, "slow"), other.labels(section, "slow")
        if happens:
            ours.inc()
            one.inc()
    assert page([mine]) == generate_latest(theirs)


@given(st.dictionaries(SECTIONS, st.one_of(SECONDS, st.booleans())))
def test_asked(values: dict[str, float]) -> None:
    theirs = CollectorRegistry()
    mine = Asked("pending", "How many.", ("section",))
    other = Gauge("pending", "How many.", ("section",), registry=theirs)
    for section, value in values.items():
        mine.ask(section, of=lambda value=value: value)  # type: ignore[misc]
        other.labels(section).set_function(lambda value=value: value)  # type: ignore[misc]
    assert page([mine]) == generate_latest(theirs)
