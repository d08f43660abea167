"""How the injector finds the API server, and what it shows there."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuma_core.sdk import ConfigError
from kuma_injector_k8s.kube.access import find

from .fake_api import write_pair

IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def test_in_a_pod_it_is_the_service_account(tmp_path: Path) -> None:
    """Its token and the root of the cluster are read anew each time: the kubelet renews both."""
    access = find({**IN_CLUSTER, "KUBECONFIG": "/nowhere"}, tmp_path)
    assert access.url == "https://10.96.0.1:443"
    for token in ("one", "two"):
        (tmp_path / "token").write_text(f"{token}\n")
        assert access.token() == token
    (tmp_path / "ca.crt").write_text(write_pair(tmp_path))
    assert access.tls().verify_mode is ssl.CERT_REQUIRED
    (tmp_path / "ca.crt").unlink()
    with pytest.raises(OSError, match="No such file"):
        access.tls()


def test_addresses_of_ipv6_have_brackets(tmp_path: Path) -> None:
    assert find({**IN_CLUSTER, "KUBERNETES_SERVICE_HOST": "fd00::1"}, tmp_path).url == "https://[fd00::1]:443"


def kubeconfig(folder: Path, **user: Any) -> dict[str, str]:
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": "https://api:6443/", "certificate-authority": "ca"}}
        ],
        "users": [{"name": "u", "user": user}],
    }
    (folder / "config").write_text(yaml.safe_dump(document))
    return {"KUBECONFIG": str(folder / "config")}


def test_outside_it_is_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text(write_pair(tmp_path))
    access = find(kubeconfig(tmp_path, token="secret"))
    assert (access.url, access.token()) == ("https://api:6443", "secret")
    (tmp_path / "token").write_text("of a file\n")
    assert find(kubeconfig(tmp_path, tokenFile="token")).token() == "of a file"
    mine = {"client-certificate": "tls.crt", "client-key": "tls.key"}
    access = find(kubeconfig(tmp_path, **mine))
    assert (access.token(), access.tls().verify_mode) == ("", ssl.CERT_REQUIRED)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "current-context is missing"),
        ("[]", "current-context is missing"),
        ("{", "found: /.*config, line 2"),
        ("{contexts: [], current-context: b}", "contexts is missing"),
        ("{contexts: [{name: a}], current-context: b}", 'contexts has no "b"'),
    ],
)
def test_a_kubeconfig_that_leads_nowhere(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(ConfigError, match=told) as caught:
        find({"KUBECONFIG": str(tmp_path / "config")})
    assert str(tmp_path / "config") in str(caught.value)


def test_a_user_who_needs_a_program_is_not_understood(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a user with exec is not understood here; use a token"):
        find(kubeconfig(tmp_path, exec={"command": "aws"}))
