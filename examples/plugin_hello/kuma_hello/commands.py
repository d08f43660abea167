"""``kumactl greet``; imported when somebody calls it."""

import click

from kuma_core.sdk.kumactl import Session, item_path, json_object, pass_session


@click.command("greet")
@pass_session
def greet(session: Session) -> None:
    """Say the greetings of a mesh."""
    answer = session.client().send("GET", item_path(session.mesh, "hello"))
    for text in (json_object(answer.body) or {}).get("said", []):
        click.echo(text)
