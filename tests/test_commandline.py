"""How all programs speak: help, errors, exit codes, versions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from kuma_core import __version__
from kuma_core.commandline import Group, add_standard_commands, exit_code, log_level_option, run
from kuma_core.errors import KumaError

ROOT = Path(__file__).parents[1]


def program() -> click.Group:
    @click.group(cls=Group, help="A program for tests.", name="shop")
    @log_level_option("off")
    def root(log_level: str) -> None:
        click.echo(f"level {log_level}", err=True)

    @root.command(help="Sell something.")
    @click.option("--what", required=True)
    @click.option("--how-many", type=int, required=True)
    def sell(what: str, how_many: int) -> int | None:
        if what == "nothing":
            raise KumaError("there is nothing to sell; buy something first")
        click.echo(f"sold {how_many} {what}")
        return 3 if what == "glass" else None

    @root.group(help="The stock.")
    def stock() -> None:
        """Sub-commands."""

    @stock.command("list", help="List the stock.")
    def list_() -> None:
        click.echo("tea")

    @stock.group(help="The shelves.")
    def shelf() -> None:
        """Sub-commands."""

    @shelf.command(help="Add a shelf.")
    def add() -> None:
        click.echo("added")

    add_standard_commands(root)
    return root


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = exit_code(program(), words)
    out, err = capsys.readouterr()
    return code, out, err.replace("level off\n", "")


def test_a_command_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "sell", "--what", "tea", "--how-many", "2") == (0, "sold 2 tea\n", "")


def test_a_command_that_returns_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "sell", "--what", "glass", "--how-many", "1")[0] == 3


def test_an_error_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "sell", "--what", "nothing", "--how-many", "1")
    assert (code, out, err) == (1, "", "Error: there is nothing to sell; buy something first\n")


def test_every_missing_flag_is_named_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "sell")
    assert (code, err) == (1, 'Error: required flag(s) "how-many", "what" not set\n')
    assert call(capsys, "sell", "--what", "x")[2] == 'Error: required flag(s) "how-many" not set\n'


@pytest.mark.parametrize("words", [(), ("stock",), ("--help",), ("-h",), ("help",), ("stock", "-h")])
def test_help_is_normal_output(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    code, out, err = call(capsys, *words)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: shop")


def test_help_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "List the stock." in call(capsys, "help", "stock", "list")[1]
    assert call(capsys, "help", "nonsense")[1] == call(capsys, "help")[1]


def test_an_unknown_command_is_an_error_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "sel")
    assert (code, out) == (1, "")
    assert err.startswith('Error: unknown command "sel" for "shop"\n\nDid you mean this?\n\tsell\n')
    assert "Run 'shop --help' for usage." in err
    assert "Did you mean" not in call(capsys, "xylophone")[2]


@pytest.mark.parametrize(
    ("words", "group", "meant"),
    [
        (("stock", "lost"), "shop stock", "list"),
        (("stock", "shelf", "ad"), "shop stock shelf", "add"),
        (("stock", "lost", "--help"), "shop stock", "list"),
        (("stock", "shelf", "ad", "more"), "shop stock shelf", "add"),
        (("help", "stock", "shelf", "ad"), "shop stock shelf", "add"),
    ],
)
def test_an_unknown_word_is_an_error_at_every_level(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], group: str, meant: str
) -> None:
    code, out, err = call(capsys, *words)
    wrong = next(word for word in words if word in ("lost", "ad"))
    assert code == 1
    assert err.startswith(
        f'Error: unknown command "{wrong}" for "{group}"\n\nDid you mean this?\n\t{meant}\n'
    )
    assert f"Run '{group} --help' for usage." in err
    assert out == (call(capsys, "stock", "shelf")[1] if words[0] == "help" else "")


def test_a_shell_that_completes_words_hears_of_no_mistake(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_SHOP_COMPLETE", "zsh_complete")
    for words in ("shop stock sh", "shop lost sh", "shop stock lost sh"):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
        with pytest.raises(SystemExit):
            exit_code(program())
        out, err = capsys.readouterr()
        assert ("shelf" in out, err) == ("stock" in words, ""), words


def test_only_what_click_promises_is_used() -> None:
    """What has an underscore before it changes from one release of click to the next, and broke every program."""
    files = [*(ROOT / "kuma_core").rglob("*.py"), *(ROOT / "plugins").glob("*/kuma_*/**/*.py")]
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    users = {path: text for path, text in texts.items() if "import click" in text}
    assert len(users) > 20
    private = re.compile(r"\b(?:\w*ctx|context|click|param|parent|root|group|command)\._[a-z]\w*")
    assert {str(path): found for path, text in users.items() if (found := private.findall(text))} == {}


@pytest.mark.parametrize(
    "words", [("--nonsense",), ("sell", "--nonsense"), ("sell", "--what", "x", "--how-many", "many")]
)
def test_a_wrong_flag_shows_the_usage(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    code, out, err = call(capsys, *words)
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert "Usage: shop" in err


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "version") == (0, f"{__version__}\n", "")
    for flag in ("--detailed", "-a"):
        lines = call(capsys, "version", flag)[1].splitlines()
        labels = [line.split(":")[0] for line in lines]
        assert labels[:4] == ["Version", "Git Tag", "Git Commit", "Build Date"]
        assert lines[0].split()[-1] == __version__


def test_the_log_level_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "--log-level", "loud", "version")
    assert code == 1
    assert 'unknown log level "loud"; use off, info or debug' in err
    assert call(capsys, "--log-level", "debug", "version")[0] == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupted_program(capsys: pytest.CaptureFixture[str], error: BaseException) -> None:
    @click.command()
    def work() -> Any:
        raise error

    assert exit_code(work, []) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_run_ends_the_process_with_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(program(), ["sell"])
    assert caught.value.code == 1
