"""Who may import whom. The rules stand below as data; docs/explanation/architecture.md explains them."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ROWS: dict[str, int] = {
    "": 0,  # kuma_core itself, which is its version
    "errors": 0,
    "model": 0,
    "config": 0,
    "lifecycle": 0,
    "durations": 0,
    "clocks": 0,
    "counted": 0,
    "histogram": 0,
    "documents": 0,
    "commandline": 0,
    "visible": 0,
    "http_client": 0,
    "kinds": 0,
    "hosts": 0,
    "log_pipe": 0,
    "log_queue": 0,
    "log_levels": 0,
    "log_formats": 0,
    "lazily": 0,
    "live_certificate": 0,
    "packages": 0,
    "built": 0,
    "pass_mark": 0,
    "specs": 1,
    "xds.drafts": 1,
    "xds.proxy": 1,
    "plugin": 2,
    "resources": 3,
    "mesh": 4,
    "policy": 4,
    "ca": 4,
    "auth": 4,
    "api": 5,
    "xds": 5,
    "runtime": 6,
    "builtin": 6,
    "testing": 6,
    "sdk": 6,
    "kumactl": 6,
    "dataplane": 6,
    "redirection": 6,
}
"""The row of each room; the longest prefix counts. Every ``contract.py`` is of row 1, wherever it stands.

An import under ``TYPE_CHECKING`` counts as every other one: a circle of types is a circle.
"""

PROGRAMS = {"kumactl", "dataplane", "redirection"}
"""Programs of their own, which are to start fast: row 0 and the libraries below."""

MEETINGS = {
    ("kumactl.main", "plugin.commands"),  # in a function, for words that kumactl itself does not know
    ("kumactl.main", "plugin.formats"),  # likewise, for output formats
    *(
        ("sdk.kumactl", f"kumactl.{name}")
        for name in ("admin", "client", "files", "output", "session", "table")
    ),
}
"""Where a program and what lies behind it meet, module by module: commands of plugins."""

NEIGHBOURS = {
    ("policy", "mesh"),
    ("runtime", "builtin"),
    ("testing", "runtime"),
    ("testing", "builtin"),
}
"""Within a row nobody imports another room, but for these."""

LIBRARIES: dict[str, set[str]] = {
    "pluggy": {"plugin"},
    "grpc": {"xds.server", "runtime", "testing"},
    "falcon": {"api", "builtin"},
    "waitress": {"runtime"},
    "uvicorn": {"runtime"},
    "a2wsgi": {"runtime"},
    "sqlalchemy": set(),
    "lightkube": set(),
    "cryptography": {
        "resources.encryption",
        "ca",
        "builtin.archive",
        "builtin.tokens",
        "xds.server",
        "runtime",
        "testing",
        "kumactl",
    },
    "jwt": {"builtin.tokens", "testing"},
    "pytest": {"testing"},
    "hypothesis": {"testing"},
    "envoy": set(),
}
"""Where a library may be imported in the kernel; a library that is not named here may be anywhere."""

LIGHT = {"click", "yaml"}
"""What the programs that start fast may use beside the standard library."""

OPTIONAL = {
    ("kuma_core.kumactl.template", "mstache"),
    ("kuma_core.kumactl.tls_pair", "cryptography"),
}
"""What one of their modules may use in a function, with a sentence where it is not installed."""


@dataclass(frozen=True)
class Import:
    """One import statement: the module it stands in, and the full name of what it imports."""

    module: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}, imports {self.target}"


class _Imports(ast.NodeVisitor):
    """Gathers imports, those inside functions and under ``TYPE_CHECKING`` too."""

    def __init__(self, module: str, is_package: bool) -> None:
        self.module, self.is_package = module, is_package
        self.found: list[Import] = []

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [Import(self.module, alias.name, node.lineno) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        package = self.module.split(".")
        if node.level:
            package = package[: len(package) - node.level + self.is_package]
            base = ".".join([*package, *([node.module] if node.module else [])])
        else:
            base = node.module or ""
        self.found += [Import(self.module, f"{base}.{alias.name}", node.lineno) for alias in node.names]


def modules(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every module of a package as (dotted name, file)."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


KERNEL = dict(modules(ROOT / "kuma_core"))
PLUGINS = {
    name: path
    for folder in sorted((ROOT / "plugins").glob("*/kuma_*"))
    if (folder / "__init__.py").exists()
    for name, path in modules(folder)
}


def imports_of(name: str, path: Path) -> list[Import]:
    visitor = _Imports(name, path.name == "__init__.py")
    visitor.visit(ast.parse(path.read_text()))
    return visitor.found


def resolve(target: str) -> str:
    """The kernel's module that an import reaches: the longest prefix that is one, without ``kuma_core.``."""
    while target not in KERNEL:
        target = target.rpartition(".")[0]
    return target.removeprefix("kuma_core").removeprefix(".")


def is_below(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def room_of(module: str) -> str:
    """The first part of a module's name: its room."""
    return module.split(".")[0]


def row_of(module: str) -> int:
    if module.split(".")[-1] == "contract":
        return 1
    rooms = [room for room in ROWS if room and is_below(module, room)]
    if not rooms:
        assert not module, f"kuma_core/{module} has no row yet: give it one here, and a sign on its door"
        return ROWS[""]
    return ROWS[max(rooms, key=len)]


def is_kernel(target: str) -> bool:
    return is_below(target, "kuma_core")


KERNEL_IMPORTS = [found for name, path in KERNEL.items() for found in imports_of(name, path)]


def refusal(found: Import) -> str:
    """Why the layers forbid an import, or nothing."""
    module, target = resolve(found.module), resolve(found.target)
    here, there = room_of(module), room_of(target)
    if here == there:
        return "" if row_of(target) <= row_of(module) else "a contract may not need the room behind it"
    if (module, target) in MEETINGS:
        return ""
    if there in PROGRAMS:
        return "nobody imports a program"
    if here in PROGRAMS:
        return "" if row_of(target) == 0 else "a program that starts fast uses row 0 only"
    if there in ("testing", "sdk") and here != "testing":
        return f"{there} is not for the kernel"
    above, below = row_of(module), row_of(target)
    if below < above or (here, there) in NEIGHBOURS or (above == below and above <= 1):
        return ""
    return f"row {above} may not import row {below}"


def test_every_module_has_a_row() -> None:
    assert len(KERNEL) > 70
    for name in KERNEL:
        module = name.removeprefix("kuma_core").removeprefix(".")
        assert row_of(module) in range(7)


def test_rooms_import_only_what_lies_below_them() -> None:
    inside = [found for found in KERNEL_IMPORTS if is_kernel(found.target)]
    assert len(inside) > 200
    assert [f"{found}: {refusal(found)}" for found in inside if refusal(found)] == []


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("kuma_core.errors", "kuma_core.model.Resource"),  # row 0 is one room of values
        ("kuma_core.api.app", "kuma_core.api.errors"),
        ("kuma_core.plugin.catalog", "kuma_core.resources.contract.StoreFactory"),
        ("kuma_core.dataplane.run", "kuma_core.errors.KumaError"),
        ("kuma_core.testing.platform", "kuma_core.runtime.platform.Platform"),
        ("kuma_core.kumactl.main", "kuma_core.plugin.commands.added"),
        ("kuma_core.sdk.kumactl", "kuma_core.kumactl.session.Session"),
    ],
)
def test_what_the_rule_allows(module: str, target: str) -> None:
    assert refusal(Import(module, target, 1)) == ""


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("kuma_core.model", "kuma_core.resources.manager.ResourceManager"),
        ("kuma_core.resources.manager", "kuma_core.api.app"),
        ("kuma_core.api.app", "kuma_core.xds.snapshot"),
        ("kuma_core.xds.mesh_views", "kuma_core.api.errors"),
        ("kuma_core.resources.contract", "kuma_core.resources.manager"),
        ("kuma_core.kumactl.get", "kuma_core.plugin.loader"),
        ("kuma_core.runtime.platform", "kuma_core.testing.ports"),
        ("kuma_core.builtin", "kuma_core.sdk.Spec"),
        ("kuma_core.xds.proxy", "kuma_core.runtime.platform"),
        ("kuma_core.runtime.kuma_cp", "kuma_core.kumactl.main"),
        ("kuma_core.kumactl.manage", "kuma_core.plugin.commands.added"),
        ("kuma_core.sdk", "kuma_core.kumactl.session.Session"),
    ],
)
def test_what_the_rule_forbids(module: str, target: str) -> None:
    assert refusal(Import(module, target, 1))


def circles() -> list[list[str]]:
    """The modules that need each other, whichever way round: each group of them that is more than one."""
    needs: dict[str, set[str]] = {name: set() for name in KERNEL}
    for found in KERNEL_IMPORTS:
        if is_kernel(found.target):
            needs[found.module] |= {f"kuma_core.{resolve(found.target)}".rstrip(".")} - {found.module}
    reached: dict[str, set[str]] = {}
    for name in KERNEL:
        seen, todo = set(), [name]
        while todo:
            for target in needs[todo.pop()] - seen:
                seen.add(target)
                todo.append(target)
        reached[name] = seen
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in KERNEL
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def test_there_is_no_circle_of_modules() -> None:
    assert circles() == []


def test_a_feature_of_the_kernel_knows_others_by_their_contracts_alone() -> None:
    """So that each has the shape of a plugin, which may import nobody's rooms but the kernel's door."""
    wrong = []
    for found in (found for found in KERNEL_IMPORTS if is_kernel(found.target)):
        module, target = resolve(found.module).split("."), resolve(found.target).split(".")
        both = len(module) > 1 < len(target) and module[0] == target[0] == "builtin"
        if both and module[1] != target[1] and target[-1] != "contract":
            wrong.append(str(found))
    assert wrong == []


HOMES = {
    "revo": ("builtin.tokens", "kumactl.revoke", "kumactl.inspect_commands", "kumactl.token_client"),
    "rotation": ("builtin.rotation", "builtin.configuration", "kumactl.rotation", "kumactl.manage"),
}
"""Where what begins a word may stand: in its feature's room, its settings and its commands. The doors of plugins and
what tests share hand it on."""

DOORS = ("sdk", "testing")


def names_of(path: Path) -> set[str]:
    """Every name that a module gives, takes or looks up; prose is free."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.arg) or (isinstance(node, ast.keyword) and node.arg):
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found |= {part for alias in node.names for part in alias.name.split(".")}
            found |= set((getattr(node, "module", "") or "").split("."))
    return found


@pytest.mark.parametrize("word", sorted(HOMES))
def test_a_feature_is_named_in_its_own_room_alone(word: str) -> None:
    wrong = {
        module: sorted(name for name in names_of(path) if word in name.lower())
        for name, path in KERNEL.items()
        if not any(is_below(module := resolve(name), home) for home in (*HOMES[word], *DOORS))
    }
    wrong.pop("builtin", None)  # the tuple of features names each of them
    assert {module: names for module, names in wrong.items() if names} == {}


def test_the_platform_opens_everything_in_a_loop() -> None:
    tree = ast.parse(KERNEL["kuma_core.runtime.platform"].read_text())
    (found,) = (n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef) and n.name == "_open")
    assert found.end_lineno is not None
    assert found.end_lineno - found.lineno < 40


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_a_library_stays_in_its_rooms(library: str) -> None:
    users = {
        found.module.removeprefix("kuma_core.") for found in KERNEL_IMPORTS if is_below(found.target, library)
    }
    allowed = LIBRARIES[library]
    assert {user for user in users if not any(is_below(user, room) for room in allowed)} == set()


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_the_light_programs_use_light_libraries(program: str) -> None:
    for found in KERNEL_IMPORTS:
        if is_below(found.module, f"kuma_core.{program}") and not is_kernel(found.target):
            library = found.target.split(".")[0]
            light = library in sys.stdlib_module_names | LIGHT
            assert light or (found.module, library) in OPTIONAL, str(found)


def test_the_kernel_imports_no_plugin() -> None:
    plugins = {name.split(".")[0] for name in PLUGINS}
    assert "kuma_store_memory" in plugins
    assert [str(found) for found in KERNEL_IMPORTS if found.target.split(".")[0] in plugins] == []


def test_a_plugin_imports_the_sdk_and_its_own_modules_only() -> None:
    wrong = []
    for name, path in PLUGINS.items():
        own = name.split(".")[0]
        for found in imports_of(name, path):
            first = found.target.split(".")[0]
            of_kernel = first == "kuma_core" and not is_below(found.target, "kuma_core.sdk")
            if of_kernel or (first.startswith("kuma_") and first not in ("kuma_core", own)):
                wrong.append(str(found))
    assert wrong == []


def test_sqlalchemy_is_the_postgres_plugins_alone() -> None:
    users = {
        name.split(".")[0]
        for name, path in PLUGINS.items()
        for found in imports_of(name, path)
        if is_below(found.target, "sqlalchemy")
    }
    assert users <= {"kuma_store_postgres"}


SDK = [f"kuma_core.sdk{door}" for door in ("", ".envoy", ".http", ".kumactl", ".pki", ".programs")]
FOR_THE_SDK = {"TYPE_CHECKING", "handing_on"}
"""What the sdk itself uses to hand on some names late."""


def hands_names_on(node: ast.stmt) -> bool:
    """Whether a statement imports names, lists them, or has some imported when they are first asked for."""
    if not isinstance(node, ast.If):
        return isinstance(node, ast.ImportFrom | ast.Assign)
    late = [ast.unparse(other).startswith("__getattr__ = handing_on(") for other in node.orelse]
    return (
        ast.unparse(node.test) == "TYPE_CHECKING"
        and late == [True]
        and all(isinstance(child, ast.ImportFrom) for child in node.body)
    )


@pytest.mark.parametrize("module", SDK)
def test_the_sdk_holds_no_logic(module: str) -> None:
    body = ast.parse(KERNEL[module].read_text()).body
    assert all(map(hands_names_on, body[1:])), f"{module} does more than to hand names on"


@pytest.mark.parametrize("module", SDK)
def test_the_sdk_names_all_that_it_hands_on(module: str) -> None:
    tree = ast.parse(KERNEL[module].read_text())
    imported = {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    (names,) = (ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign))
    assert len(names) == len(set(names))
    assert set(names) == imported - FOR_THE_SDK
    found = importlib.import_module(module)
    assert [name for name in names if not hasattr(found, name)] == []
    assert not hasattr(found, "nothing_of_that_name")


@pytest.mark.parametrize("name", [*KERNEL, *PLUGINS])
def test_every_module_has_a_sign_on_its_door(name: str) -> None:
    path = (KERNEL | PLUGINS)[name]
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, f"{path.relative_to(ROOT)} has no docstring"
    assert len(docstring.splitlines()[0]) > 15


HEAVY = (
    "betterproto2",
    "cryptography",
    "envoy_data_plane",
    "falcon",
    "grpc",
    "lightkube",
    "sqlalchemy",
    "waitress",
)
BARE = (*HEAVY, "pydantic", "structlog", "alembic", "psycopg", "jwt")
"""What an operator's machine has not, on which kumactl and the commands of plugins work."""
HEAVIER = (*HEAVY, "pydantic", "pluggy", "structlog")


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        *((name, BARE) for name in sorted({name.split(".")[0] for name in PLUGINS})),
        *((name, BARE) for name in sorted(PLUGINS) if name.endswith(".commands")),
        ("kuma_core.sdk", BARE),
        ("kuma_core.sdk.kumactl", BARE),
        ("kuma_core.plugin.commands", BARE),
        ("kuma_core.plugin.hookspecs", (*HEAVY, "pydantic")),
        ("kuma_core.runtime.kuma_cp", (*HEAVY, "pydantic")),
        ("kuma_core.kumactl.main", (*HEAVIER, "yaml", "mstache")),
        ("kuma_core.dataplane.kuma_dp", (*HEAVIER, "yaml", "mstache")),
        ("kuma_core.redirection.kuma_init", (*HEAVIER, "yaml", "click")),
    ],
)
def test_importing_is_cheap(module: str, unwanted: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*sorted(set({unwanted!r}) & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert loaded.stdout.split() == []


@pytest.mark.parametrize("name", sorted(name for name in KERNEL if name.count(".") == 1))
def test_every_room_can_be_imported_alone(name: str) -> None:
    code = f"import {name}"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
