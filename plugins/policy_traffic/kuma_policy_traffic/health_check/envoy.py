"""What a HealthCheck does to the cluster of a destination."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from kuma_core.sdk import PERIOD, Match, Subject
from kuma_policy_traffic.health_check.spec import ActiveChecks, PassiveChecks

NANOSECONDS_PER_MICROSECOND = 1000


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks that are configured; durations in nanoseconds."""

    active: tuple[int, int, int, int] | None
    passive: tuple[int, int] | None


def resolve(matches: tuple[Match, ...], subject: Subject) -> Checks | None:
    """The checks of the one policy that governs the destination."""
    del subject
    (match,) = matches
    found = match.spec.conf.configured() if match.spec.conf else {}
    active, passive = found.get("activeChecks"), found.get("passiveChecks")
    if not found:
        return None
    return Checks(
        active=_active(active) if isinstance(active, ActiveChecks) else None,
        passive=_passive(passive) if isinstance(passive, PassiveChecks) else None,
    )


def _active(checks: ActiveChecks) -> tuple[int, int, int, int]:
    return (checks.interval, checks.timeout, checks.unhealthy_threshold, checks.healthy_threshold)


def _passive(checks: PassiveChecks) -> tuple[int, int]:
    return (checks.unhealthy_threshold, checks.penalty_interval)


def apply(cluster: object, conf: Checks) -> None:
    """Add a connect-only check, and outlier detection that may take out even the only suspicious host.

    Envoy checks a cluster without traffic every 60 s and keeps an ejected host out for 30 s, whatever the
    policy says; both are set to what the operator wrote.
    """
    from kuma_core.sdk.envoy import HealthCheck, HealthCheckTcpHealthCheck, OutlierDetection

    if conf.active:
        interval, timeout, unhealthy, healthy = conf.active
        check = HealthCheck(
            tcp_health_check=HealthCheckTcpHealthCheck(),
            interval=_duration(interval),
            no_traffic_interval=_duration(interval),
            timeout=_duration(timeout),
            unhealthy_threshold=unhealthy,
            healthy_threshold=healthy,
        )
        cluster.health_checks = [check]  # type: ignore[attr-defined]
    if conf.passive:
        threshold, penalty = conf.passive
        cluster.outlier_detection = OutlierDetection(  # type: ignore[attr-defined]
            consecutive_5xx=threshold,
            interval=_duration(penalty),
            base_ejection_time=_duration(penalty),
            always_eject_one_host=True,
        )


def _duration(nanoseconds: int) -> timedelta:
    """Within bounds, also if an earlier version stored what this one refuses."""
    return timedelta(microseconds=PERIOD.clamp(nanoseconds) // NANOSECONDS_PER_MICROSECOND)
