"""A raw resource is read once; what is remembered, and what a template may hold, is bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kuma_core.sdk import Draft
from kuma_core.sdk.envoy import encoded
from kuma_policy_traffic.proxy_template import checking, convert, envoy, known, memory, reader
from kuma_policy_traffic.proxy_template.convert import read_resource
from kuma_policy_traffic.proxy_template.envoy import Template
from kuma_policy_traffic.proxy_template.memory import Known, Memory
from kuma_policy_traffic.proxy_template.messages import PREFIX
from kuma_policy_traffic.proxy_template.spec import MAX_RESOURCES, ProxyTemplateSpec

from .support import THE_DOCUMENTS_CLUSTER as OLD_CLUSTER


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """A memory of the test's own."""
    own = Memory()
    for module in (known, envoy):
        monkeypatch.setattr(module, "MEMORY", own)
    return own


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were read."""
    texts: list[str] = []

    def counting(text: str, *arguments: Any, **named: Any) -> Any:
        texts.append(text)
        return read_resource(text, *arguments, **named)

    for module in (convert, known, checking):
        monkeypatch.setattr(module, "read_resource", counting)
    return texts


def spec(*texts: str) -> ProxyTemplateSpec:
    resources = [{"name": "a", "version": "1", "resource": text} for text in texts]
    return ProxyTemplateSpec.model_validate({"conf": {"imports": [], "resources": resources}})


def drafted(*texts: str) -> dict[tuple[str, str], Draft]:
    drafts: dict[tuple[str, str], Draft] = {}
    envoy.apply(drafts, Template(keeps_generated=False, resources=texts))
    return drafts


def test_what_a_write_read_nobody_reads_again(read: list[str]) -> None:
    assert list(spec(OLD_CLUSTER).violations()) == []
    for _ in range(3):
        (draft,) = drafted(OLD_CLUSTER).values()
    assert read == [OLD_CLUSTER]
    message = read_resource(OLD_CLUSTER).message
    assert draft.encoded == encoded(draft.name, message)
    assert envoy.build(OLD_CLUSTER) == message


def test_what_is_refused_is_not_remembered(fresh: Memory) -> None:
    assert list(spec(OLD_CLUSTER, "5").violations())
    assert fresh.bytes == 0


def test_a_text_that_cannot_be_read_is_read_once(read: list[str]) -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="expected a mapping"):
            drafted("5")
    assert read == ["5"]


def test_long_texts_are_prepared_and_short_ones_are_not(read: list[str]) -> None:
    long = OLD_CLUSTER + "\n" + "# a comment\n" * 1000
    assert envoy.prepare(Template(True, (OLD_CLUSTER,))) is None
    work = envoy.prepare(Template(True, (OLD_CLUSTER, long, "5" * 10)))
    assert work is not None
    work()
    assert len(read) == 3
    assert envoy.prepare(Template(True, (OLD_CLUSTER, long))) is None


def test_the_memory_is_bounded_in_bytes_and_forgets_what_nobody_asks_for() -> None:
    small = Memory(most_bytes=10_000)
    for number in range(100):
        small.keep(f"{number}", Known("t", "n", b"x" * 1000))
        small.find("0")
        assert small.bytes <= 10_000
    assert small.find("0")
    assert small.find("1") is None
    small.keep("large", Known("t", "n", b"x" * 20_000))
    assert small.bytes == 0
    assert memory.MOST_BYTES == 64 * 2**20


def cluster(**more: Any) -> str:
    found = {"@type": f"{PREFIX}envoy.config.cluster.v3.Cluster", "name": "a", "type": "STATIC", **more}
    return json.dumps(found)


def test_a_template_has_so_many_resources_at_most() -> None:
    (found,) = spec(*["{}"] * (MAX_RESOURCES + 1)).violations()
    assert found.field == "conf.resources"
    assert (
        found.message
        == f"has {MAX_RESOURCES + 1} resources; a ProxyTemplate may have {MAX_RESOURCES} at most"
    )


def test_a_small_text_does_not_become_a_large_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred aliases of a long text: few values, and much to send."""
    monkeypatch.setattr(reader.Budget.__init__, "__defaults__", (reader.MAX_VALUES, 10_000))
    text = (
        f"'@type': {PREFIX}envoy.config.cluster.v3.Cluster\nname: a\ntype: STATIC\nmetadata:\n"
        f"  filterMetadata:\n    own:\n      first: &long {'x' * 500}\n"
    ) + "".join(f"      k{number}: *long\n" for number in range(100))
    (found,) = spec(text).violations()
    assert "more than 10000 characters of text, each alias counted as what it stands for" in found.message


def test_too_much_is_told_once_and_nothing_more_is_read(
    monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    monkeypatch.setattr(reader.Budget.__init__, "__defaults__", (20, reader.MAX_CHARACTERS))
    texts = [cluster(name=f"c-{number}") for number in range(50)]
    (found,) = spec(*texts).violations()
    assert "more than 20 values" in found.message
    assert len(read) < 20
