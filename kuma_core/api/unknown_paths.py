"""What is said of a path that leads nowhere: the path that is spelled most like it, or the package that brings it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from kuma_core import packages

LONGEST_WORD = 100
"""Longer words are no slips of the finger, and comparing them takes time."""

Tree = dict[str, Any]
"""The words that may stand at a place, and the tree below each; a parameter is the word ``{}``."""

_ANY = "{}"


class Hints:
    """Tells what may have been meant, by the templates of all paths; ``otherwise`` is said in any case."""

    def __init__(self, templates: Iterable[str], otherwise: str) -> None:
        self._otherwise = otherwise
        self._tree: Tree = {}
        for template in templates:
            place = self._tree
            for word in template.strip("/").split("/"):
                place = place.setdefault(_ANY if word.startswith("{") else word, {})

    def __call__(self, path: str) -> str:
        """The sentences about an unknown path, without a full stop."""
        return "; ".join(text for text in (self._meant(path), self._otherwise) if text)

    def _meant(self, path: str) -> str:
        """Follow the path as far as it is known, and look at the first word that is not."""
        place, words = self._tree, path.strip("/").split("/")
        for number, word in enumerate(words):
            if word not in place and _ANY not in place:
                return _about(word, place, "/".join(["", *words[:number]]))
            place = place.get(word) or place.get(_ANY, {})
        return ""


def _about(word: str, place: Tree, before: str) -> str:
    if not place or len(word) > LONGEST_WORD or len(before) > LONGEST_WORD * 3:
        return ""
    if package := packages.of_kind(word):
        return package
    near = difflib.get_close_matches(word.lower(), place, n=1, cutoff=0.6)
    return f'did you mean "{before}/{near[0]}"?' if near else ""
