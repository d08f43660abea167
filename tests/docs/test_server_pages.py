"""The pages of the bootstrap and the diagnostics server, compared with what these servers say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import kuma_store_memory
from kuma_core.api.bootstrap import MAX_BODY_BYTES
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
BOOTSTRAP = (REFERENCE / "bootstrap.md").read_text()
METRICS = (REFERENCE / "metrics.md").read_text()


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory]) as platform:
        platform.apply(mesh("shop"), dataplane("orders-1", inbound("10.0.0.1:80:80", "orders"), mesh="shop"))
        yield platform


def test_every_metric_has_a_row_with_its_type(cp: RunningPlatform) -> None:
    text = cp.request("GET", "/metrics", port=cp.diagnostics).body
    found = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    documented = dict(re.findall(r"^\| `(\w+)` \| (\w+) \| ", METRICS, re.MULTILINE))
    assert documented == found


def test_every_label_is_told(cp: RunningPlatform) -> None:
    text = cp.request("GET", "/metrics", port=cp.diagnostics).body
    rows = dict(re.findall(r"^\| `(\w+)` \| \w+ \| (.*?) ?\| ", METRICS, re.MULTILINE))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name if sample.name in rows else family.name
            assert sorted(re.findall(r"`(\w+)`", rows[name])) == sorted(sample.labels.keys() - {"le"})


def test_the_sample_of_a_bootstrap(cp: RunningPlatform) -> None:
    request = {"mesh": "shop", "name": "orders-1", "adminPort": 30001, "dataplaneTokenPath": "/run/token"}
    answer = cp.request("POST", "/bootstrap", request, port=cp.bootstrap).body
    sample = re.findall(r"```yaml\n(.*?)```", BOOTSTRAP, re.DOTALL)
    shown = re.sub(r'inlineString: "[^"]*"', 'inlineString: "…"', answer)
    assert sample == [shown.replace(f'"localhost:{cp.xds_port}"', '"localhost:5678"')]
    assert f"may have {MAX_BODY_BYTES} bytes" in BOOTSTRAP


def test_every_setting_of_the_bootstrap_has_a_row(cp: RunningPlatform) -> None:
    documented = set(re.findall(r"^\| `(bootstrapServer\.\S+)` \|", BOOTSTRAP, re.MULTILINE))
    settings = {item.path for item in cp.platform.catalog.settings}
    assert documented == {path for path in settings if path.startswith("bootstrapServer.")}
