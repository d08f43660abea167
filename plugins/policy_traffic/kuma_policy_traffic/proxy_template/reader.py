"""From a document to a live message of Envoy's v3 API, field by field, with the path of whatever is wrong.

A document of v2 is read against the same v3 messages: ``v2_rules`` first moves the fields that v3 does not
have. The fields that v3 added since are taken in v2 documents too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from kuma_core.sdk import shown
from kuma_core.sdk.envoy import Any as AnyMessage
from kuma_core.sdk.envoy import ApiVersion, ListValue, Message, NullValue, Struct, Value, encode
from kuma_policy_traffic.proxy_template.envoy_checks import check_whole
from kuma_policy_traffic.proxy_template.envoy_rules import check_rules
from kuma_policy_traffic.proxy_template.given import (
    Fields,
    Given,
    Typed,
    Where,
    at,
    items_of,
    mapping_of,
    no_equivalent,
    problem,
)
from kuma_policy_traffic.proxy_template.messages import (
    PREFIX,
    Field,
    enum_values,
    fields_of,
    find_type,
    name_of,
    spellings,
    v3_type,
)
from kuma_policy_traffic.proxy_template.met import Notes
from kuma_policy_traffic.proxy_template.scalars import WRAPPERS, scalar, wrapped
from kuma_policy_traffic.proxy_template.v2_rules import RULES
from kuma_policy_traffic.proxy_template.v2_types import CHANGED_VALUES, PREVIOUS, REMOVED

MAX_VALUES = 50_000
MAX_CHARACTERS = 4 * 2**20
_ALIASES = "each alias counted as what it stands for"
MAX_LISTED = 12


class Budget:
    """How much may still be read: a small text full of aliases must not become a large message."""

    def __init__(self, values: int = MAX_VALUES, characters: int = MAX_CHARACTERS) -> None:
        self._values, self._characters = values, characters
        self._left, self._characters_left = values, characters

    @property
    def spent(self) -> bool:
        """Whether there was too much already."""
        return self._left < 0 or self._characters_left < 0

    def spend(self, value: object = None, values: int = 1) -> None:
        """Count one value, and its characters if it is a text; raises ``ValueError`` when there were too many."""
        self._left -= values
        if isinstance(value, str):
            self._characters_left -= len(value)
        if self._left < 0:
            raise ValueError(f"more than {self._values} values, {_ALIASES}")
        if self._characters_left < 0:
            raise ValueError(f"more than {self._characters} characters of text, {_ALIASES}")


class Reader:
    """Reads messages; the budget is shared by all that one ProxyTemplate holds.

    A ``thorough`` one also refuses what Envoy would, once it has read a message as a whole.
    """

    def __init__(self, budget: Budget, thorough: bool = False) -> None:
        self._budget = budget
        self._thorough = thorough
        self.notes = Notes()
        self._special: Mapping[type[Message], Callable[[Given, Where], Any]] = {
            AnyMessage: self.any,
            Struct: self._struct,
            Value: self._value,
            ListValue: self._list_value,
        }

    def any(self, given: Given, where: Where) -> AnyMessage:
        """A message that says its own type by ``@type``, packed."""
        message = self.typed(given, where)
        self.notes.packed(name_of(type(message)), where.path)
        return AnyMessage(type_url=PREFIX + name_of(type(message)), value=encode(message))

    def typed(self, given: Given, where: Where) -> Message:
        """A message that says its own type by ``@type``."""
        cls, old, body = self.resolve(given)
        return self.message(cls, body, Where(given.path, old, where.within))

    def resolve(self, given: Given) -> tuple[type[Message], bool, Given]:
        """The v3 type that ``@type`` leads to, whether the message is written in v2, and its fields."""
        if isinstance(given.value, Typed):
            return v3_type(given.value.type_name), True, given.value.body
        content = dict(mapping_of(given))
        url = content.pop("@type", None)
        if not isinstance(url, str):
            raise problem(given.path, "Any JSON doesn't have '@type'")
        try:
            cls, old = find_type(url.rpartition("/")[2])
        except ValueError as error:
            raise problem(given.path, str(error)) from None
        return cls, old, self._any_body(cls, Given(content, given.path))

    def _any_body(self, cls: type[Message], content: Given) -> Given:
        """Types whose JSON is not a mapping of their fields stand under ``value``."""
        if cls not in self._special and name_of(cls) not in WRAPPERS:
            return content
        odd = sorted(content.value.keys() - {"value"})
        if odd:
            raise ValueError(f'unknown field "{content.path}.{odd[0]:.200}"')
        return at(content.value.get("value"), f"{content.path}.value".lstrip("."))

    def message(self, cls: type[Message], given: Given, where: Where) -> Message:
        """A message of a known type. Raises ``ValueError`` naming the field at fault."""
        self._budget.spend(given.value)
        name = name_of(cls)
        if cls in self._special:
            return self._special[cls](given, where)
        if name in WRAPPERS:
            self._note_text(given)
            return self._checked(given.path, lambda: cls.from_wrapped(wrapped(cls.__name__, given.value)))
        fields = self._fields(name, given, where.old)
        if where.old:
            _bring_to_v3(name, fields, where)
        inner = Where(given.path, where.old, (*where.within, name))
        known = fields_of(name)
        _check_groups(known, fields)
        message = cls()  # filled afterwards: the constructor would warn of every deprecated field
        for key, item in fields.items():
            setattr(message, key, self._field(known[key], item, inner))
        self.notes.message(name, fields.keys(), message, given.path, where.within)
        check_rules(name, message, given.path)
        if self._thorough:
            check_whole(name, message, given.path)
        return _set_api_version(message)

    def _fields(self, message: str, given: Given, old: bool) -> Fields:
        """The fields that are set, by their names in v3, or in v2 where v3 does not have them."""
        known = spellings(message, old)
        fields: Fields = {}
        for key, value in mapping_of(given).items():
            item = at(value, f"{given.path}.{key:.200}" if given.path else f"{key:.200}")
            if key not in known:
                whose = PREVIOUS.get(message, message) if old else message
                raise ValueError(f'unknown field "{item.path}" of {whose}')
            if known[key] in fields:
                raise problem(item.path, f'"{fields[known[key]].path}" is the same field; keep one of them')
            if item.value is not None or _takes_null(message, known[key]):
                fields[known[key]] = item
        return fields

    def _field(self, field: Field, given: Given, where: Where) -> Any:
        if field.key:
            return {key: self._one(field, item, where) for key, item in self._entries(field, given)}
        if field.repeated:
            return [self._one(field, item, where) for item in items_of(given)]
        return self._one(field, given, where)

    def _entries(self, field: Field, given: Given) -> Iterator[tuple[Any, Given]]:
        for key, value in mapping_of(given).items():
            self._budget.spend(key, values=0)
            item = at(value, f'{given.path}["{key:.200}"]')
            if field.key == "bool" and key in ("true", "false"):
                yield key == "true", item
            else:
                yield self._checked(item.path, partial(scalar, field.key, key)), item

    def _one(self, field: Field, given: Given, where: Where) -> Any:
        if field.kind == "message" and not field.wrapper:
            return self.message(field.cls, given, Where(given.path, where.old, where.within))
        self._budget.spend(given.value)
        if field.kind == "enum":
            return field.cls(_enum_number(field, given, where))
        kind, read = (field.wrapper, wrapped) if field.wrapper else (field.kind, scalar)
        found = self._checked(given.path, lambda: read(kind, given.value))
        if isinstance(found, str | bytes):
            self.notes.text(found, given.path)
        return found

    def _note_text(self, given: Given) -> None:
        if isinstance(given.value, str):
            self.notes.text(given.value, given.path)

    def _checked(self, path: str, read: Callable[[], Any]) -> Any:
        """Call ``read``; what it complains of is complained of with the path."""
        try:
            return read()
        except ValueError as error:
            raise problem(path, str(error)) from None

    def _struct(self, given: Given, where: Where) -> Any:
        content = mapping_of(given)
        inner = {key: at(value, f'{given.path}["{key:.200}"]') for key, value in content.items()}
        for key in content:
            self._budget.spend(key, values=0)
        return Struct(fields={key: self.message(Value, item, where) for key, item in inner.items()})

    def _list_value(self, given: Given, where: Where) -> Any:
        return ListValue(values=[self.message(Value, item, where) for item in items_of(given)])

    def _value(self, given: Given, where: Where) -> Any:
        """Any JSON value."""
        value = given.value
        if value is None:
            return Value(null_value=NullValue.NULL_VALUE)
        if isinstance(value, bool):
            return Value(bool_value=value)
        if isinstance(value, str):
            self.notes.text(value, given.path)
            return Value(string_value=value)
        if isinstance(value, dict):
            return Value(struct_value=self._struct(given, where))
        if isinstance(value, list):
            return Value(list_value=self._list_value(given, where))
        return Value(number_value=self._checked(given.path, lambda: scalar("double", value)))


def _takes_null(message: str, name: str) -> bool:
    """null means absent, except for a field that holds any JSON value."""
    field = fields_of(message).get(name)
    return field is not None and field.cls is Value and not field.repeated and not field.key


def _bring_to_v3(name: str, fields: Fields, where: Where) -> None:
    previous = PREVIOUS.get(name, "")
    for rule in RULES.get(previous, ()):
        rule(fields, where)
    for removed in REMOVED.get(previous, ()):
        if removed in fields:
            raise no_equivalent(fields[removed].path)


def _check_groups(known: Mapping[str, Field], fields: Fields) -> None:
    """At most one member of each choice."""
    chosen: dict[str, Given] = {}
    for key, given in fields.items():
        group = known[key].group
        if group and group in chosen:
            raise problem(given.path, f'"{chosen[group].path}" is set too, and only one of them can be')
        chosen[group] = given


def _enum_number(field: Field, given: Given, where: Where) -> int:
    values = enum_values(field.cls)
    value = given.value
    if where.old and isinstance(value, str):
        value = _changed_value(field, given, where)
    if isinstance(value, str) and value in values:
        return values[value]
    if isinstance(value, int) and not isinstance(value, bool) and value in values.values():
        return value
    names = list(values)
    listed = ", ".join(names[:MAX_LISTED]) + (", …" if len(names) > MAX_LISTED else "")
    raise problem(given.path, f"expected one of {listed}, got {shown(given.value)}")


def _changed_value(field: Field, given: Given, where: Where) -> str:
    """The name that a value of v2 has in v3."""
    previous = PREVIOUS.get(where.within[-1], "")
    changed = CHANGED_VALUES.get(previous, {}).get(field.name, {})
    name: str | None = changed.get(given.value, given.value)
    if name is None:
        raise problem(given.path, f"the value {given.value} of the v2 API has no equivalent in Envoy v3")
    return name


def _set_api_version(message: Message) -> Message:
    """Whatever asks for v2, or leaves the version open, asks for v3: Envoy speaks nothing else."""
    for name, field in fields_of(name_of(type(message))).items():
        if field.cls is ApiVersion and getattr(message, name) in (ApiVersion.AUTO, ApiVersion.V2):
            setattr(message, name, ApiVersion.V3)
    return message
