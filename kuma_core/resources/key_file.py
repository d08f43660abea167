"""The file of keys that encrypt secrets at rest: one key a line, the first one encrypts.

    # comments and empty lines count for nothing
    5d7c0e6a1b2f3948:mA0…=     an id and 32 bytes in base64
    q83v…=                     the id may be left out: it follows from the key

The word ``plain`` as the first line says that nothing is to be encrypted any more; the keys below it are for
what still is. No error tells anything of a line but its number.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from typing import TYPE_CHECKING

from kuma_core.errors import ConfigError
from kuma_core.resources.encryption import KEY_BYTES, KEY_FILE, Key, Keyring, new_key

if TYPE_CHECKING:
    from kuma_core.config import Config

SETTING = "store.encryption.keyFile"
MAX_BYTES = 16 * 1024
MAX_KEYS = 32
_IN_CLEAR = "plain"

_EXPOSED, _EXPOSED_OF_ROOT = 0o077, 0o037
"""What others than the owner may not do; a file of root's may be read by its group, as PostgreSQL has it."""


def configured_keyring(config: Config) -> Keyring:
    """The keys of ``store.encryption.keyFile``, none if it is empty; raises ``ConfigError`` that shows no key."""
    path = config.text(SETTING)
    return read_keyring(path) if path else Keyring()


def read_keyring(path: str) -> Keyring:
    """The keys of a file; raises ``ConfigError`` if it cannot be used, or if others may read it."""
    return parse_keyring(_content(path), path)


def parse_keyring(content: bytes, path: str) -> Keyring:
    """The keys of a file's content; ``path`` is what errors call it."""
    lines = [(number, line.strip()) for number, line in enumerate(_text(content, path).splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    in_clear = bool(lines) and lines[0][1] == _IN_CLEAR
    keys = [_key(line, number, path) for number, line in lines[in_clear:]]
    if not keys and not in_clear:
        raise _unusable(path, "it holds no key; make one: kuma-cp secrets generate-key")
    if len(keys) > MAX_KEYS:
        raise _unusable(path, f"it holds more than {MAX_KEYS} keys; leave out those that nothing needs")
    return Keyring(keys, in_clear)


def new_line() -> tuple[str, str]:
    """The id of a new key, and its line for the file."""
    key = new_key()
    return key.id, f"{key.id}:{base64.b64encode(key.secret).decode()}\n"


def _content(path: str) -> bytes:
    try:
        # Without O_NONBLOCK the start would wait for ever for the writer of a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if problem := _problem(os.fstat(descriptor), path):
                raise _unusable(path, problem)
            content = os.read(descriptor, MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise _unusable(path, getattr(error, "strerror", None) or str(error)) from None
    if len(content) > MAX_BYTES:
        raise _unusable(path, f"it has more than {MAX_BYTES // 1024} KiB")
    return content


def _problem(info: os.stat_result, path: str) -> str:
    if not stat.S_ISREG(info.st_mode):
        return "it is no regular file"
    if info.st_mode & (_EXPOSED if info.st_uid else _EXPOSED_OF_ROOT):
        return f"others than its owner may use it; run: chmod 600 {path}"
    return ""


def _text(content: bytes, path: str) -> str:
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise _unusable(path, "it is no ASCII text") from None


def _key(line: str, number: int, path: str) -> Key:
    id, _, encoded = line.rpartition(":")
    try:
        secret = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise _unusable(path, f"line {number} is no key: {KEY_BYTES} bytes in base64, or id:key")
    key = Key(secret)
    if id not in ("", key.id):
        raise _unusable(path, f"line {number}: the key does not belong to its id; one of them was changed")
    return key


def _unusable(path: str, problem: str) -> ConfigError:
    return ConfigError(f'{KEY_FILE}: cannot use the file "{path}": {problem}')
