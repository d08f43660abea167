"""What ``version --detailed`` knows: of a wheel, of a checkout, of neither."""

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

from kuma_core import __version__
from kuma_core.built import STAMP, built_from

ROOT = Path(__file__).resolve().parents[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PROGRAMS = ("kuma-cp", "kuma-dp", "kumactl", "kuma-tcp-echo", "kuma-init")


def git(folder: Path, *words: str) -> str:
    """Git, with nothing of the user's settings."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    said = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *said, *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "kuma_core").mkdir(parents=True)
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("__init__.py", "built.py", "py.typed"):
        shutil.copy(ROOT / "kuma_core" / name, folder / "kuma_core")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def build(folder: Path, into: Path, kind: str, **environ: str) -> Path:
    """A wheel or an sdist of a folder, as build tools make it."""
    into.mkdir()
    program = f"from setuptools import build_meta; build_meta.build_{kind}({str(into)!r})"
    known = {key: value for key, value in os.environ.items() if not key.startswith(("KUMA_", "SOURCE_DATE"))}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=folder,
        env=known | environ,
        check=True,
        capture_output=True,
        timeout=120,
    )
    [made] = into.iterdir()
    return made


def stamp_of(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as found:
        return json.loads(found.read(f"kuma_core/{STAMP}"))


def test_a_wheel_holds_the_commit_its_tag_and_the_date(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "tag", "v9.9")
    head = git(checkout, "rev-parse", "HEAD")
    wheel = build(checkout, tmp_path / "one", "wheel", SOURCE_DATE_EPOCH="1700000000")
    assert stamp_of(wheel) == {"commit": head, "tag": "v9.9", "date": "2023-11-14T22:13:20Z"}
    assert not (checkout / "kuma_core" / STAMP).exists()
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    program = "from kuma_core.built import detailed_version as d; print(d())"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(installed)!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[:4] == [
        f"Version:    {__version__}",
        "Git Tag:    v9.9",
        f"Git Commit: {head}",
        "Build Date: 2023-11-14T22:13:20Z",
    ]


def test_a_wheel_of_an_sdist_knows_what_the_sdist_knew(checkout: Path, tmp_path: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    (checkout / "README.md").write_text("other words")
    sdist = build(checkout, tmp_path / "sdist", "sdist", SOURCE_DATE_EPOCH="1700000000")
    with tarfile.open(sdist) as found:
        found.extractall(tmp_path / "source", filter="data")
    [source] = (tmp_path / "source").iterdir()
    wheel = build(source, tmp_path / "two", "wheel")
    assert stamp_of(wheel) == {"commit": f"{head} (changed)", "date": "2023-11-14T22:13:20Z"}


def test_a_build_without_git_is_told_the_commit(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".git")
    wheel = build(checkout, tmp_path / "one", "wheel", KUMA_BUILD_COMMIT=COMMIT)
    assert stamp_of(wheel)["commit"] == COMMIT


def test_a_checkout_is_read_as_git_has_it(checkout: Path, tmp_path: Path) -> None:
    package = str(checkout / "kuma_core")
    head = {"commit": git(checkout, "rev-parse", "HEAD")}
    assert built_from(package) == head
    git(checkout, "pack-refs", "--all")
    assert not (checkout / ".git/refs/heads/main").exists()
    assert built_from(package) == head
    git(checkout, "worktree", "add", "-q", str(tmp_path / "other"), "-b", "side")
    assert built_from(str(tmp_path / "other" / "kuma_core")) == head
    git(checkout, "checkout", "-q", "--detach")
    assert built_from(package) == head


@pytest.mark.parametrize(
    "head", ["", "ref: refs/heads/none", "ref: ../../../etc/passwd", "x" * 40, "ref:", "\0", COMMIT[:39]]
)
def test_what_is_no_commit_is_not_shown(head: str, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(head)
    assert built_from(str(tmp_path / "kuma_core")) == {}


@pytest.mark.parametrize("text", ["", "[]", "nothing", "3"])
def test_a_broken_stamp_is_passed_over(text: str, tmp_path: Path) -> None:
    (tmp_path / STAMP).write_text(text)
    assert built_from(str(tmp_path)) == {}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_has_its_version(program: str) -> None:
    command = [str(Path(sys.executable).parent / program), "version"]
    done = [
        subprocess.run([*command, *more], capture_output=True, text=True, check=True, timeout=60).stdout
        for more in ([], ["--detailed"], ["-a"])
    ]
    assert done[0] == f"{__version__}\n"
    assert done[1] == done[2]
    labels = [line.partition(":")[0] for line in done[1].splitlines()]
    assert labels == ["Version", "Git Tag", "Git Commit", "Build Date", "Python"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_full_disk_is_one_sentence(program: str) -> None:
    command = [str(Path(sys.executable).parent / program), "version"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert (done.returncode, done.stderr) == (
        1,
        "Error: cannot write to standard output: No space left on device\n",
    )
