"""``kumactl completion``: what a shell needs to complete commands and flags."""

from __future__ import annotations

import click

from kuma_core.commandline import Group

HOW = {
    "bash": "add to ~/.bashrc: source <(kumactl completion bash)",
    "zsh": "add to ~/.zshrc: source <(kumactl completion zsh)",
    "fish": "run: kumactl completion fish > ~/.config/fish/completions/kumactl.fish",
}


@click.group("completion", cls=Group, short_help="Print the script with which a shell completes kumactl.")
def completion() -> None:
    """Print the script with which a shell completes the commands and flags of kumactl."""


def _add(shell: str) -> None:
    @completion.command(
        shell, short_help=f"Print the script for {shell}.", help=f"Print the script; {HOW[shell]}"
    )
    @click.pass_context
    def script(ctx: click.Context) -> None:
        from click.shell_completion import ShellComplete, get_completion_class

        kind = get_completion_class(shell)
        assert kind is not None
        made = kind(ctx.find_root().command, {}, "kumactl", "_KUMACTL_COMPLETE")
        click.echo(ShellComplete.source(made), nl=False)  # bash's own first runs bash to see its version


for _shell in HOW:
    _add(_shell)
