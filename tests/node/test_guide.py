"""A reader of the page on Kubernetes has, in the end, what it promises."""

from __future__ import annotations

import re

import pytest

from .conftest import Mesh

pytestmark = pytest.mark.node


def test_the_page_leads_from_an_empty_cluster_to_encrypted_traffic(mesh: Mesh) -> None:
    told = mesh.told
    assert "deployment.apps/kuma-control-plane created" in told.install
    assert re.search(r"^default\s", told.install, re.MULTILINE)
    names = re.findall(r"^demo\s+((?:web|backend)-\S+)", told.inspect, re.MULTILINE)
    assert sorted(name.partition("-")[0] for name in names) == ["backend", "backend", "web"]
    online = re.findall(r"^default\s+(\S+)\.demo\s.*\sOnline\s", told.inspect, re.MULTILINE)
    assert sorted(online) == sorted(names)
    assert re.fullmatch(r"hello from backend-\S+\s*", told.call)
    assert told.call_encrypted.startswith("hello from backend-")
    assert told.outside.strip().splitlines()[-1].startswith("no answer:")
