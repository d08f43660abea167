"""A store in a PostgreSQL database. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.sdk import Command, Setting, StoreFactory, hookimpl


@hookimpl
def kuma_register_config() -> Iterable[Setting]:
    """Add the keys of ``store.postgres`` that Kuma 0.3.1 did not have."""
    from kuma_store_postgres.settings import SETTINGS

    return SETTINGS


@hookimpl
def kuma_register_stores() -> Iterable[StoreFactory]:
    """Bring the store ``postgres``."""
    from kuma_store_postgres.factory import FACTORY

    return [FACTORY]


@hookimpl
def kuma_register_commands() -> Iterable[Command]:
    """Bring ``kumactl install database-schema``."""
    text, place = "Print the SQL that prepares a database.", "kuma_store_postgres.commands:database_schema"
    return [Command("kumactl", ("install", "database-schema"), text, place)]
