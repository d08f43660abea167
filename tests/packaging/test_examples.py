"""The examples of configuration load, without a warning, as what they say to be."""

from __future__ import annotations

import pytest

import kuma_store_postgres
from kuma_core.builtin.configuration.autoconfiguration import autoconfigured
from kuma_core.config import Config, build_config
from kuma_core.dataplane.settings import check, resolve
from kuma_core.documents import load_documents
from kuma_core.testing.platform import make_catalog
from kuma_core.xds.bootstrap import bootstrap_params

from .units import ROOT, environment_file

FOLDER = ROOT / "packaging" / "conf"


@pytest.fixture
def config() -> Config:
    (document,) = load_documents((FOLDER / "kuma-cp.yaml").read_text(), "kuma-cp.yaml")
    environ = environment_file(FOLDER / "kuma-cp.env")
    settings = make_catalog([kuma_store_postgres]).settings
    return autoconfigured(build_config(settings, document, "kuma-cp.yaml", environ))


def test_the_control_planes(config: Config) -> None:
    assert config.warnings == ()
    assert bootstrap_params(config).hosts == (("192.0.2.11", 5678), ("192.0.2.12", 5678))
    assert config.text("store.type") == "postgres"


def test_they_are_encrypted_and_ask_for_tokens(config: Config) -> None:
    assert config.flag("xdsServer.tlsEnabled")
    assert config.flag("adminServer.apis.dataplaneToken.enabled")
    assert config.text("store.postgres.tls.mode") == "verifyFull"


def test_passwords_are_in_the_private_file_alone() -> None:
    assert "password" not in (FOLDER / "kuma-cp.yaml").read_text().replace("and the password", "")
    assert "KUMA_STORE_POSTGRES_PASSWORD" in environment_file(FOLDER / "kuma-cp.env")


def test_the_proxy() -> None:
    values, warnings = resolve({"name": "orders-1"}, environment_file(FOLDER / "orders-1.env"))
    assert (warnings, check(values).name) == ([], "orders-1")


def test_every_file_is_in_the_list() -> None:
    listed = (ROOT / "packaging" / "README.md").read_text()
    names = [path.name for path in (ROOT / "packaging").rglob("*") if path.is_file()]
    assert len(names) > 7
    shown = [name for name in names if name not in ("README.md", "Dockerfile.dockerignore")]
    assert [name for name in shown if name not in listed] == []
