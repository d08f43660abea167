"""``/secrets/export`` and ``/secrets/import`` on a real admin server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.builtin.archive.archive import ArchivedSecret, seal, unseal
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform

PASSPHRASE = "correct horse battery"
OWN = {("default", "control-plane-tls"), ("default", "dataplane-token-signing-key")}
ROOTS = {("default", "builtinca.default"), ("shop", "builtinca.shop")}


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as platform:
        platform.apply(mesh("shop", mtls={"enabled": True}))
        yield platform


def post(cp: RunningPlatform, verb: str, **body: Any) -> JsonAnswer:
    return cp.request("POST", f"/secrets/{verb}", {"passphrase": PASSPHRASE, **body}, cp.admin_socket)


def stored(cp: RunningPlatform) -> dict[tuple[str, str], bytes]:
    return {(secret.mesh, secret.name): secret.value for secret in cp.platform.core.secrets.all()}


def archive(*secrets: ArchivedSecret) -> dict[str, Any]:
    return seal(secrets, PASSPHRASE)


def test_everything_is_exported(cp: RunningPlatform) -> None:
    answer = post(cp, "export")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    found = {(s.mesh, s.name): s.value for s in unseal(answer.body["archive"], PASSPHRASE)}
    assert found == stored(cp)
    assert set(found) == OWN | ROOTS
    assert {(s["mesh"], s["name"]) for s in answer.body["secrets"]} == OWN | ROOTS


@pytest.mark.parametrize("name", ["shop", "default", "nowhere"])
def test_of_one_mesh_nothing_is_exported_that_belongs_to_the_control_plane(
    cp: RunningPlatform, name: str
) -> None:
    answer = post(cp, "export", mesh=name)
    found = {(s.mesh, s.name) for s in unseal(answer.body["archive"], PASSPHRASE)}
    assert found == {root for root in ROOTS if root[0] == name}


def test_what_is_unchanged_is_not_written(cp: RunningPlatform) -> None:
    before = cp.platform.core.store.list("Secret")
    answer = post(cp, "import", archive=post(cp, "export").body["archive"])
    assert answer.status == 200
    assert {entry["result"] for entry in answer.body["secrets"]} == {"unchanged"}
    assert answer.body["restart"] is False
    assert cp.platform.core.store.list("Secret") == before


def test_new_secrets_are_created_without_a_mesh(cp: RunningPlatform) -> None:
    given = archive(ArchivedSecret("later", "builtinca.later", b"root"))
    tried = post(cp, "import", archive=given, dryRun=True)
    assert ("later", "builtinca.later") not in stored(cp)
    done = post(cp, "import", archive=given)
    assert tried.body == done.body
    assert done.body == {
        "secrets": [{"mesh": "later", "name": "builtinca.later", "result": "created"}],
        "restart": False,
    }
    assert stored(cp)["later", "builtinca.later"] == b"root"


def test_other_values_are_replaced_only_if_that_is_said(cp: RunningPlatform) -> None:
    before = stored(cp)
    given = archive(
        ArchivedSecret("default", "control-plane-tls", b"1"), ArchivedSecret("later", "builtinca.later", b"2")
    )
    for more in ({}, {"dryRun": True}, {"overwrite": False}):
        refused = post(cp, "import", archive=given, **more)
        assert refused.status == 400
        assert (
            "1 of the secrets are there with other values, and nothing was written" in refused.body["details"]
        )
        assert "default/control-plane-tls" in refused.body["details"]
        assert "--overwrite" in refused.body["details"]
    assert post(cp, "import", archive=given, overwrite=True, dryRun=True).body["restart"] is True
    assert stored(cp) == before
    done = post(cp, "import", archive=given, overwrite=True)
    assert [entry["result"] for entry in done.body["secrets"]] == ["updated", "created"]
    assert done.body["restart"] is True
    assert stored(cp)["default", "control-plane-tls"] == b"1"


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_older_backup_makes_no_revoked_token_good_again(cp: RunningPlatform, overwrite: bool) -> None:
    def revoke(id: str) -> None:
        assert cp.request("POST", "/tokens/revocations", {"id": id}, cp.admin).status == 200

    revoke("early")
    older = post(cp, "export").body["archive"]
    revoke("late")
    assert post(cp, "import", archive=older, overwrite=overwrite).status == 200
    listed = cp.request("GET", "/tokens/revocations", port=cp.admin).body
    assert sorted(entry["id"] for entry in listed["items"]) == ["early", "late"]


def test_many_others_are_not_all_named(cp: RunningPlatform) -> None:
    names = [f"s{number}" for number in range(30)]
    post(cp, "import", archive=archive(*(ArchivedSecret("shop", name, b"1") for name in names)))
    refused = post(cp, "import", archive=archive(*(ArchivedSecret("shop", name, b"2") for name in names)))
    assert "30 of the secrets are there" in refused.body["details"]
    assert "shop/s9, …" in refused.body["details"]
    assert "shop/s10" not in refused.body["details"]


def test_one_who_wrote_it_meanwhile_wins(cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = cp.platform.core.secrets
    monkeypatch.setattr(type(secrets), "find", lambda self, mesh, name: None)
    refused = post(cp, "import", archive=archive(ArchivedSecret("shop", "builtinca.shop", b"1")))
    assert refused.status == 409
    monkeypatch.undo()
    assert stored(cp)["shop", "builtinca.shop"] != b"1"


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("export", {"passphrase": "hush-hush"}, "passphrase"),
        ("export", {"passphrase": None}, "passphrase"),
        ("export", {"mesh": 3}, "mesh"),
        ("import", {"passphrase": "hush-hush"}, "passphrase"),
        ("import", {"overwrite": "yes"}, "overwrite"),
        ("import", {"dryRun": 1}, "dryRun"),
    ],
)
def test_bad_requests_name_the_field(
    cp: RunningPlatform, verb: str, body: dict[str, Any], field: str
) -> None:
    answer = post(cp, verb, **body)
    assert answer.status == 400
    assert [cause["field"] for cause in answer.body["causes"]] == [field]
    assert "hush" not in str(answer)


@pytest.mark.parametrize("body", [{}, {"archive": 3}, {"archive": {"type": "SecretsArchive", "format": 9}}])
def test_what_is_no_archive_is_told(cp: RunningPlatform, body: dict[str, Any]) -> None:
    answer = post(cp, "import", **body)
    assert answer.status == 400
    assert answer.body["details"].startswith("The archive of secrets cannot be used: ")


def test_a_wrong_passphrase_writes_nothing(cp: RunningPlatform) -> None:
    before = stored(cp)
    answer = post(
        cp, "import", archive=archive(ArchivedSecret("a", "b", b"1")), passphrase="another passphrase"
    )
    assert (answer.status, stored(cp)) == (400, before)
    assert "the passphrase is not the one that it was made with" in answer.body["details"]


def test_bodies_are_bounded(cp: RunningPlatform) -> None:
    assert post(cp, "export", more="x" * 20_000).status == 413


def test_the_log_tells_of_both_and_of_no_passphrase(cp: RunningPlatform) -> None:
    with structlog.testing.capture_logs() as logs:
        given = post(cp, "export").body["archive"]
        post(cp, "import", archive=given)
        post(cp, "import", archive={**given, "data": "x"})
    events = [entry["event"] for entry in logs if "a write" not in entry["event"]]
    assert events == ["secrets were exported, encrypted with a passphrase", "secrets were imported"]
    assert PASSPHRASE not in str(logs)


def test_the_rest_api_has_no_such_path(cp: RunningPlatform) -> None:
    for verb in ("export", "import"):
        assert cp.request("POST", f"/secrets/{verb}", {"passphrase": PASSPHRASE}).status == 404
