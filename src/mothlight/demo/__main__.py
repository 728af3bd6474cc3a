"""``mothlight demo``: serves the demo on port 5000 (or ``MOTHLIGHT_PORT``), and shows a
call of each method.

The weights (about 120 MB) are fetched first, once.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from mothlight import App, serve
from mothlight.weights import WeightsError, get

PORT = 5000
MODELS = ("efficientnet-lite0", "smollm2", "silero-vad")
EXAMPLES = Path(__file__).parents[3] / "examples"


def calls(base: str) -> list[list[str]]:
    """The curl command of each endpoint, as the README has them."""
    json = ["-H", "Content-Type: application/json"]
    return [
        ["curl", f"{base}/analyze", *json, "-d", '{"text": "What a lovely, clever film!"}'],
        ["curl", f"{base}/classify", "-F", "file=@examples/photos/chelsea.jpg"],
        ["curl", "-N", f"{base}/stream_numbers?count=10"],
        ["curl", "-N", f"{base}/write", *json, "-d", '{"text": "What is the capital of France?"}'],
        ["curl", f"{base}/speech", "-F", "file=@examples/sounds/speech.wav"],
    ]


def show(base: str) -> None:
    """Runs the calls once the server is ready."""
    while True:
        try:
            urllib.request.urlopen(f"{base}/health/ready", timeout=5).close()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    for command in calls(base):
        print(f"\n$ {shlex.join(command)}", flush=True)
        try:
            subprocess.run([*command, "-sS"], cwd=EXAMPLES.parent, check=False, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f"(not shown: {error})")
    print(f"\n\nServing on {base}   (pages: {base}/docs)   Ctrl-C ends it.", flush=True)


def main() -> int:
    """Serves until it is ended; the exit status."""
    if not find_spec("torch"):
        print('mothlight demo: torch is missing: pip install "mothlight[demo]"', file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    try:
        for name in MODELS:
            get(name)
    except WeightsError as error:
        print(f"mothlight demo: {error}", file=sys.stderr)
        return 2
    from .app import Numbers, Photos, Sentiment, Voice, Writer

    port = int(os.environ.get("MOTHLIGHT_PORT", PORT))
    app = App(Sentiment, Photos, Numbers, Writer, Voice, host="0.0.0.0", port=port, cors="*")
    if EXAMPLES.exists():
        threading.Thread(target=show, args=(f"http://127.0.0.1:{port}",), daemon=True).start()
    return serve(app)


if __name__ == "__main__":
    sys.exit(main())
