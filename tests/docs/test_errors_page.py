"""The page of errors names every class with the HTTP status that it is answered with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import falcon
import falcon.testing
import pytest

from kuma_core import errors
from kuma_core.api import errors as api_errors
from kuma_core.errors import InvalidResource, KumaError, MalformedResource, PluginError, Violation
from kuma_core.plugin.loader import State

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE = (REFERENCE / "errors.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([A-Z]\w+)` \|.* (\d{3}) \|$", PAGE, re.MULTILINE))

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, KumaError)
}


def instance(error: type[KumaError]) -> KumaError:
    if issubclass(error, InvalidResource):
        return error([Violation('tags["service"]', "tag has to exist")])
    return PluginError("broken", "acme") if issubclass(error, PluginError) else error("what happened")


def test_the_page_names_every_class_and_no_other() -> None:
    assert set(ROWS) == set(CLASSES)


class Failing:
    """Raises what it was given."""

    def __init__(self, error: KumaError) -> None:
        self.error = error

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Raise it."""
        req.context.title = "Could not retrieve a resource"
        raise self.error


@pytest.mark.parametrize("name", CLASSES)
def test_the_status_of_every_class(name: str) -> None:
    app: falcon.App[Any, Any] = falcon.App()
    api_errors.register(app)
    app.add_route("/", Failing(instance(CLASSES[name])))
    answer = falcon.testing.TestClient(app).simulate_get("/")
    assert answer.status_code == int(ROWS[name])
    assert set(answer.json) - {"causes"} == {"title", "details"}


def test_the_example_is_an_answer() -> None:
    (block,) = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    example = json.loads(block)
    causes = [Violation(cause["field"], cause["message"]) for cause in example["causes"]]
    assert block.encode() == api_errors.error_body(example["title"], example["details"], causes)


def test_every_sentence_of_the_page_is_in_the_code() -> None:
    sentences = re.findall(r"^\| `([^`]+)` \|", PAGE.split("## Sentences")[1], re.MULTILINE)
    assert len(sentences) > 5
    root = Path(__file__).parents[2] / "kuma_core"
    code = "\n".join(path.read_text(encoding="utf-8") for path in root.rglob("*.py"))
    for sentence in sentences:
        words = [part for part in re.split(r' "[xy]"(?: \(…\))?', sentence) if part.strip()]
        assert all(part.strip() in code for part in words), sentence


def test_the_page_of_plugins_names_every_state() -> None:
    page = (REFERENCE / "plugins.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|.*\|.*(?:starts|refuses)", page, re.MULTILINE)) == {
        state.value for state in State
    }


def test_malformed_is_invalid() -> None:
    """Whoever handles the one handles the other."""
    assert issubclass(MalformedResource, InvalidResource)
