"""``kumactl export`` and ``import`` with real control planes: what comes back."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import kuma_store_memory
from kuma_ca_builtin.root import new_root
from kuma_core.builtin.tokens.revocations import Revocations
from kuma_core.builtin.tokens.tokens import TokenVerifier
from kuma_core.errors import KumaError
from kuma_core.kumactl import export as export_module
from kuma_core.kumactl.kinds import Kind
from kuma_core.model import ResourceKey, Scope
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform

from .backups import PLUGINS, Places, everything, lasting, two_control_planes
from .conftest import Call
from .test_real_control_plane import ALL


@pytest.fixture
def places(kumactl: Call, home: Path) -> Iterator[Places]:
    with two_control_planes(kumactl, home) as found:
        yield found


# -- the round trip


def test_every_kind_comes_back_byte_by_byte(places: Places) -> None:
    assert places.at(places.old, "apply", stdin=ALL).code == 0
    places.old.apply(
        mesh("shop", mtls={"enabled": True}), dataplane("a", inbound("10.0.0.1:1:1", "a"), mesh="shop")
    )
    first = places.export(places.old)
    assert places.export(places.old) == first
    result = places.import_()
    assert (result.code, result.out.splitlines()[-1]) == (
        0,
        "imported resources: 11 created, 0 updated, 1 unchanged",
    )
    assert 'created Dataplane "checkout-1" in mesh payments' in result.out
    assert places.export(places.new) == first
    assert places.import_().out == "imported resources: 0 created, 0 updated, 12 unchanged\n"


def test_the_order_is_meshes_then_global_ones_then_mesh_by_mesh(places: Places) -> None:
    places.at(places.old, "apply", stdin=ALL)
    places.old.apply(
        dataplane("z", inbound("10.0.0.1:1:1", "a")), dataplane("b", inbound("10.0.0.1:1:1", "a"))
    )
    documents = list(yaml.safe_load_all(places.export(places.old)))
    order = [(d["type"] != "Mesh", "mesh" in d, d.get("mesh", ""), d["type"], d["name"]) for d in documents]
    assert order == sorted(order)
    assert {d["type"] for d in documents} >= {"Greeting", "Holiday", "TrafficRoute"}


def test_what_the_control_plane_writes_itself_is_left_out(places: Places) -> None:
    insight = {"type": "DataplaneInsight", "mesh": "default", "name": "web-1", "subscriptions": []}
    places.old.apply(dataplane("web-1", inbound("10.0.0.1:1:1", "a")), insight)
    documents = list(yaml.safe_load_all(places.export(places.old)))
    assert {d["type"] for d in documents} == {"Mesh", "Dataplane"}


def test_one_mesh_alone(places: Places) -> None:
    places.at(places.old, "apply", stdin=ALL)
    text = places.export(places.old, "--mesh", "payments")
    documents = list(yaml.safe_load_all(text))
    assert [d["name"] for d in documents if d["type"] == "Mesh"] == ["payments"]
    assert {d.get("mesh") for d in documents} == {None, "payments"}
    assert "Holiday" not in {d["type"] for d in documents}
    assert "This file holds one mesh alone" in text
    missing = places.at(places.old, "export", "--mesh", "nowhere")
    assert (missing.code, missing.err) == (1, 'Error: there is no Mesh with name "nowhere"\n')


def test_lists_are_read_page_by_page(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    places.old.apply(*(dataplane(f"web-{number}", inbound("10.0.0.1:1:1", "a")) for number in range(7)))
    whole = places.export(places.old)
    monkeypatch.setattr(export_module, "PAGE", 3)
    assert places.export(places.old) == whole


class Shifting:
    """A client of a server whose list becomes shorter between two pages, so often."""

    url = "http://x"

    def __init__(self, times: int) -> None:
        self._times = times
        self._names = [f"d{number}" for number in range(30)]

    def get(self, path: str, query: list[tuple[str, str]]) -> dict[str, Any]:
        offset = int(dict(query)["offset"])
        page = [{"name": name} for name in self._names[offset : offset + 4]]
        answer = {"items": page, "total": len(self._names), "next": offset + 4 < len(self._names)}
        if offset == 4 and self._times:
            self._times -= 1
            del self._names[0]
        return answer


DATAPLANES = Kind("Dataplane", "dataplanes", "dataplane", (), Scope.MESH, False, False, ())


def test_a_list_that_changed_is_read_anew() -> None:
    shifting: Any = Shifting(2)
    found = export_module._collection(shifting, DATAPLANES, "default")
    assert [item["name"] for item in found] == [f"d{number}" for number in sorted(range(2, 30), key=str)]


def test_a_list_that_changes_all_the_time_is_told() -> None:
    shifting: Any = Shifting(5)
    with pytest.raises(KumaError, match="the list of dataplanes changes all the time; try again"):
        export_module._collection(shifting, DATAPLANES, "default")


# -- the file and what is said


def test_without_secrets_the_file_and_stderr_say_what_is_lacking(places: Places) -> None:
    result = places.at(places.old, "export")
    assert result.err.startswith("Warning: This file lacks the secrets of the control plane: ")
    head = [line.removeprefix("# ") for line in result.out.split("---")[0].splitlines()]
    assert head[0] == "kumactl export, format 1"
    assert "\n".join(head[1:]) in result.err
    for lacking in (
        "builtin authority",
        "provided",
        "keys that sign",
        "revoked",
        "own\nTLS",
        "--with-secrets",
    ):
        assert lacking in result.err
    assert not any("PRIVATE" in text for text in (result.out, result.err))


def test_a_file_is_its_owners_alone_and_replaced_in_one_step(places: Places) -> None:
    places.file.write_text("an older one")
    places.file.chmod(0o644)
    assert "exported 1 resources to" in places.at(places.old, "export", "-o", str(places.file)).out
    assert stat.S_IMODE(places.file.stat().st_mode) == 0o600
    refused = places.at(places.old, "export", "-o", str(places.file / "x"))
    assert (refused.code, "cannot write" in refused.err) == (1, True)


def test_flags_that_do_not_fit(places: Places) -> None:
    flag = f"--passphrase-file={places.passphrase}"
    for argv in (("export", "--with-secrets"), ("export", flag)):
        result = places.at(places.old, *argv)
        assert (result.code, result.out) == (1, "")
        assert "--with-secrets and --passphrase-file belong together" in result.err
    places.export(places.old)
    assert "holds no secrets; leave --passphrase-file out" in places.import_(passphrase=True).err
    places.export(places.old, secrets=True)
    assert "give --passphrase-file FILE, or leave them --without-secrets" in places.import_().err
    assert "exclude each other" in places.import_("--without-secrets", passphrase=True).err
    assert 'required flag(s) "file" not set' in places.at(places.new, "import").err


def test_from_standard_input(places: Places) -> None:
    places.old.apply(mesh("shop"))
    text = places.at(places.old, "export").out
    assert places.at(places.new, "import", "-f", "-", stdin=text).code == 0
    assert places.new.get("/meshes/shop").status == 200


# -- with secrets


def verifier(cp: RunningPlatform) -> TokenVerifier:
    return TokenVerifier(cp.offer("builtin.tokens").keys, Revocations(cp.platform.core.secrets))


def test_a_mesh_that_was_moved_keeps_its_trust_and_its_tokens(kumactl: Call, home: Path) -> None:
    start_new = lasting()
    with running_platform([kuma_store_memory, *PLUGINS]) as old:
        with start_new() as new:
            places = Places(kumactl, home, old, new)
            cert, key = (pem.decode() for pem in new_root("cellar"))
            path = "/meshes/cellar/ca/provided/certificates"
            assert old.request("POST", path, {"cert": cert, "key": key}, old.admin).status == 200
            old.apply(mesh("shop", mtls={"enabled": True}))
            old.apply(mesh("cellar", mtls={"enabled": True, "ca": {"provided": {}}}))
            token = old.token("web-1", "shop")
            file = places.export(old, secrets=True)
            assert "PRIVATE" not in file
            refused = places.import_(passphrase=True)
            assert refused.code == 1
            assert "default/builtinca.default" in refused.err
            assert "nothing was written" in refused.err
            assert new.get("/meshes/shop").status == 404
            done = places.import_("--overwrite", passphrase=True)
            assert done.code == 0, done
            assert done.out.splitlines()[-3:] == [
                "imported resources: 2 created, 0 updated, 1 unchanged",
                "imported secrets: 2 created, 3 updated, 0 unchanged",
                "Now restart every control plane of this store: the root of its own TLS, which is read at start, "
                "is another one",
            ]
            assert new.trusted != old.trusted
        with start_new() as new:
            assert everything(new) == everything(old)
            assert new.trusted == old.trusted
            verifier(new).recognise(token)
            for authority, name in (("builtin", "shop"), ("builtin", "default"), ("provided", "cellar")):
                anchors = [cp.platform.core.authorities[authority].trust_anchors(name) for cp in (old, new)]
                assert anchors[0] == anchors[1] != ()
            again = places.at(new, "export", "-o", str(places.file))
            assert again.code == 0
            without = places.file.read_text()
            assert places.export(old) == without


def test_secrets_of_one_mesh_leave_those_of_the_control_plane_alone(places: Places) -> None:
    places.old.apply(mesh("shop", mtls={"enabled": True}))
    places.export(places.old, "--mesh=shop", secrets=True)
    before = dict(everything(places.new)["Secret"])
    done = places.import_(passphrase=True)
    assert done.code == 0, done
    assert "imported secrets: 1 created, 0 updated, 0 unchanged" in done.out
    assert "restart" not in done.out
    after = dict(everything(places.new)["Secret"])
    assert {key: after[key] for key in before} == before
    root = ResourceKey("Secret", "shop", "builtinca.shop")
    assert after[root] == dict(everything(places.old)["Secret"])[root]


def test_secrets_can_be_left_out(places: Places) -> None:
    places.old.apply(mesh("shop"))
    places.export(places.old, secrets=True)
    done = places.import_("--without-secrets")
    assert (done.code, "secrets" in done.out) == (0, False)
    assert places.new.get("/meshes/shop").status == 200


def test_a_dry_run_writes_nothing(places: Places) -> None:
    places.old.apply(mesh("shop"), dataplane("web-1", inbound("10.0.0.1:1:1", "a"), mesh="shop"))
    places.export(places.old, secrets=True)
    before = everything(places.new)
    tried = places.import_("--dry-run", "--overwrite", passphrase=True)
    assert (tried.code, tried.out.splitlines()) == (
        0,
        [
            "would import resources: 2 created, 0 updated, 1 unchanged",
            "would import secrets: 1 created, 3 updated, 0 unchanged",
            "then restart every control plane of this store: the root of its own TLS, which is read at start, "
            "is another one",
        ],
    )
    assert everything(places.new) == before
