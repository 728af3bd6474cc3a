"""LitServe: ``python -m bench.peers.lit text PORT``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import litserve

from bench.peers import model


class Calls(litserve.LitAPI):
    case = ""

    def setup(self, device: str) -> None:
        self.predict_batch = model.load(self.case)

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # LitServe reads hints
        return request["file"].file.read() if self.case == "image" else request["text"]

    def predict(self, inputs: list[Any]) -> list[dict[str, Any]]:
        return self.predict_batch(inputs)

    def encode_response(self, output):  # type: ignore[no-untyped-def]
        return output


class Stream(litserve.LitAPI):
    def setup(self, device: str) -> None:
        pass

    def predict(self, request: Any) -> Iterator[dict[str, Any]]:
        yield from model.items()

    def encode_response(self, output):  # type: ignore[no-untyped-def]
        yield from output


def main(case: str, port: int) -> None:
    api: litserve.LitAPI
    if case == "stream":
        api = Stream(stream=True)
    else:
        Calls.case = case
        api = Calls(max_batch_size=model.SIZE, batch_timeout=model.WAIT)
        api.case = case
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
