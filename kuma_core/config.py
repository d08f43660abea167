"""Configuration as values: what can be set, and what was set by whom. No file or environment is read here.

The built-in defaults hold, over them the file, over that the environment, as in Kuma 0.3.1; the first value
that breaks a rule stops the start.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kuma_core.durations import format_duration, parse_duration
from kuma_core.errors import ConfigError

MASK = "*****"
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))

_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a fraction",
    str: "text",
    list: "a list",
    dict: "a mapping",
}
"""How messages call what YAML holds."""

_LONGEST_SHOWN = 60

Check = Callable[[Any], str | None]
Rule = Callable[["Config"], str | None]


@dataclass(frozen=True, slots=True)
class ValueType:
    """How a value is read from YAML and from an environment variable, and how it is shown.

    ``from_yaml`` and ``from_text`` raise ``ValueError`` with a sentence that says what was expected.
    """

    name: str
    from_yaml: Callable[[Any], Any]
    from_text: Callable[[str], Any]
    show: Callable[[Any], Any] = lambda value: value


def _exactly(expected: type, name: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not expected:
            raise ValueError(f"expected {name}, got {_KINDS.get(type(value), type(value).__name__)}")
        return value

    return read


def _yaml_text(value: Any) -> str:
    return "" if value is None else str(_exactly(str, "text")(value))


def _yaml_texts(value: Any) -> tuple[str, ...]:
    return tuple(_exactly(str, "text")(item) for item in _exactly(list, "a list of texts")(value))


def _number(text: str) -> int:
    """As Go reads integers: ``0x..`` is hexadecimal, a leading zero means octal."""
    octal = text.startswith("0") and text.isdigit() and len(text) > 1
    try:
        return int(text, 8 if octal else 0)
    except ValueError:
        raise ValueError(f'expected a whole number, got "{_short(text)}"') from None


def _flag(text: str) -> bool:
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f'expected true or false, got "{_short(text)}"')


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


TEXT = ValueType("text", _yaml_text, str)
NUMBER = ValueType("number", _exactly(int, "a whole number"), _number)
FLAG = ValueType("flag", _exactly(bool, "true or false"), _flag)
TEXTS = ValueType("list", _yaml_texts, lambda text: tuple(text.split(",")) if text else (), list)
DURATION = ValueType(
    "duration",
    lambda value: parse_duration(_exactly(str, "a duration such as 500ms or 1m30s")(value)),
    parse_duration,
    format_duration,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One configuration key. A plugin registers its own with ``kuma_register_config``.

    ``path`` is where it stands in the YAML (``apiServer.port``), ``env`` its environment variable,
    ``aliases`` further variables that mean the same. ``default`` is the value itself (durations in
    nanoseconds). ``section`` is named in errors (``ApiServer``). ``check`` gets the value and returns what
    is wrong with it, or ``None``; ``rule`` does the same with the whole configuration, for what depends on
    other keys. Both are asked only where the key ``checked_if[0]`` has the value ``checked_if[1]``. A
    ``secret`` is masked wherever the configuration is shown.
    """

    path: str
    env: str
    default: Any
    type: ValueType
    help: str
    section: str
    check: Check | None = None
    aliases: tuple[str, ...] = ()
    secret: bool = False
    rule: Rule | None = None
    checked_if: tuple[str, Any] | None = None


class Config:
    """The effective configuration: a value and its source for every setting that was registered."""

    def __init__(
        self,
        settings: Iterable[Setting],
        values: Mapping[str, Any],
        sources: Mapping[str, str],
        warnings: Iterable[str] = (),
    ) -> None:
        self.settings = tuple(settings)
        self.sources = MappingProxyType(dict(sources))
        self.warnings = tuple(warnings)
        self._values = dict(values)

    def text(self, path: str) -> str:
        """The value of a text setting."""
        return str(self._values[path])

    def number(self, path: str) -> int:
        """The value of a number setting."""
        return int(self._values[path])

    def flag(self, path: str) -> bool:
        """The value of a flag."""
        return bool(self._values[path])

    def texts(self, path: str) -> tuple[str, ...]:
        """The values of a list setting."""
        return tuple(self._values[path])

    def seconds(self, path: str) -> float:
        """The value of a duration setting, in seconds."""
        return int(self._values[path]) / 1e9

    def value(self, path: str) -> Any:
        """The value of any setting, as ``Setting.default`` is written."""
        return self._values[path]

    def changed(self, values: Mapping[str, Any], source: str, warnings: Iterable[str] = ()) -> Config:
        """A copy with other values by path, which come from ``source``, and with more warnings."""
        sources = {**self.sources, **dict.fromkeys(values, source)}
        return Config(self.settings, {**self._values, **values}, sources, [*self.warnings, *warnings])

    def as_document(self) -> dict[str, Any]:
        """Nested by section as in the YAML file, secrets masked, durations as text."""
        document: dict[str, Any] = {}
        for setting in self.settings:
            *sections, key = setting.path.split(".")
            place = document
            for section in sections:
                place = place.setdefault(section, {})
            place[key] = self.shown(setting)
        return document

    def shown(self, setting: Setting) -> Any:
        """The value of a setting as YAML and JSON have it; that of a secret is masked."""
        return MASK if setting.secret else setting.type.show(self._values[setting.path])

    def refusal(self, setting: Setting, problem: str) -> ConfigError:
        """The error for a setting whose value breaks a rule."""
        return ConfigError(
            f"Invalid configuration: {setting.section} validation failed: {problem} "
            f"({setting.path} is {_short(repr(self.shown(setting)))}, from {self.sources[setting.path]})"
        )


def build_config(
    settings: Iterable[Setting], document: Mapping[str, Any], file: str, environ: Mapping[str, str]
) -> Config:
    """Merge defaults, the file's ``document`` and the environment, and check every value.

    ``file`` is only a name for messages. Unknown keys of the document become ``Config.warnings``.
    Raises ``ConfigError`` for the first value that cannot be read or breaks its setting's rule.
    """
    settings = tuple(settings)
    known = {setting.path for setting in settings}
    given, unknown = _flatten(document, known, file)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in settings:
        values[setting.path], sources[setting.path] = _effective(setting, given, file, environ)
    config = Config(settings, values, sources, [_unknown(path, known, file) for path in unknown])
    for setting in settings:
        _enforce(setting, config)
    return config


def _unknown(path: str, known: Iterable[str], file: str) -> str:
    """The warning about a key that nobody registered, with the key that is spelled most like it."""
    folded = {name.lower(): name for name in known}
    sections = {name[:at] for name in known for at, letter in enumerate(name) if letter == "."}
    folded |= {name.lower(): name for name in sections}
    near = difflib.get_close_matches(_short(path).lower().replace("_", ""), folded, n=1, cutoff=0.75)
    hint = f'; did you mean "{folded[near[0]]}"?' if near else ""
    return f'{file}: unknown configuration key "{_short(path)}" is ignored{hint}'


def _flatten(document: Mapping[str, Any], known: set[str], file: str) -> tuple[dict[str, Any], list[str]]:
    """The document's values by dotted path, and the paths that no setting has."""
    sections = {path[:at] for path in known for at, letter in enumerate(path) if letter == "."}
    given: dict[str, Any] = {}
    unknown: list[str] = []

    def walk(place: Mapping[str, Any], prefix: str) -> None:
        for key, value in place.items():
            path = prefix + key
            if path in known:
                given[path] = value
            elif path not in sections:
                unknown.append(path)
            elif isinstance(value, Mapping | None):
                walk(value or {}, path + ".")
            else:
                kind = _KINDS.get(type(value), type(value).__name__)
                raise ConfigError(
                    f"Invalid configuration: {path} (from {file}): expected a section, that is a mapping "
                    f"of keys, got {kind}"
                )

    walk(document, "")
    return given, unknown


def _effective(
    setting: Setting, given: Mapping[str, Any], file: str, environ: Mapping[str, str]
) -> tuple[Any, str]:
    for variable in (setting.env, *setting.aliases):
        if variable and variable in environ:
            return _read(setting, setting.type.from_text, environ[variable], variable), variable
    if setting.path in given:
        return _read(setting, setting.type.from_yaml, given[setting.path], file), file
    return setting.default, "default"


def _read(setting: Setting, reader: Callable[[Any], Any], raw: Any, source: str) -> Any:
    try:
        return reader(raw)
    except ValueError as error:
        raise ConfigError(
            f"Invalid configuration: {setting.section} validation failed: "
            f"{setting.path} (from {source}): {error}"
        ) from None


def _enforce(setting: Setting, config: Config) -> None:
    if setting.checked_if and config.value(setting.checked_if[0]) != setting.checked_if[1]:
        return
    problem = setting.check(config.value(setting.path)) if setting.check else None
    if problem is None and setting.rule:
        problem = setting.rule(config)
    if problem:
        raise config.refusal(setting, problem)
