"""The files that a configuration names: whether a control plane could use them."""

from __future__ import annotations

from kuma_core.config import Config


def check_files(config: Config) -> None:
    """Read every file that the configuration names, as a start does; raises ``ConfigError`` for a useless one."""
    from kuma_core.ca.server_tls import configured_tls
    from kuma_core.resources.key_file import configured_keyring
    from kuma_core.runtime.https import server_context
    from kuma_core.runtime.own_servers import PUBLIC

    configured_keyring(config)
    if config.text("sdsServer.tlsCertFile"):
        configured_tls(config.text("sdsServer.tlsCertFile"), config.text("sdsServer.tlsKeyFile"))
    if config.flag(f"{PUBLIC}.enabled"):
        cert, key = config.text(f"{PUBLIC}.tlsCertFile"), config.text(f"{PUBLIC}.tlsKeyFile")
        server_context(cert, key, config.text(f"{PUBLIC}.clientCertsDir"), PUBLIC)
