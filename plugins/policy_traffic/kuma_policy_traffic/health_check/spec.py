"""The spec of a HealthCheck."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from kuma_core.sdk import (
    PERIOD,
    Duration,
    Severity,
    Spec,
    UInt32,
    Violation,
    out_of_bounds,
    parse_duration,
    plain_duration,
)
from kuma_policy_traffic.selectors import Selectors, connection_problems

Period = Annotated[Duration, PERIOD]

BUSY = parse_duration("100ms")
"""What happens more often costs each proxy a noticeable part of a processor, for every cluster that it is done to."""


class ActiveChecks(Spec):
    """Connections made for the sake of checking. An empty one counts as absent."""

    interval: Period = 0
    timeout: Period = 0
    unhealthy_threshold: UInt32 = 0
    healthy_threshold: UInt32 = 0

    def amounts(self) -> Mapping[str, int]:
        """Every field by its name in a document; all of them must be positive."""
        return {
            "interval": self.interval,
            "timeout": self.timeout,
            "unhealthyThreshold": self.unhealthy_threshold,
            "healthyThreshold": self.healthy_threshold,
        }

    @property
    def repeats(self) -> tuple[str, int]:
        """The field that says how often something is done, and its value."""
        return "interval", self.interval


class PassiveChecks(Spec):
    """Conclusions from the traffic itself. An empty one counts as absent."""

    unhealthy_threshold: UInt32 = 0
    penalty_interval: Period = 0

    def amounts(self) -> Mapping[str, int]:
        """Every field by its name in a document; all of them must be positive."""
        return {"unhealthyThreshold": self.unhealthy_threshold, "penaltyInterval": self.penalty_interval}

    @property
    def repeats(self) -> tuple[str, int]:
        """The field that says how often something is done, and its value."""
        return "penaltyInterval", self.penalty_interval


class HealthCheckConf(Spec):
    """At least one of the two ways."""

    active_checks: ActiveChecks | None = None
    passive_checks: PassiveChecks | None = None

    def configured(self) -> Mapping[str, ActiveChecks | PassiveChecks]:
        """The checks that are there and not empty."""
        checks = {"activeChecks": self.active_checks, "passiveChecks": self.passive_checks}
        return {name: check for name, check in checks.items() if check and any(check.amounts().values())}


class HealthCheckSpec(Spec):
    """Check the instances of the destinations from the proxies of the sources."""

    sources: Selectors = ()
    destinations: Selectors = ()
    conf: HealthCheckConf | None = None

    def violations(self) -> Iterator[Violation]:
        """Refuse amounts that are not positive, too: Envoy would refuse the whole cluster."""
        yield from connection_problems(self.sources, self.destinations)
        checks = self.conf.configured() if self.conf else {}
        if not checks:
            yield Violation("conf", "must have either active or passive checks configured")
        for name, check in checks.items():
            yield from _check_problems(f"conf.{name}", check)


def _check_problems(path: str, check: ActiveChecks | PassiveChecks) -> Iterator[Violation]:
    for field, amount in check.amounts().items():
        if amount <= 0:
            yield Violation(f"{path}.{field}", "must have a positive value")
    yield from out_of_bounds(check, path)
    field, period = check.repeats
    if PERIOD.least <= period < BUSY:
        text = f"{plain_duration(period)} keeps every proxy busy that it applies to; use {plain_duration(BUSY)} or more"
        yield Violation(f"{path}.{field}", text, Severity.WARNING)
