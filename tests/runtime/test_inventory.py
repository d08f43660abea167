"""What a plugin that is gone leaves behind: the start tells of it, and an export does not lose it in silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import structlog

from kuma_core.commandline import exit_code
from kuma_core.kumactl.main import build
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import ResourceType, Spec
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_store_memory.store import MemoryStore


class CardSpec(Spec):
    text: str = ""


def cards() -> ModuleType:
    made: Any = ModuleType("cards")
    made.kuma_register_resource_types = hookimpl(lambda: [ResourceType("Card", "cards", CardSpec, "card")])
    return made  # type: ignore[no-any-return]


@pytest.fixture
def store() -> MemoryStore:
    """A store that was written with the plugin."""
    store = MemoryStore()
    with running_platform([SharedStore(store), cards()]) as cp:
        for name in ("a", "b"):
            cp.apply({"type": "Card", "mesh": "default", "name": name, "text": "x"})
        assert "missing" not in cp.get("/kinds").body
    return store


@pytest.fixture
def without(store: MemoryStore) -> Iterator[RunningPlatform]:
    with running_platform([SharedStore(store)]) as cp:
        yield cp


def test_the_start_says_what_nobody_brings(store: MemoryStore) -> None:
    with structlog.testing.capture_logs() as logs, running_platform([SharedStore(store)]) as cp:
        told = [entry for entry in logs if "no loaded plugin brings" in entry["event"]]
        assert cp.get("/kinds").body["missing"] == [
            {"name": "Card", "plugin": "cards", "package": "test", "count": 2}
        ]
    assert [(entry["kind"], entry["count"], entry["plugin"]) for entry in told] == [("Card", 2, "cards")]


def test_what_is_back_is_missing_no_more(without: RunningPlatform, store: MemoryStore) -> None:
    with running_platform([SharedStore(store), cards()]) as cp:
        assert "missing" not in cp.get("/kinds").body
        assert [item["name"] for item in cp.get("/meshes/default/cards").body["items"]] == ["a", "b"]


def test_a_kind_without_resources_is_not_missed() -> None:
    store = MemoryStore()
    for plugins in ([SharedStore(store), cards()], [SharedStore(store)]):
        with running_platform(plugins) as cp:
            assert "missing" not in cp.get("/kinds").body


def test_an_export_refuses_to_lose_them(
    without: RunningPlatform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config"
    config.touch()

    def kumactl(*words: str) -> int:
        return exit_code(build(), [*words, f"--config-file={config}"])

    assert kumactl("config", "control-planes", "add", "--name=cp", f"--address={without.api_url}") == 0
    capsys.readouterr()
    assert kumactl("export") == 1
    said = capsys.readouterr().err
    for part in ('2 of the kind Card, which the plugin "cards" (test) brings', "--without-hidden"):
        assert part in said
    assert kumactl("export", "--without-hidden") == 0
    assert "type: Mesh" in capsys.readouterr().out
