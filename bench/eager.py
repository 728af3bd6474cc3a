"""Mothlight with torch imported at the top, as many write it: ``python -m bench.eager text PORT``.

The front process then carries torch too, which it has no use for.
"""

from __future__ import annotations

import sys

import torch  # noqa: F401

from bench.served import SERVICES
from mothlight import App, serve

if __name__ == "__main__":
    serve(App(SERVICES[sys.argv[1]], workers=1, port=int(sys.argv[2])))
