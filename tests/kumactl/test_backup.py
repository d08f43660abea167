"""``kumactl export`` and ``import`` with real control planes: what comes back, and what is refused as a whole."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import structlog
import yaml

import kuma_ca_builtin
import kuma_ca_provided
import kuma_policy_traffic
import kuma_store_memory
from kuma_ca_builtin.root import new_root
from kuma_core.auth.tokens import TokenVerifier
from kuma_core.config import Config
from kuma_core.errors import KumaError
from kuma_core.kumactl import admin as admin_module
from kuma_core.kumactl import export as export_module
from kuma_core.kumactl import secrets_client
from kuma_core.kumactl.client import Client
from kuma_core.kumactl.config import Configuration
from kuma_core.kumactl.kinds import Kind
from kuma_core.model import ResourceKey, Scope
from kuma_core.resources.contract import Store
from kuma_core.sdk import StoreFactory, hookimpl
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port

from .conftest import Call, Certificates, Result, configure
from .test_real_control_plane import ALL, greeter

PLUGINS = [kuma_policy_traffic, kuma_ca_builtin, kuma_ca_provided, greeter()]
PASSPHRASE = "correct horse battery"


@contextmanager
def lasting() -> Iterator[Callable[[], Any]]:
    """A store that outlives control planes; starts one of them over it at each call."""
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(Config([], {}, {})) as store:
        yield lambda: running_platform([*PLUGINS, plugin(store)], {"KUMA_STORE_TYPE": "lasting"})


def plugin(store: Store) -> ModuleType:
    """A plugin that brings a store which is open already."""

    @contextmanager
    def opened(config: Config) -> Iterator[Store]:
        yield store

    made: Any = ModuleType("lasting")
    made.kuma_register_stores = hookimpl(
        lambda: [StoreFactory("lasting", opened)], specname="kuma_register_stores"
    )
    return made  # type: ignore[no-any-return]


class Places:
    """Two control planes, of which kumactl knows one at a time, and files."""

    def __init__(self, kumactl: Call, home: Path, old: RunningPlatform, new: RunningPlatform) -> None:
        self._kumactl, self._home = kumactl, home
        self.old, self.new = old, new
        self.file, self.passphrase = home / "backup.yaml", home / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n")
        self.passphrase.chmod(0o600)

    def at(self, cp: RunningPlatform, *argv: str, stdin: str = "") -> Result:
        """Call kumactl about one of them."""
        configure(self._home, cp.api_url)
        return self._kumactl(*argv, stdin=stdin)

    def export(self, cp: RunningPlatform, *argv: str, secrets: bool = False) -> str:
        """The text of an export, which must succeed; it is in the file too."""
        flags = ("--with-secrets", f"--passphrase-file={self.passphrase}") if secrets else ()
        result = self.at(cp, "export", "-o", str(self.file), *flags, *argv)
        assert result.code == 0, result
        return self.file.read_text()

    def import_(self, *argv: str, passphrase: bool = False) -> Result:
        """Import the file into the new one."""
        flags = (f"--passphrase-file={self.passphrase}",) if passphrase else ()
        return self.at(self.new, "import", "-f", str(self.file), *flags, *argv)


@pytest.fixture
def places(kumactl: Call, home: Path) -> Iterator[Places]:
    with ExitStack() as stack:
        cps = [stack.enter_context(running_platform([kuma_store_memory, *PLUGINS])) for _ in range(2)]
        yield Places(kumactl, home, *cps)


def everything(cp: RunningPlatform) -> dict[str, list[tuple[ResourceKey, str]]]:
    """What stands in the store, but for what control planes keep for each other and report."""
    kinds = [kind for kind in cp.platform.catalog.kinds if kind.served or kind.name == "Secret"]
    return {
        kind.name: [(record.key, record.document) for record in cp.platform.store.list(kind.name)]
        for kind in kinds
        if kind.stored and not kind.status
    }


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
    return TokenVerifier(cp.platform.context.signing_keys, cp.platform.context.revocations)


def test_a_mesh_that_was_moved_keeps_its_trust_and_its_tokens(kumactl: Call, home: Path) -> None:
    with ExitStack() as stack:
        old = stack.enter_context(running_platform([kuma_store_memory, *PLUGINS]))
        start_new = stack.enter_context(lasting())
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
            verifier(new).authenticate("shop", "web-1", token)
            for authority, name in (("builtin", "shop"), ("builtin", "default"), ("provided", "cellar")):
                anchors = [
                    cp.platform.context.authorities[authority].trust_anchors(name) for cp in (old, new)
                ]
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


# -- refused as a whole


@pytest.fixture
def refused(places: Places) -> Callable[..., str]:
    """Imports a file that was changed; nothing may be written, and one error is returned."""
    places.old.apply(mesh("shop"), dataplane("web-1", inbound("10.0.0.1:1:1", "a"), mesh="shop"))
    places.export(places.old, secrets=True)
    before = everything(places.new)

    def attempt(change: Callable[[str], str], *argv: str) -> str:
        text = places.file.read_text()
        places.file.write_text(change(text))
        result = places.import_("--overwrite", *argv, passphrase=True)
        places.file.write_text(text)
        assert (result.code, result.out) == (1, ""), result
        assert everything(places.new) == before
        return result.err

    return attempt


def test_what_is_damaged_is_refused_and_nothing_written(refused: Callable[..., str]) -> None:
    assert "was cut off: its last line is not" in refused(lambda text: text[:-3000])
    assert "of a newer kumactl" in refused(lambda text: text.replace("format 1", "format 2"))
    assert "it was cut off or changed" in refused(lambda text: text.replace("data: |\n  ", "data: |\n  AAAA"))
    assert "it has the format 7" in refused(lambda text: text.replace("\nformat: 1", "\nformat: 7"))


def test_a_wrong_passphrase_is_refused_and_nothing_written(
    places: Places, refused: Callable[..., str]
) -> None:
    places.passphrase.write_text("hush hush hush hush")
    said = refused(str)
    assert "the passphrase is not the one that it was made with" in said
    assert "hush" not in said
    places.passphrase.write_text("hush")
    assert "passphrase: has fewer than 12 characters" in refused(str)


def test_every_bad_resource_is_told_and_nothing_written(refused: Callable[..., str]) -> None:
    said = refused(
        lambda text: text.replace("10.0.0.1:1:1", "nowhere").replace("ca:\n    builtin", "ca:\n    vault")
    )
    assert said.startswith("Error: nothing was imported:\n")
    assert 'Dataplane "web-1": ' in said
    assert "* networking.inbound[0].interface: " in said
    assert "* mtls.ca.vault: " in said
    said = refused(lambda text: text.replace("type: Dataplane", "type: Planet"))
    assert "document 3 of" in said
    assert 'unknown type "Planet"' in said
    twice = "---\ntype: Mesh\nname: shop\n"
    assert 'Mesh "shop" is in the file twice' in refused(
        lambda text: text.replace("---\n", twice + "---\n", 1)
    )


def test_a_read_only_control_plane_is_told(kumactl: Call, home: Path) -> None:
    with running_platform([kuma_store_memory], {"KUMA_API_SERVER_READ_ONLY": "true"}) as cp:
        configure(home, cp.api_url)
        result = kumactl("import", "-f", "-", stdin="type: Mesh\nname: shop\n")
    assert (result.code, "the API is read-only (apiServer.readOnly)" in result.err) == (1, True)


def test_what_fails_while_it_is_written_stops_nothing_else(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dataplane that could be written a moment ago."""
    places.old.apply(*(dataplane(f"web-{number}", inbound("10.0.0.1:1:1", "a")) for number in range(3)))
    places.export(places.old)
    put = Client.put

    def failing(self: Client, path: str, value: dict[str, Any]) -> str:
        wrong = {**value, "networking": {}} if value["name"] == "web-1" else value
        return put(self, path, wrong)

    monkeypatch.setattr(Client, "put", failing)
    result = places.import_()
    assert result.code == 1
    assert 'failed Dataplane "web-1": Could not create a resource' in result.err
    assert result.err.endswith("Error: 1 of 4 resources could not be imported\n")
    assert result.out.endswith("imported resources: 2 created, 0 updated, 1 unchanged\n")


def test_a_mesh_is_warned_of_when_all_is_there(places: Places) -> None:
    """Not that nobody is permitted anything, while the permissions are still to come."""
    match = [{"match": {"service": "*"}}]
    permission = {"type": "TrafficPermission", "mesh": "shop", "name": "all"}
    places.old.apply(mesh("shop", mtls={"enabled": True, "ca": {"provided": {}}}))
    places.old.apply({**permission, "sources": match, "destinations": match})
    places.export(places.old)
    (said,) = places.import_().err.splitlines()
    assert said.startswith('Warning: Mesh "shop": mtls.ca.provided: There is no signing certificate')


# -- the way to the admin server


def test_the_passphrase_is_in_no_log(places: Places) -> None:
    with structlog.testing.capture_logs() as logs:
        flags = ("--with-secrets", f"--passphrase-file={places.passphrase}", "--log-level=debug")
        result = places.at(places.old, "export", *flags)
    assert "POST" in result.err
    assert not any(PASSPHRASE in text for text in (result.err, result.out, str(logs)))


@contextmanager
def open_to_others(certificates: Certificates, folder: Path) -> Iterator[RunningPlatform]:
    """A control plane whose admin server takes the client certificate, over HTTPS."""
    (folder / "clients").mkdir()
    shutil.copy(certificates.client_cert, folder / "clients")
    said = {
        "ENABLED": "true",
        "TLS_CERT_FILE": str(certificates.server_cert),
        "TLS_KEY_FILE": str(certificates.server_key),
        "INTERFACE": "127.0.0.1",
        "PORT": str(free_port()),
        "CLIENT_CERTS_DIR": str(folder / "clients"),
    }
    settings = {f"KUMA_ADMIN_SERVER_PUBLIC_{name}": value for name, value in said.items()}
    with running_platform([kuma_store_memory, *PLUGINS], settings) as cp:
        yield cp


def test_many_secrets_go_over_https_with_a_client_certificate(
    kumactl: Call,
    home: Path,
    tmp_path: Path,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five megabytes of them; whoever answers in the server's place is not noticed, which is told."""
    monkeypatch.setattr(admin_module, "_is_this_machine", lambda _url: False)
    pair = f"clientCert: {certificates.client_cert}, clientKey: {certificates.client_key}"
    credentials = f"  credentials: {{adminApi: {{{pair}}}}}\n"
    with open_to_others(certificates, tmp_path) as cp:
        places = Places(kumactl, home, cp, cp)
        secrets = cp.platform.context.secrets
        for number in range(2000):
            secrets.create("shop", f"s{number:04}", os.urandom(2500))
        configure(home, cp.api_url, credentials)
        flags = (f"--passphrase-file={places.passphrase}",)
        exported = kumactl("export", "-o", str(places.file), "--with-secrets", *flags)
        assert exported.code == 0, exported
        assert "does not verify the certificate of the admin server at https://" in exported.err
        assert places.file.stat().st_size > 5_000_000
        values = {secret.name: secret.value for secret in secrets.all("shop")}
        for name in [*values][:1500]:
            secrets.delete("shop", name)
        imported = kumactl("import", "-f", str(places.file), *flags)
        assert "imported secrets: 1500 created, 0 updated, 503 unchanged" in imported.out, imported
        assert {secret.name: secret.value for secret in secrets.all("shop")} == values


def test_an_unverified_server_is_warned_of(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    far: Any = lambda *_: Client("https://far:5679", print)  # noqa: E731
    monkeypatch.setattr(admin_module, "connect", far)
    monkeypatch.setattr(
        admin_module, "catalog", lambda _session: admin_module.Apis(*[admin_module.Addresses("", "")] * 2)
    )
    session: Any = SimpleNamespace(configuration=Configuration())
    secrets_client._client(session)
    assert (
        "does not verify the certificate of the admin server at https://far:5679" in capsys.readouterr().err
    )


def test_an_older_control_plane_is_told(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    send = Client.send
    monkeypatch.setattr(
        Client, "send", lambda self, method, path, value: send(self, method, path + "/x", value)
    )
    flags = ("--with-secrets", f"--passphrase-file={places.passphrase}")
    result = places.at(places.old, "export", *flags)
    assert result.err == "Error: this control plane is too old to export or import secrets; upgrade it\n"
    assert json.dumps(result.out) == '""'
