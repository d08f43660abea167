"""Transparent proxying: one bound listener for all redirected connections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterDiscoveryType,
    ClusterLbPolicy,
)

from kuma_core.specs.interfaces import ANY_ADDRESS
from kuma_core.xds.contract import CLUSTER, LISTENER, Draft, ProxyView
from kuma_core.xds.drafts import ListenerDraft
from kuma_core.xds.generators.common import CONNECT_TIMEOUT_SECONDS, tcp_listener

CATCH_ALL = "catch_all"
PASS_THROUGH = "pass_through"


@dataclass(frozen=True, slots=True)
class CatchAll:
    """What the listener for redirected connections depends on."""

    port: int


def generate_transparent(view: ProxyView) -> Iterable[Draft]:
    """Nothing, unless the Dataplane says where redirected connections arrive."""
    if view.is_virtual:
        yield Draft(CLUSTER, PASS_THROUGH, PASS_THROUGH, build_pass_through)
        yield Draft(LISTENER, CATCH_ALL, CatchAll(view.dataplane.redirect_port), build_catch_all)


def build_pass_through(inputs: str) -> Cluster:
    """A cluster whose endpoint is wherever a connection was meant to go."""
    return Cluster(
        name=inputs,
        type=ClusterDiscoveryType.ORIGINAL_DST,
        lb_policy=ClusterLbPolicy.CLUSTER_PROVIDED,
        connect_timeout=timedelta(seconds=CONNECT_TIMEOUT_SECONDS),
    )


def build_catch_all(inputs: CatchAll) -> ListenerDraft:
    """Hands a connection to the listener of its original destination, or lets it pass if there is none."""
    draft = tcp_listener(CATCH_ALL, ANY_ADDRESS, inputs.port, ((PASS_THROUGH, 1),), stat_prefix=PASS_THROUGH)
    draft.message.use_original_dst = True
    return draft
