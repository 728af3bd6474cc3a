"""Mothlight by its command: ``python -m bench.command text PORT`` is
``mothlight serve bench.served:Text --port PORT``."""

from __future__ import annotations

import sys

from mothlight.__main__ import main

if __name__ == "__main__":
    case, port = sys.argv[1:]
    sys.argv[1:] = ["serve", f"bench.served:{case.title()}", "--port", port]
    sys.exit(main())
