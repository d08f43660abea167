"""The status of a Dataplane's proxies: the first rule that applies, by table."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from kuma_core.specs.insight import CertificateStatus, InsightSpec, Subscription, SubscriptionStatus
from kuma_core.specs.proxy_status import LONGEST_REASON, StatusSpec, is_transition, rejection_of, status_of

AT_1, AT_2, AT_3 = (datetime(2020, 1, 1, hour, tzinfo=UTC) for hour in (1, 2, 3))


def opened(at: datetime, rejection: str = "", end: datetime | None = None, why: str = "") -> Subscription:
    status = SubscriptionStatus(last_rejection=rejection)
    return Subscription(
        id=str(at), connect_time=at, disconnect_time=end, disconnect_reason=why, status=status
    )


NEVER = StatusSpec(
    state="Never connected",
    reason="no Envoy of it has opened a stream to a control plane yet; is kuma-dp running?",
)
CASES = {
    "no insight": (None, NEVER),
    "an insight without a stream": (InsightSpec(problem="x"), NEVER),
    "all streams ended: since the last end": (
        InsightSpec(subscriptions=(opened(AT_1, end=AT_3), opened(AT_1, end=AT_2))),
        StatusSpec(state="Offline", since=AT_3, reason="the last stream to a control plane ended"),
    ),
    "the control plane ended the last one: with its reason": (
        InsightSpec(subscriptions=(opened(AT_1, end=AT_3, why="its token"), opened(AT_1, end=AT_2, why="x"))),
        StatusSpec(state="Offline", since=AT_3, reason="the last stream to a control plane ended: its token"),
    ),
    "the control plane ended one before the last one": (
        InsightSpec(subscriptions=(opened(AT_1, end=AT_2, why="x"), opened(AT_1, end=AT_3))),
        StatusSpec(state="Offline", since=AT_3, reason="the last stream to a control plane ended"),
    ),
    "one of two streams is open: since it began": (
        InsightSpec(subscriptions=(opened(AT_2), opened(AT_1, end=AT_3))),
        StatusSpec(state="Online", since=AT_2),
    ),
    "the newest of two open streams": (
        InsightSpec(subscriptions=(opened(AT_2), opened(AT_1))),
        StatusSpec(state="Online", since=AT_2),
    ),
    "rejected": (
        InsightSpec(subscriptions=(opened(AT_1, "lds: no"),), degraded_since=AT_2),
        StatusSpec(state="Degraded", since=AT_2, reason="a configuration was rejected: lds: no"),
    ),
    "what an ended stream rejected is over": (
        InsightSpec(subscriptions=(opened(AT_1, "lds: no", AT_2), opened(AT_3))),
        StatusSpec(state="Online", since=AT_3),
    ),
    "several troubles, written before the moment was noted": (
        InsightSpec(
            problem="generator: no",
            certificates=CertificateStatus(refused=1, problem="the CA is away"),
            subscriptions=(opened(AT_1),),
        ),
        StatusSpec(
            state="Degraded",
            since=AT_1,
            reason="an older configuration is kept: generator: no; a certificate cannot be issued: the CA is away",
        ),
    ),
    "a certificate that was refused once and issued since": (
        InsightSpec(certificates=CertificateStatus(refused=4), subscriptions=(opened(AT_1),)),
        StatusSpec(state="Online", since=AT_1),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_rule_that_applies_counts(case: str) -> None:
    insight, expected = CASES[case]
    assert status_of(insight) == expected


def test_a_reason_is_bounded() -> None:
    insight = InsightSpec(subscriptions=(opened(AT_1, "x" * 10_000),))
    assert len(status_of(insight).reason) == LONGEST_REASON
    assert len(rejection_of(insight)) == 10_000


def test_counters_and_a_second_stream_are_no_transition_but_words_and_reasons_are() -> None:
    online = InsightSpec(subscriptions=(opened(AT_1),))
    later = SubscriptionStatus(last_update_time=AT_2)
    counted = InsightSpec(subscriptions=(Subscription(id="1", connect_time=AT_1, status=later),))
    rejecting = [InsightSpec(subscriptions=(opened(AT_1, text),)) for text in ("lds: no", "lds: never")]
    offline = InsightSpec(subscriptions=(opened(AT_1, end=AT_2),))
    assert not is_transition(online, counted)
    assert not is_transition(online, InsightSpec(subscriptions=(opened(AT_1), opened(AT_2))))
    steps = [None, online, *rejecting, offline, online]
    assert all(is_transition(*pair) for pair in pairwise(steps))
