"""A token goes to another machine over HTTPS, to whom Envoy would show it too, and else not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kuma_store_memory
from kuma_core.builtin.presence.contract import Presence
from kuma_core.dataplane import bootstrap_document, serving_door
from kuma_core.dataplane.control_plane import Catalog, fetch_catalog
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.run import _arrange
from kuma_core.dataplane.serving_door import NotHeard
from kuma_core.dataplane.settings import check, resolve
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port

REQUEST = {"mesh": "default", "name": "web-1"}


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    settings = {"KUMA_XDS_SERVER_ENDPOINTS": "serving"}
    with running_platform([kuma_store_memory], settings) as platform:
        platform.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
        yield platform


def elsewhere(cp: RunningPlatform, serving_url: str | None = None) -> Catalog:
    """The catalog as a kuma-dp of another machine has it: the bootstrap server is none of its own."""
    found = fetch_catalog(cp.api_url, Log("off"))
    url = found.serving_url if serving_url is None else serving_url
    return Catalog("http://control-plane.example:5682", found.token_url, url)


def arranged(cp: RunningPlatform, folder: Path, catalog: Catalog) -> bool:
    token = folder / "token"
    token.write_text(cp.token("web-1"))
    environ = {"KUMA_DATAPLANE_NAME": "web-1", "KUMA_DATAPLANE_RUNTIME_TOKEN_PATH": str(token)}
    settings = check(resolve({}, environ)[0])
    tells = _arrange(settings, str(folder), catalog, str(token), Log("off"))
    bootstrap = cp.request("POST", "/bootstrap", REQUEST, cp.bootstrap).body
    serving_door.trust(str(folder), bootstrap_document.read(bootstrap.encode()) or {})
    return tells


def test_a_token_of_another_machine_goes_over_https(cp: RunningPlatform, tmp_path: Path) -> None:
    assert arranged(cp, tmp_path, elsewhere(cp))
    door = serving_door.arranged(str(tmp_path))
    assert door is not None
    assert door.url == f"https://localhost:{cp.https}/serving"
    assert door.ask("default", "web-1", True).serving is True
    assert cp.offer("builtin.presence", Presence).serving("default", "web-1") is True


def test_it_does_not_go_to_somebody_else(cp: RunningPlatform, tmp_path: Path) -> None:
    assert arranged(cp, tmp_path, elsewhere(cp))
    with running_platform([kuma_store_memory]) as other:
        bootstrap_of_other = other.platform.core.proxies.bootstrap.root
    Path(serving_door.root_file(str(tmp_path))).write_text(bootstrap_of_other)
    door = serving_door.arranged(str(tmp_path))
    assert door is not None
    with pytest.raises(NotHeard, match="certificate"):
        door.ask("default", "web-1", False)


def test_nothing_is_promised_where_nobody_listens(cp: RunningPlatform, tmp_path: Path) -> None:
    """Else nobody would ever call the instance."""
    for url in (f"https://localhost:{free_port()}", ""):
        assert not arranged(cp, tmp_path, elsewhere(cp, url))
        assert serving_door.arranged(str(tmp_path)) is None


def test_a_certificate_that_proxies_do_not_know_is_not_announced() -> None:
    for setting in ({"KUMA_XDS_SERVER_TLS_ENABLED": "false"}, {"KUMA_API_SERVER_HTTPS_ENABLED": "false"}):
        with running_platform([kuma_store_memory], setting) as cp:
            assert cp.get("/catalog").body["apis"]["serving"] == {"url": ""}
