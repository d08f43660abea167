"""A cluster that breaks a rule of Envoy's messages has a whole response refused: what becomes of the others."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kuma_core.sdk.envoy import (
    AggregatedConfigSource,
    ApiVersion,
    Cluster,
    ClusterDiscoveryType,
    ClusterEdsClusterConfig,
    ConfigSource,
)
from kuma_core.testing.waiting import eventually
from kuma_core.xds.contract import CLUSTER, ENDPOINTS
from kuma_core.xds.seal import Sealed, seal
from kuma_core.xds.snapshot import Snapshot

from .one_envoy import OneEnvoy, one_envoy


def cluster(name: str, seconds: int = 1) -> Sealed:
    source = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
    message = Cluster(
        name=name,
        type=ClusterDiscoveryType.EDS,
        connect_timeout=timedelta(seconds=seconds),
        eds_cluster_config=ClusterEdsClusterConfig(eds_config=source),
    )
    return seal(CLUSTER, name, message)


def asked_for(envoy: OneEnvoy) -> set[str]:
    """The clusters that Envoy took: it asks for their endpoints."""
    (session,) = envoy._hub.sessions()
    endpoints = session.stream._subscriptions.get(ENDPOINTS)  # type: ignore[attr-defined]
    return set(endpoints.names) if endpoints else set()


@pytest.mark.parametrize(("variant", "beside"), [("delta", {"old", "good"}), ("sotw", {"old"})])
def test_an_unreadable_cluster_holds_up_the_others_in_state_of_the_world_alone(
    variant: str, beside: set[str], tmp_path: Path
) -> None:
    """What Envoy had goes on; what is new comes when the bad one is gone."""
    with one_envoy(tmp_path, variant) as envoy:
        assert envoy.offer(Snapshot([cluster("old")])) == []
        eventually(lambda: asked_for(envoy) == {"old"})
        refused = envoy.offer(Snapshot([cluster("old"), cluster("good"), cluster("bad", seconds=0)]))
        assert "Proto constraint validation failed" in refused[0]
        eventually(lambda: len(envoy._refused) > 1, what="that it is offered again")
        eventually(lambda: asked_for(envoy) == beside)
        envoy.offer(Snapshot([cluster("old"), cluster("good")]))
        eventually(lambda: asked_for(envoy) == {"old", "good"})
