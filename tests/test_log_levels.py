"""Levels of the log, for everything and for components."""

from __future__ import annotations

import re

import pytest

from kuma_core.log_levels import DEBUG, InForce, parse_levels


def test_the_longest_name_that_means_a_component_counts() -> None:
    levels = parse_levels("warning,xds=debug,xds-server=off,store.pg=info")
    found = {
        name: levels.of(name) for name in ("xds", "xds-views", "xds-server", "xdsx", "store", "store.pg.a")
    }
    assert found == {"xds": 10, "xds-views": 10, "xds-server": 50, "xdsx": 30, "store": 30, "store.pg.a": 20}
    assert levels.lowest == DEBUG
    assert str(levels) == "warning,store.pg=info,xds=debug,xds-server=off"


def test_without_a_level_for_everything_it_is_info() -> None:
    assert str(parse_levels("xds=debug")) == "info,xds=debug"
    assert str(parse_levels(" off ")) == "off"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 'unknown log level ""'),
        ("loud", 'unknown log level "loud"; use off, error, warning, info or debug'),
        ("info,debug", "two levels for everything"),
        ("=debug", "no name of a component"),
        ("info,x\u202e=debug", "no name of a component"),
        ("xds=", 'unknown log level ""'),
        ("," * 100, "50 parts"),
        ("x" * 5000, "2000 characters"),
    ],
)
def test_what_is_no_level_is_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        parse_levels(text)
    assert len(str(caught.value)) < 300


def test_a_change_is_in_force_at_once_and_told_to_who_follows() -> None:
    told = []
    state = InForce()
    state.follow(told.append)
    assert not state.is_debugging("xds-server")
    state.change(parse_levels("xds=debug"))
    assert (state.is_debugging("xds-server"), state.is_debugging("store")) == (True, False)
    assert (state.wants("store", 20), state.wants("store", 10)) == (True, False)
    assert list(state.seen) == ["store"]
    assert told == [state.levels]
