"""Whatever is sent, an answer comes, and no traceback."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kuma_injector_k8s.kube.access import Access
from kuma_injector_k8s.kube.api import Api
from kuma_injector_k8s.kube.meshes import Meshes
from kuma_injector_k8s.log import Log
from kuma_injector_k8s.serving.app import App

from .running import asked
from .samples import config, pod

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(item: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value of a document is."""
    inner = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def answered(body: bytes) -> tuple[int, bytes]:
    def nobody() -> Any:
        raise OSError("there is no API server")

    meshes = Meshes(Api(Access("https://nowhere", nobody, str)), Log("off"))
    meshes._known["default"] = {"metrics": {"prometheus": {}}}
    return asyncio.run(App(config(), meshes, Log("off")).reply("POST", "/inject-sidecar", body))


def full_pod() -> dict[str, Any]:
    item = pod({"kuma.io/mesh": "default"}, initContainers=[{"name": "first"}])
    item["spec"]["containers"][0] |= {
        "readinessProbe": {
            "httpGet": {"path": "/", "port": 8080, "httpHeaders": [{"name": "a", "value": "b"}]}
        },
        "livenessProbe": {"tcpSocket": {"port": "http"}},
    }
    return item


PLACES = places(json.loads(asked(full_pod())))


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(PLACES[1:]), JSON)
def test_any_member_may_be_anything(place: tuple[Any, ...], value: Any) -> None:
    document = json.loads(asked(full_pod()))
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    code, body = answered(json.dumps(document).encode())
    assert code in (200, 400)
    if code == 200:
        response = json.loads(body)["response"]
        assert response["allowed"] or response["status"]["message"]


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_answered(body: bytes) -> None:
    assert answered(body)[0] == 400
