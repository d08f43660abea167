"""What a mesh may say of its authority."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import CaProviderFactory, Severity, Violation
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform

CHANGED = "Changing CA when mTLS is enabled is forbidden. Disable mTLS first and then change the CA"
NO_CERTIFICATE = "There is no signing certificate in provided CA for a given mesh."


class Provided:
    """Stands for the plugin that keeps certificates which somebody uploads: it has none yet."""

    def validate(self, mesh: str, conf: Any) -> Any:
        yield Violation("", NO_CERTIFICATE, Severity.WARNING)

    def ensure(self, mesh: str) -> None:
        pass

    def trust_anchors(self, mesh: str) -> list[str]:
        return []

    def issue(self, *words: Any) -> str:
        raise AssertionError("nobody asks")


def provided() -> ModuleType:
    made = ModuleType("provided")
    factory = CaProviderFactory("provided", lambda config, secrets: Provided())
    vars(made)["kuma_register_ca_providers"] = hookimpl(lambda: [factory])
    made.kuma_register_ca_providers.__name__ = "kuma_register_ca_providers"
    return made


@pytest.fixture(scope="module")
def cp() -> Any:
    with running_platform([kuma_store_memory, kuma_ca_builtin, provided()]) as platform:
        yield platform


@pytest.fixture(scope="module")
def bare() -> Any:
    """A control plane without any authority."""
    with running_platform([kuma_store_memory]) as platform:
        yield platform


def put(cp: RunningPlatform, name: str, ca: str = "", enabled: bool = False) -> JsonAnswer:
    mtls = {"enabled": enabled, **({"ca": {ca: {}}} if ca else {})}
    return cp.put(f"/meshes/{name}", mesh(name, mtls=mtls))


def causes(answer: JsonAnswer) -> list[tuple[str, str]]:
    assert answer.status == 400, answer
    return [(cause["field"], cause["message"]) for cause in answer.body["causes"]]


def test_the_builtin_authority_is_the_default_even_where_it_is_not_loaded(bare: RunningPlatform) -> None:
    assert put(bare, "a").status == 201
    assert put(bare, "b", "builtin").status == 201


@pytest.mark.parametrize(
    ("name", "enabled", "install"),
    [
        ("builtin", True, "kuma-ca-builtin (pip install './plugins/ca_builtin[cp]' in a checkout)"),
        ("provided", False, "kuma-ca-provided (pip install './plugins/ca_provided[cp]' in a checkout)"),
        ("vault", False, "that does"),
        ("vault", True, "that does"),
    ],
)
def test_an_authority_without_its_plugin_is_refused_and_the_plugin_named(
    bare: RunningPlatform, name: str, enabled: bool, install: str
) -> None:
    ((field, message),) = causes(put(bare, "c", name, enabled))
    assert field == f"mtls.ca.{name}"
    assert message == (
        f'no loaded plugin provides the "{name}" certificate authority; '
        f"install the plugin {install} and restart the control plane"
    )
    assert bare.get("/meshes/c").status == 404


def test_mutual_tls_with_a_loaded_authority_is_accepted_without_a_word(cp: RunningPlatform) -> None:
    for status in (201, 200):
        answer = put(cp, "tls", "builtin", enabled=True)
        assert answer.status == status
        assert "Warning" not in answer.headers


def test_the_authority_may_not_change_while_mutual_tls_stays_on(cp: RunningPlatform) -> None:
    put(cp, "shop", "builtin", enabled=True)
    assert causes(put(cp, "shop", "provided", enabled=True)) == [("mtls.ca", CHANGED)]
    assert cp.get("/meshes/shop").body["mtls"]["ca"] == {"builtin": {}}


def test_the_authority_may_change_in_the_write_that_turns_mutual_tls_off_or_on(
    cp: RunningPlatform,
) -> None:
    put(cp, "barn", "builtin", enabled=True)
    assert put(cp, "barn", "provided", enabled=False).status == 200
    assert put(cp, "barn", "builtin", enabled=True).status == 200


def test_stops_at_the_first_failure(cp: RunningPlatform) -> None:
    put(cp, "mill", "builtin", enabled=True)
    assert causes(put(cp, "mill", "vault", enabled=True)) == [("mtls.ca", CHANGED)]


def test_the_provided_authority_is_accepted_before_its_certificate(cp: RunningPlatform) -> None:
    answer = put(cp, "field", "provided")
    assert answer.status == 201
    assert f"mtls.ca.provided: {NO_CERTIFICATE}" in answer.headers["Warning"]


def test_a_mesh_that_turns_to_builtin_gets_its_root(cp: RunningPlatform) -> None:
    put(cp, "pond", "provided")
    assert [record.key.name for record in cp.platform.core.store.list("Secret", "pond")] == []
    put(cp, "pond", "builtin")
    assert [record.key.name for record in cp.platform.core.store.list("Secret", "pond")] == ["builtinca.pond"]


def test_content_of_the_builtin_authority_is_dropped_and_told(cp: RunningPlatform) -> None:
    document = mesh("hill", mtls={"ca": {"builtin": {"rotation": "1d"}}})
    answer = cp.put("/meshes/hill", document)
    assert 'unknown field \\"mtls.ca.builtin.rotation\\" is ignored' in answer.headers["Warning"]
    assert cp.get("/meshes/hill").body == {**document, "mtls": {"ca": {"builtin": {}}}}
