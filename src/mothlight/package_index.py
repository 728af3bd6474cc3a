"""Where the package index that the user is configured for keeps an archive.

No registry is named here: the address comes from the environment (`PIP_INDEX_URL`,
`UV_DEFAULT_INDEX`, `UV_INDEX_URL`), else from pip's own configuration, else it is pip's default.
The page is that of the simple repository API, as JSON (PEP 691) or HTML (PEP 503).
"""

from __future__ import annotations

import html.parser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

if TYPE_CHECKING:
    import httpx2

_VARIABLES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, text/html;q=0.5"
_PAGE_BYTES = 32 << 20


def archive_url(client: httpx2.Client, distribution: str, archive: str) -> str:
    """The address of the file `archive` of a distribution. Raises `LookupError`, which says why."""
    import httpx2

    project = re.sub(r"[-_.]+", "-", distribution).lower()
    index = index_url()
    page = f"{index.rstrip('/')}/{project}/"
    try:
        with client.stream("GET", page, headers={"Accept": _ACCEPT}) as answer:
            answer.raise_for_status()
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > _PAGE_BYTES:
                    raise LookupError(f"{_shown(page)} is longer than any index page")
            media_type = answer.headers.get("Content-Type", "")
            links = _links(bytes(body), media_type)
            base = str(answer.url)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise LookupError(f"{_shown(page)} cannot be read: {_shown(str(error))}") from error
    for link in links:
        url = urljoin(base, link)
        if unquote(urlsplit(url).path).rsplit("/", 1)[-1] == archive:
            return url.partition("#")[0]
    raise LookupError(f"{_shown(page)} has no file {archive}")


def index_url() -> str:
    """The index that the user is configured for. Raises `LookupError` where nothing tells it."""
    for variable in _VARIABLES:
        if url := os.environ.get(variable):
            return url
    for command in _pips():
        if found := _ask(command):
            return found
    raise LookupError("no package index is known here, and there is no pip to ask")


def _pips() -> list[list[str]]:
    """Commands that may run pip: a virtual environment made by uv has none of its own."""
    commands = [[sys.executable, "-m", "pip"]]
    try:
        import ensurepip

        bundled = sorted(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))
        commands += [[sys.executable, str(wheel / "pip")] for wheel in bundled]
    except ImportError:  # Debian packs it apart
        pass
    commands += [[found] for name in ("pip3", "pip") if (found := shutil.which(name))]
    if uv := shutil.which("uv"):
        commands.append([uv, "tool", "run", "pip"])
    return commands


def _ask(pip: list[str]) -> str | None:
    """pip's configured index or else its default, which only its help tells."""
    configured = re.search(
        r"^(?:global|install|download)\.index-url='([^']+)'", _run(pip, "config", "list"), re.M
    )
    if configured:
        return configured[1]
    default = re.search(
        r"--index-url\b.*?\(default\s+([^\s)]+)\)", _run(pip, "install", "--help"), re.S
    )
    return default[1] if default else None


def _run(pip: list[str], *arguments: str) -> str:
    # COLUMNS: or the help breaks its lines, a long address with them.
    environment = {**os.environ, "COLUMNS": "1000", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        done = subprocess.run(
            [*pip, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _links(body: bytes, media_type: str) -> list[str]:
    if "json" in media_type:
        import json

        page: Any = json.loads(body)
        files = page.get("files") if isinstance(page, dict) else None
        if not isinstance(files, list):
            raise ValueError("it is no index page")
        return [str(file["url"]) for file in files if isinstance(file, dict) and "url" in file]
    parser = _Anchors()
    parser.feed(body.decode("utf-8", "replace"))
    return parser.links


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _shown(text: str) -> str:
    """Without the password that an address may carry."""
    return re.sub(r"//[^/@\s]+@", "//", text)
