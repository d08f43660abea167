"""The five verbs of a store that anybody may call at any time, and what they promise when many call at once."""

from __future__ import annotations

import re

import pytest

from kuma_core.errors import AlreadyExists, Conflict, NotFound
from kuma_core.resources.contract import ExactStore, Record, Store
from kuma_core.testing.stores.parts import StoreParts
from kuma_core.testing.stores.tools import WRITERS, at_once, content


class Verbs(StoreParts):
    """Get, list, create, update and delete."""

    # -- get, create, update, delete

    def test_get_returns_what_create_stored(self, store: Store) -> None:
        created = store.create(self.key("a"), '{"n":1}')
        assert (created.key, content(created.document)) == (self.key("a"), {"n": 1})
        assert created.version != ""
        assert store.get(self.key("a")) == created

    def test_get_of_what_is_not_there(self, store: Store) -> None:
        with pytest.raises(NotFound) as caught:
            store.get(self.key("nobody"))
        assert str(caught.value) == f"Resource not found: {self.key('nobody')}"

    def test_create_of_what_is_there_changes_nothing(self, store: Store) -> None:
        first = store.create(self.key("a"), '{"n":1}')
        with pytest.raises(AlreadyExists, match=re.escape(str(self.key("a")))):
            store.create(self.key("a"), '{"n":2}')
        assert store.get(self.key("a")) == first

    def test_update_replaces_and_gives_a_new_version(self, store: Store) -> None:
        first = store.create(self.key("a"), '{"n":1}')
        second = store.update(self.key("a"), '{"n":2}', first.version)
        assert content(second.document) == {"n": 2}
        assert second.version != first.version
        assert store.get(self.key("a")) == second

    def test_update_to_an_equal_document_is_a_write_where_the_store_says_so(self, store: Store) -> None:
        first = store.create(self.key("a"), "{}")
        second = store.update(self.key("a"), "{}", first.version)
        assert (second.version != first.version) is self.EQUAL_IS_A_WRITE
        assert store.update(self.key("a"), '{"n":1}', second.version).version != second.version

    def test_update_of_another_version_is_a_conflict(self, store: Store) -> None:
        first = store.create(self.key("a"), '{"n":1}')
        second = store.update(self.key("a"), '{"n":2}', first.version)
        for version in (first.version, "", "no version at all"):
            with pytest.raises(Conflict, match=re.escape(str(self.key("a")))):
                store.update(self.key("a"), '{"n":3}', version)
        assert store.get(self.key("a")) == second

    def test_update_of_what_is_gone_is_a_conflict(self, store: Store) -> None:
        gone = store.create(self.key("a"), "{}")
        store.delete(self.key("a"))
        with pytest.raises(Conflict):
            store.update(self.key("a"), "{}", gone.version)
        with pytest.raises(Conflict):
            store.update(self.key("never"), "{}", gone.version)
        assert store.list(self.THING) == []

    def test_delete_removes(self, store: Store) -> None:
        store.create(self.key("a"), "{}")
        store.delete(self.key("a"))
        with pytest.raises(NotFound):
            store.get(self.key("a"))
        with pytest.raises(NotFound, match=re.escape(str(self.key("a")))):
            store.delete(self.key("a"))

    def test_delete_exactly_removes_the_version_that_was_read_and_no_other(self, store: Store) -> None:
        if not isinstance(store, ExactStore):
            return  # the kernel looks before it deletes
        key = self.key("a")
        first = store.create(key, "{}")
        second = store.update(key, '{"n":1}', first.version)
        for version in (first.version, "", "no version at all"):
            with pytest.raises(Conflict, match=re.escape(str(key))):
                store.delete_exactly(key, version)
        assert store.get(key) == second
        store.delete_exactly(key, second.version)
        with pytest.raises(NotFound):
            store.delete_exactly(key, second.version)

    def test_versions_of_a_key_never_repeat(self, store: Store) -> None:
        """Also not after it was deleted and created again, as often as it may be."""
        versions = []
        for _ in range(5):
            record = store.create(self.key("a"), "{}")
            versions.append(record.version)
            for number in range(3):
                record = store.update(self.key("a"), f'{{"n":{number}}}', record.version)
                versions.append(record.version)
            store.delete(self.key("a"))
        assert len(set(versions)) == len(versions)

    def test_a_version_from_before_a_deletion_does_not_update(self, store: Store) -> None:
        before = store.create(self.key("a"), '{"n":1}')
        store.delete(self.key("a"))
        after = store.create(self.key("a"), '{"n":1}')
        with pytest.raises(Conflict):
            store.update(self.key("a"), '{"n":2}', before.version)
        assert store.get(self.key("a")) == after

    def test_a_document_comes_back_with_the_same_content(self, store: Store) -> None:
        """Equal as a JSON object: its spaces, and the order of its keys, are the store's."""
        for index, (what, document) in enumerate(self.DOCUMENTS.items()):
            item = self.key(f"a{index}")
            record = store.create(item, document)
            (listed,) = [found for found in store.list(self.THING) if found.key == item]
            updated = store.update(item, document, record.version)
            for found in (record, listed, updated, store.get(item)):
                assert content(found.document) == content(document), what

    # -- list and isolation

    def test_list_of_nothing(self, store: Store) -> None:
        assert store.list(self.THING) == []
        assert store.list(self.THING, "nowhere") == []

    def test_list_is_sorted_by_mesh_and_name(self, store: Store) -> None:
        """By code points: no language's own order counts."""
        keys = [self.key(name, mesh) for mesh in self.MESHES for name in self.NAMES]
        for item in keys:
            store.create(item, "{}")
        assert [record.key for record in store.list(self.THING)] == sorted(keys)
        one = self.MESHES[-1]
        assert [r.key for r in store.list(self.THING, one)] == sorted(k for k in keys if k.mesh == one)

    def test_types_and_meshes_are_apart(self, store: Store) -> None:
        keys = [self.key("a", mesh, type) for mesh in ("one", "two") for type in (self.THING, self.OTHER)]
        for index, item in enumerate(keys):
            store.create(item, f'{{"n":{index}}}')
        one, two = self.key("a", "one"), self.key("a", "two")
        assert [content(store.get(item).document) for item in keys] == [{"n": number} for number in range(4)]
        assert [record.key for record in store.list(self.THING, "two")] == [two]
        store.delete(one)
        assert [record.key for record in store.list(self.THING)] == [two]
        assert len(store.list(self.OTHER)) == 2
        with pytest.raises(Conflict):
            store.update(one, "{}", store.get(two).version)

    def test_every_connection_sees_the_same(self, store: Store, other: Store) -> None:
        first = store.create(self.key("a"), "{}")
        assert other.get(self.key("a")) == first
        second = other.update(self.key("a"), '{"n":2}', first.version)
        assert store.list(self.THING) == [second]
        other.delete(self.key("a"))
        assert store.list(self.THING) == []

    # -- many at once

    def test_compare_and_set_loses_no_update(self, store: Store, other: Store) -> None:
        store.create(self.key("counter"), '{"n":0}')
        conflicts = at_once(lambda index: self._count_up((store, other)[index % 2]))
        assert all(isinstance(item, int) for item in conflicts), conflicts
        assert content(store.get(self.key("counter")).document) == {"n": WRITERS * self.UPDATES}

    def _count_up(self, store: Store) -> int:
        """Add one to the counter, again and again; how often that was a conflict."""
        conflicts = 0
        for _ in range(self.UPDATES):
            while True:
                record = store.get(record_key := self.key("counter"))
                try:
                    counted = content(record.document)["n"] + 1
                    store.update(record_key, f'{{"n":{counted}}}', record.version)
                    break
                except Conflict:
                    conflicts += 1
        return conflicts

    def test_of_many_creators_one_succeeds(self, store: Store) -> None:
        for item in (self.key(f"a{number}") for number in range(5)):
            results = at_once(lambda index, item=item: store.create(item, f'{{"n":{index}}}'))  # type: ignore[misc]
            winners = [item for item in results if isinstance(item, Record)]
            assert len(winners) == 1, results
            assert sum(isinstance(item, AlreadyExists) for item in results) == WRITERS - 1
            assert store.get(item) == winners[0]

    def test_of_many_deleters_one_succeeds(self, store: Store) -> None:
        store.create(self.key("a"), "{}")
        results = at_once(lambda _: store.delete(self.key("a")))
        assert sum(isinstance(item, NotFound) for item in results) == WRITERS - 1, results
        assert results.count(None) == 1
