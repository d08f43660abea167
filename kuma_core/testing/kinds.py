"""What every kind of resource promises, as tests. A plugin's kinds pass them by subclassing ``KindSuite``.

::

    class TestMyKinds(KindSuite):
        kinds = my_plugin.kuma_register_resource_types()

Hypothesis (``pip install hypothesis``) makes up documents from the types of the spec's fields.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from hypothesis import given, reject, settings
from hypothesis import strategies as st
from hypothesis.errors import FailedHealthCheck, Unsatisfiable

from kuma_core.errors import MalformedResource, Violation
from kuma_core.model import Resource, ResourceType
from kuma_core.resources import codec
from kuma_core.resources.reader import Reader
from kuma_core.specs.base import Spec, parse_spec, to_document
from kuma_core.specs.fields import Shown
from kuma_core.specs.keepable import unkeepable
from kuma_core.specs.shapes import peeled

Strategy = st.SearchStrategy[Any]


class KindSuite:
    """What is written in a resource is kept, and its rules can be asked of anything that can be written.

    ``values`` says what to make up for fields whose values are checked by code of your own, which hypothesis cannot
    know: ``values = {"GreetingSpec.text": st.text(max_size=80)}``, with JSON data as a client would send it.
    """

    kinds: ClassVar[Iterable[ResourceType]]
    values: ClassVar[Mapping[str, Strategy]] = {}

    def __init_subclass__(cls) -> None:
        """What a hook returns may be iterated over once only."""
        super().__init_subclass__()
        if "kinds" in cls.__dict__:
            cls.kinds = tuple(cls.kinds)

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Each test, once for each kind."""
        kinds = list(self.kinds)
        assert kinds, "name at least one kind in `kinds`"
        metafunc.parametrize("kind", kinds, ids=[kind.name for kind in kinds])

    def test_every_field_can_be_kept(self, kind: ResourceType) -> None:
        """Its type is supported; this is what the control plane asks at its start."""
        assert unkeepable(kind) == []

    def test_what_is_written_is_read_again(self, kind: ResourceType) -> None:
        """From a store, and by whoever applies what REST shows. Also what the system has filled in."""

        def check(spec: Spec) -> None:
            for item in (spec, spec.with_defaults()):
                resource = Resource(kind.key("mesh", "name"), item)
                document = codec.encode(resource)
                Reader().read_back(kind, resource, document)
                if kind.served:
                    shown = to_document(item)
                    again, unknown = parse_spec(kind.spec, shown)
                    assert unknown == []
                    assert codec.encode(Resource(resource.key, again)) == document

        self._for_any(kind, check)

    def test_what_the_system_fills_in_is_filled_in_once(self, kind: ResourceType) -> None:
        """Else every write of an equal document would count as another one."""

        def check(spec: Spec) -> None:
            once = spec.with_defaults()
            twice = once.with_defaults()
            assert to_document(twice) == to_document(once), f"with_defaults changes what it made: {once!r}"

        self._for_any(kind, check)

    def test_every_rule_can_be_asked(self, kind: ResourceType) -> None:
        """Whatever was read, the rules say what is wrong with it, and raise nothing."""

        def check(spec: Spec) -> None:
            for violation in spec.violations():
                assert isinstance(violation, Violation)
                assert violation.message

        self._for_any(kind, check)

    def test_any_json_is_read_or_refused(self, kind: ResourceType) -> None:
        """With a sentence on each wrong value, and no other error."""
        names = [name for field in kind.spec.model_fields.items() for name in (field[0], field[1].alias)]

        @settings(deadline=None)
        @given(st.dictionaries(st.sampled_from([*names, "unknown"]), JSON, max_size=4))
        def check(document: dict[str, Any]) -> None:
            problems: Iterable[Violation] = ()
            try:
                problems = list(parse_spec(kind.spec, document)[0].violations())
            except MalformedResource as error:
                problems = error.violations or [Violation("", "")]
            assert all(problem.message for problem in problems)

        check()

    def _for_any(self, kind: ResourceType, check: Callable[[Spec], None]) -> None:
        """Call ``check`` with specs that were read from made-up documents."""
        refused = ""

        @settings(deadline=None)
        @given(documents(kind.spec, self.values))
        def run(document: dict[str, Any]) -> None:
            nonlocal refused
            try:
                spec, unknown = parse_spec(kind.spec, document)
            except MalformedResource as error:
                refused = str(error)
                reject()
            assert unknown == []
            check(spec)

        try:
            run()
        except (FailedHealthCheck, Unsatisfiable) as error:
            if not refused:
                raise
            raise AssertionError(
                f"most documents that are made up for {kind.name} are refused, one of them with: {refused}. "
                "Say in `values` what to make up for such fields"
            ) from error


# -- documents of any kind


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
JSON: Strategy = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
_LONGEST = 3
"""How many elements a made-up list or object has more than it needs."""
_BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")


def documents(spec: type[Spec], values: Mapping[str, Strategy] = {}) -> Strategy:
    """Documents of a spec; ``values`` as for ``KindSuite``."""
    return _Maker(values).model(spec)


class _Maker:
    """Makes strategies from types; one for each model, so that a model may hold itself."""

    def __init__(self, values: Mapping[str, Strategy]) -> None:
        self._values = values
        self._models: dict[type[Spec], Strategy] = {}

    def model(self, spec: type[Spec]) -> Strategy:
        """An object with some of the fields, or ``null`` for them; all its keys are in one of the two spellings."""
        if spec not in self._models:
            self._models[spec] = st.deferred(lambda: self._fields(spec))
        return self._models[spec]

    def _fields(self, spec: type[Spec]) -> Strategy:
        needed, others, snake = {}, {}, {}
        for name, info in spec.model_fields.items():
            alias = info.alias or name
            given = self._values.get(f"{spec.__name__}.{name}", self._values.get(f"{spec.__name__}.{alias}"))
            strategy = self.of(info.annotation, info.metadata) if given is None else given
            snake[alias] = name
            if info.is_required():
                needed[alias] = strategy
            else:
                others[alias] = st.none() | strategy
        objects = st.fixed_dictionaries(needed, optional=others)
        return objects | objects.map(lambda found: {snake[key]: value for key, value in found.items()})

    def of(self, annotation: Any, marks: Sequence[Any] = ()) -> Strategy:
        """Values of a type as JSON has them."""
        bare, said = peeled(annotation)
        marks = (*said, *marks)
        origin, arguments = typing.get_origin(bare) or bare, typing.get_args(bare)
        if shown := next((mark for mark in marks if isinstance(mark, Shown)), None):
            return _single(bare, marks).map(shown.write)
        if origin is Literal:
            return st.sampled_from(arguments)
        if origin in (typing.Union, types.UnionType):
            return st.one_of([st.none() if item is types.NoneType else self.of(item) for item in arguments])
        if origin is tuple and arguments and arguments[-1] is not ...:
            return st.tuples(*map(self.of, arguments)).map(list)
        if origin in (tuple, list, Sequence):
            least, most = _sizes(marks)
            return st.lists(self.of(arguments[0] if arguments else Any), min_size=least, max_size=most)
        if origin in (dict, Mapping):
            (keys, items), (least, most) = map(self.of, arguments or (str, Any)), _sizes(marks)
            return st.dictionaries(keys, items, min_size=least, max_size=most)
        if isinstance(bare, type) and issubclass(bare, Spec):
            return self.model(bare)
        return _single(bare, marks)


def _single(bare: Any, marks: Sequence[Any]) -> Strategy:
    """Values that hold no others, within the bounds that pydantic is told of."""
    bounds = _bounds(marks)
    if bare is int:
        least = bounds.get("ge", bounds.get("gt", -(2**63) - 1) + 1)
        most = bounds.get("le", bounds.get("lt", 2**63) - 1)
        return st.integers(least, most)
    if bare is float:
        least, most = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
        return st.floats(
            least,
            most,
            allow_nan=False,
            allow_infinity=False,
            exclude_min="gt" in bounds,
            exclude_max="lt" in bounds,
        )
    if bare is str:
        return _texts(bounds)
    known: dict[Any, Strategy] = {
        bool: st.booleans(),
        bytes: st.binary(),
        datetime: st.datetimes(timezones=st.just(UTC)),
        Any: JSON,
    }
    assert bare in known, f"nobody knows how to make up {bare}: name its field in `values`"
    return known[bare]


def _texts(bounds: Mapping[str, Any]) -> Strategy:
    least, most = bounds.get("min_length", 0), bounds.get("max_length")
    if pattern := bounds.get("pattern"):
        found = st.from_regex(pattern)
        return found.filter(lambda text: least <= len(text) <= (len(text) if most is None else most))
    longest = least + 20 if most is None else most
    return st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=least, max_size=longest
    )


def _sizes(marks: Sequence[Any]) -> tuple[int, int]:
    bounds = _bounds(marks)
    least = bounds.get("min_length", 0)
    return least, min(least + _LONGEST, bounds.get("max_length", least + _LONGEST))


def _bounds(marks: Sequence[Any]) -> dict[str, Any]:
    """What ``Field(...)`` and its like say, wherever pydantic has put it."""
    every = [item for mark in marks for item in (mark, *getattr(mark, "metadata", ()))]
    return {
        name: getattr(item, name)
        for item in every
        for name in _BOUNDS
        if getattr(item, name, None) is not None
    }


__all__ = ["KindSuite", "documents"]
