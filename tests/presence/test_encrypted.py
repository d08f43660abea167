"""In an encrypted mesh an instance for which nobody tells serves once it has its identity, too."""

from __future__ import annotations

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.testing.waiting import eventually
from kuma_core.xds.contract import LISTENER

from ..security.support import NODE, SDS, stream
from .support import CALLER, control_plane, endpoints, envoy, web

MESH = {"type": "Mesh", "name": "default", "mtls": {"enabled": True, "ca": {"builtin": {}}}}


def test_an_instance_waits_for_its_identity() -> None:
    """Until then its listeners wait for it, whatever they acknowledged."""
    with control_plane(kuma_store_memory, kuma_ca_builtin) as (cp, envoys):
        cp.apply(MESH, CALLER, web(1))
        caller, instance = envoy("caller"), envoy("web-1")
        envoys.connect(caller)
        envoys.connect(instance)
        eventually(lambda: caller.count(LISTENER) and instance.count(LISTENER))
        overview = "/meshes/default/dataplanes+insights/web-1"
        eventually(lambda: "responsesAcknowledged" in str(cp.get(overview).body["dataplaneInsight"]))
        with stream(cp, SDS, cp.token("web-1")) as opened:
            opened.ask("identity_cert", node=NODE)
            response, _ = opened.secret()
            cp.catch_up()
            assert endpoints(caller) == []
            assert cp.get(overview).body["presence"]["state"] == "Joining"
            opened.ask("identity_cert", node=NODE, nonce=response.nonce, version=response.version_info)
            eventually(lambda: endpoints(caller) == ["10.0.0.1"])
