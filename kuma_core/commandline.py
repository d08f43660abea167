"""How all our programs speak to the person who typed: help, errors, exit codes, ``version``.

Only click and the standard library are used here: kumactl and kuma-dp must start fast and stay small.
They speak as the programs of Kuma 0.3.1 did, so that scripts around those keep working.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TextIO

import click

from kuma_core import __version__
from kuma_core.built import detailed_version
from kuma_core.errors import KumaError
from kuma_core.visible import escaped

_Function = Callable[..., Any]

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Command(click.Command):
    """A command whose flags may say ``--flag=true`` and ``--flag=false``, too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _bare_flags(self, ctx, args))


def _bare_flags(command: click.Command, ctx: click.Context, args: Sequence[str]) -> list[str]:
    """``args`` as click knows them: a flag that is true is bare, one that is false is not there."""
    flags = {
        opt
        for p in command.params
        if isinstance(p, click.Option) and p.is_flag
        for opt in p.opts
        if opt[:2] == "--"
    }
    bare: list[str] = []
    for place, arg in enumerate(args):
        name, equals, value = arg.partition("=")
        if arg == "--":
            return [*bare, *args[place:]]
        if not equals or name not in flags:
            bare.append(arg)
        elif value not in ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"):
            raise click.UsageError(f'invalid value "{value}" for {name}: use true or false', ctx)
        elif value[0] in "1tT":
            bare.append(name)
    return bare


class Group(click.Group):
    """A command that has sub-commands: alone it prints its help, and an unknown word behind it is an error."""

    added: Callable[[click.Context], Mapping[str, click.Command]] | None = None
    """At the root of a program: gives the commands that others add to the group of a context.

    It is asked for words that the program itself does not know, and for lists, and never before.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("invoke_without_command", True)
        kwargs["context_settings"] = {**CONTEXT_SETTINGS, **kwargs.get("context_settings", {})}
        super().__init__(*args, **kwargs)

    def command(self, *args: Any, **kwargs: Any) -> Callable[[_Function], click.Command]:  # type: ignore[override]
        """As click's, but the new command is one of ours, with ``-h``."""
        kwargs["context_settings"] = {**CONTEXT_SETTINGS, **kwargs.get("context_settings", {})}
        kwargs.setdefault("cls", Command)
        decorator: Callable[[_Function], click.Command] = super().command(*args, **kwargs)
        return decorator

    def group(self, *args: Any, **kwargs: Any) -> Callable[[_Function], click.Group]:  # type: ignore[override]
        """As click's, but the new group is one of ours."""
        kwargs.setdefault("cls", Group)
        decorator: Callable[[_Function], click.Group] = super().group(*args, **kwargs)
        return decorator

    def own_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The sub-command of that name, if the program itself has it."""
        return super().get_command(ctx, name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.own_command(ctx, cmd_name) or _added(ctx).get(cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_added(ctx)})

    def invoke(self, ctx: click.Context) -> Any:
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())
        return result

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        is_known = self.get_command(ctx, word) is not None
        if not (is_known or word.startswith("-") or ctx.resilient_parsing):
            raise unknown_command(word, ctx)
        return super().resolve_command(ctx, args)


def path_of(ctx: click.Context) -> tuple[str, ...]:
    """The words that lead to a command, behind the name of its program."""
    if ctx.parent is None:
        return ()
    return (*path_of(ctx.parent), ctx.info_name or "")


def _added(ctx: click.Context) -> Mapping[str, click.Command]:
    root = ctx.find_root().command
    return root.added(ctx) if isinstance(root, Group) and root.added else {}


def unknown_command(word: str, ctx: click.Context) -> KumaError:
    """The error for a word that no command of a group has, with the nearest names as a hint."""
    known = ctx.command.list_commands(ctx) if isinstance(ctx.command, click.Group) else []
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    hint = "".join(f"\n\t{name}" for name in near)
    did_you_mean = f"\n\nDid you mean this?{hint}\n" if near else ""
    return KumaError(
        f'unknown command "{word}" for "{ctx.command_path}"{did_you_mean}'
        f"\nRun '{ctx.command_path} --help' for usage."
    )


def add_standard_commands(root: click.Group) -> None:
    """Give a program its ``version`` and ``help`` commands."""
    add_help_command(root)

    @root.command("version", help="Print the version of this program.")
    @click.option("--detailed", "-a", is_flag=True, help="Print what it was built from, too.")
    def version(detailed: bool) -> None:
        click.echo(detailed_version() if detailed else __version__)


def add_help_command(root: click.Group) -> None:
    """Give a program its ``help`` command."""

    @root.command("help", help="Print the help of a command.")
    @click.argument("command", nargs=-1)
    @click.pass_context
    def help_(ctx: click.Context, command: tuple[str, ...]) -> None:
        assert ctx.parent is not None
        _show_help(ctx.parent, command)


def _show_help(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Print the help of the command that the words lead to, or of how far they do, with an error then."""
    for word in words:
        if not isinstance(ctx.command, click.Group):
            break  # what stands behind a command are its arguments
        child = ctx.command.get_command(ctx, word)
        if child is None:
            click.echo(ctx.get_help())
            raise unknown_command(word, ctx)
        ctx = child.make_context(word, [], parent=ctx, resilient_parsing=True)
    click.echo(ctx.get_help())


def log_level_option(default: str) -> Callable[[_Function], _Function]:
    """The global ``--log-level`` of a program; the value is checked when the program starts."""
    return click.option(
        "--log-level",
        default=default,
        show_default=True,
        metavar="LEVEL",
        callback=check_log_level,
        expose_value=True,
        help="Log level: off, info or debug.",
    )


def check_log_level(ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """The value of a ``--log-level``, or a UsageError that lists the possible ones."""
    if value not in ("off", "info", "debug"):
        raise click.UsageError(f'unknown log level "{value}"; use off, info or debug', ctx)
    return value


def is_debugging(ctx: click.Context | None) -> bool:
    """Whether ``--log-level debug`` stands behind any word of the command line, or the program keeps it so."""
    kept = getattr(ctx.find_root().obj, "log_level", None) if ctx else None
    while ctx is not None and kept != "debug":
        kept, ctx = ctx.params.get("log_level"), ctx.parent
    return kept == "debug"


def run(root: click.Command, argv: Sequence[str] | None = None) -> NoReturn:
    """Run a program to its end: 0 when all went well, else one line ``Error: …`` on stderr and 1."""
    sys.exit(exit_code(root, argv))


def exit_code(root: click.Command, argv: Sequence[str] | None = None) -> int:
    """As ``run``, but the code is returned."""
    try:
        args = list(argv) if argv is not None else None
        result = root.main(args=args, prog_name=root.name, standalone_mode=False)
    except click.UsageError as error:
        return _usage_error(error)
    except click.ClickException as error:
        return _fail(error.format_message())
    except KumaError as error:
        return _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted")
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone; nobody is left to be told
        return 1
    except UnicodeEncodeError as error:
        return _fail(_not_encodable(error))
    except OSError as error:
        if not is_of_output(error):
            raise
        _drop(sys.stdout)
        return _fail(f"cannot write to standard output: {error.strerror}")
    return result if isinstance(result, int) else 0


def is_of_output(error: OSError) -> bool:
    """Whether it was raised while something was printed: all that we print goes through ``click.echo``."""
    from traceback import walk_tb

    return any(frame.f_code is click.echo.__code__ for frame, _ in walk_tb(error.__traceback__))


def _drop(stream: TextIO) -> None:
    """Have Python forget what a stream did not take: it would try again at its end, and fail with words of its own."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _not_encodable(error: UnicodeEncodeError) -> str:
    character = ascii(error.object[error.start : error.start + 1])
    if "\\udc" in character:  # so Python keeps a byte that it could not read
        return f"what was typed holds a byte that is not text of {error.encoding}: {character}"
    return f"the encoding {error.encoding} of the output has no {character}; set PYTHONIOENCODING=utf-8"


def _usage_error(error: click.UsageError) -> int:
    missing = isinstance(error, click.MissingParameter)
    usage = "" if missing or error.ctx is None else "\n" + error.ctx.get_usage()
    return _fail(_missing_flags(error) if missing else error.format_message() + usage)


def _missing_flags(error: click.UsageError) -> str:
    """All required flags that were not given, sorted, in the words of the original."""
    ctx, param = error.ctx, getattr(error, "param", None)
    if ctx is None or not isinstance(param, click.Option):
        return error.format_message()
    missing = sorted(_long_name(p) for p in ctx.command.params if _is_missing(p, ctx))
    names = ", ".join(f'"{name}"' for name in missing)
    return f"required flag(s) {names} not set"


def _long_name(param: click.Parameter) -> str:
    """The first long spelling of a flag, without its dashes."""
    return next((opt for opt in param.opts if opt.startswith("--")), param.opts[0]).lstrip("-")


def _is_missing(param: click.Parameter, ctx: click.Context) -> bool:
    return isinstance(param, click.Option) and param.required and ctx.params.get(param.name or "") is None


def _fail(message: str) -> int:
    tell(f"Error: {message}")
    return 1


def tell(line: str) -> None:
    """Write a line on stderr, if it takes any: whoever closed it, or has no place for it, wants to be told nothing."""
    try:
        click.echo(escaped(line), err=True)
    except OSError:
        _drop(sys.stderr)
