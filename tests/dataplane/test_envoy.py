"""How Envoy is given its directory (its call and its failures: ``test_kuma_dp.py``, ``test_real_envoy.py``)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kuma_core.dataplane import envoy
from kuma_core.errors import KumaError


def test_a_directory_that_went_meanwhile_is_told(tmp_path: Path) -> None:
    with pytest.raises(KumaError, match=rf"could not open {tmp_path}/gone for Envoy: No such file"):
        envoy.become([sys.executable], str(tmp_path / "gone"))


def test_on_a_machine_without_proc_envoy_is_told_the_path_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envoy, "_DESCRIPTORS", "/nowhere")
    assert envoy.inside("/tmp/kuma-dp-1/dataplane-token") == "/tmp/kuma-dp-1/dataplane-token"
