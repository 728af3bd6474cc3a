"""``python -m mothlight``, and the command ``mothlight``."""

from __future__ import annotations

import sys

from .backend import launch

_NO_WORKER = {"-h", "--help", "--reload"}


def main() -> int:
    """Runs the command line; its exit status. A server's first worker is started before anything
    else: each of the two takes 0.3 s to import what it needs, and they do so side by side."""
    command, *options = sys.argv[1:] or [""]
    if command == "serve" and not _NO_WORKER & set(options):
        launch.prepare()
    try:
        from . import cli

        return cli.main()
    finally:
        launch.dismiss()


if __name__ == "__main__":
    sys.exit(main())
