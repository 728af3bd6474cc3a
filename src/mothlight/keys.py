"""API keys: who has one is the principal that it names.

    moth_1f0c9a3e_pHq…43 characters…      the key: an id, which is no secret, and 256 random bits
    [[keys]] id, name, hash, created      keys.toml: the SHA-256 of the secret part, never the key

A server sees within a second what changes in the file. Two keys may have one name: they are one
principal, so that a new key is there before the old one is revoked.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from secrets import token_bytes, token_hex, token_urlsafe
from typing import NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)

from .errors import DefinitionError, Unauthenticated
from .lock import locked
from .principal import Credentials, Principal

log = logging.getLogger("mothlight")

_PREFIX = "moth"  # scanners of repositories can find what begins with it
_LENGTH = len("moth_") + 8 + len("_") + 43
_LOOK = 0.5  # seconds between two looks at the file
_MAX_BYTES = 2 * 1024 * 1024
_HEAD = """\
# API keys of Mothlight: `mothlight keys new NAME`, `list`, `revoke NAME`.
# A hash is not a key: nobody can call with what stands here.
"""


class Key(BaseModel):
    """A key as the file has it; ``hash`` is the SHA-256 of its secret part in hexadecimal digits,
    ``created`` a time in UTC; the limits are a ``Principal``'s."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{8}$", max_length=8)
    name: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
    hash: str = Field(pattern=r"^[0-9a-f]{64}$", max_length=64)
    created: datetime
    rate: PositiveFloat | None = None
    concurrency: PositiveInt | None = None


_KEYS = TypeAdapter(list[Key])


class _Known(NamedTuple):
    digest: bytes
    principal: Principal | None


_NOBODY = _Known(token_bytes(32), None)


class ApiKeys:
    """The ready hook: ``App(..., authenticate=ApiKeys("keys.toml"))``, or the setting ``keys``. It
    takes a key from ``Authorization: Bearer`` or ``X-API-Key``. When the file changes and cannot
    be read, the keys that were in it before still count, and the log says so once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._known: dict[str, _Known] = {}
        self._mark: object = None
        self._next_look = 0.0

    def load(self) -> None:
        """Reads the file. Raises DefinitionError with the mend."""
        self._mark = self._look()
        self._read()
        self._next_look = time.monotonic() + _LOOK

    def __call__(self, credentials: Credentials) -> Principal:
        """Whose the key is. Raises Unauthenticated."""
        if time.monotonic() >= self._next_look:
            self._refresh()
        key = credentials.bearer or credentials.headers.get("x-api-key", "")
        if not key:
            raise Unauthenticated(reason="a key is needed:   Authorization: Bearer moth_…")
        prefix, _, rest = key.partition("_")
        id, _, secret = rest.partition("_")
        known = self._known.get(id, _NOBODY)
        # The secret of an id that nobody has is compared like any other, and the time that a
        # comparison takes does not depend on where the two differ.
        is_right = compare_digest(_digest(secret[:_LENGTH]), known.digest)
        if not is_right or known.principal is None or prefix != _PREFIX or len(key) != _LENGTH:
            raise Unauthenticated(reason="this key is not known here, or was revoked")
        return known.principal

    def _refresh(self) -> None:
        self._next_look = time.monotonic() + _LOOK
        mark = self._look()
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._read()
        except DefinitionError as error:
            log.error("%s\nthe API keys that were known before still count", error)
        else:
            log.info("%s has %d API key(s) now", self.path, len(self._known))

    def _look(self) -> object:
        """What changes with the file."""
        try:
            found = self.path.stat()
        except OSError as error:
            return error.errno
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> None:
        self._known = {
            key.id: _Known(bytes.fromhex(key.hash), Principal(key.name, key.rate, key.concurrency))
            for key in read(self.path)
        }


def read(path: Path) -> list[Key]:
    """The keys of a file. Raises DefinitionError with the mend."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES} bytes")
        document = tomllib.loads(data.decode())
        keys = _KEYS.validate_python(document.pop("keys", []))
        if document:
            raise ValueError(f"{min(document)!r} is nothing that it may have")
        if len({key.id for key in keys}) < len(keys):
            raise ValueError("two keys have the same id")
    except FileNotFoundError:
        raise DefinitionError(
            f"there is no file of API keys at {path}",
            f"make a first key:   mothlight keys new NAME --file {path}",
        ) from None
    except OSError as error:
        raise DefinitionError(
            f"the API keys cannot be read: {error}", "let the server's user read the file"
        ) from None
    except ValidationError as error:  # without what stands there: it may be a key
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, ("keys", *first["loc"])))
        raise _broken(path, f"{where}: {first['msg']}") from None
    except ValueError as error:
        raise _broken(path, str(error)) from None
    return keys


def _broken(path: Path, why: str) -> DefinitionError:
    return DefinitionError(
        f"{path} is no file of API keys: {why}",
        "mend it, or delete it and make new keys:   mothlight keys new NAME",
    )


def create(
    path: Path, name: str, rate: float | None = None, concurrency: int | None = None
) -> tuple[str, list[Key]]:
    """A new key, which nobody can have a second time, and the keys that have its name, itself the
    last. Raises DefinitionError."""
    with _written(path) as keys:
        taken = {key.id for key in keys}
        id = next(id for id in iter(lambda: token_hex(4), "") if id not in taken)
        secret = token_urlsafe(32)
        now = datetime.now(UTC).replace(microsecond=0)
        try:
            key = Key(
                id=id,
                name=name,
                hash=_digest(secret).hex(),
                created=now,
                rate=rate,
                concurrency=concurrency,
            )
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise DefinitionError(f"{first['loc'][0]}: {first['msg']}") from None
        keys.append(key)
        same = [key for key in keys if key.name == name]
    return f"{_PREFIX}_{id}_{secret}", same


def revoke(path: Path, which: str) -> list[Key]:
    """Takes away the keys that have this name or id; those that it took. Raises DefinitionError."""
    read(path)  # which has to be there
    with _written(path) as keys:
        gone = [key for key in keys if which in (key.id, key.name)]
        if not gone:
            raise DefinitionError(
                f"{path} has no key {which!r}", f"mothlight keys list --file {path}   shows them"
            )
        keys[:] = [key for key in keys if key not in gone]
    return gone


def _digest(secret: str) -> bytes:
    # A slow hash (bcrypt, argon2) protects what people choose and others can guess. Nobody guesses
    # 256 random bits, so that one SHA-256, which every request can afford, is as good.
    return sha256(secret.encode("utf-8", "replace")).digest()


@contextmanager
def _written(path: Path) -> Iterator[list[Key]]:
    """The keys of a file, which is written as the list is in the end; one writer at a time."""
    path = path.resolve()  # a link stays one
    try:
        with locked(path.with_name(f".{path.name}.lock")):
            keys = read(path) if path.exists() else []
            yield keys
            _write(path, keys)
    except OSError as error:
        raise DefinitionError(f"the API keys cannot be written: {error}") from None


def _write(path: Path, keys: Sequence[Key]) -> None:
    """Puts a file in the place of the one before, which a reader sees whole until then."""
    text = _HEAD + "".join(map(_table, keys))
    if len(text.encode()) > _MAX_BYTES:
        raise DefinitionError(
            f"{path} would have more than {_MAX_BYTES} bytes",
            "write a hook of your own, which asks a database",
        )
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            _keep_owner(file.fileno(), path)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _keep_owner(descriptor: int, path: Path) -> None:
    """Leaves a file to whom it was given, and to its group if that could read it: a server that
    runs as another user reads on."""
    if not hasattr(os, "fchown") or not path.exists():
        return
    was = path.stat()
    with suppress(PermissionError):
        os.fchown(descriptor, was.st_uid, was.st_gid)
        os.fchmod(descriptor, 0o600 | (stat.S_IMODE(was.st_mode) & 0o040))


def _table(key: Key) -> str:
    lines = [
        "\n[[keys]]",
        f'id = "{key.id}"',
        f"name = {json.dumps(key.name, ensure_ascii=False)}",  # JSON's strings are TOML's, too
        f'hash = "{key.hash}"',
        f"created = {key.created.isoformat()}",
    ]
    for limit in ("rate", "concurrency"):
        if (value := getattr(key, limit)) is not None:
            lines.append(f"{limit} = {value!r}")
    return "\n".join(lines) + "\n"
