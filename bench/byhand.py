"""The same by hand with FastAPI, the model inline: ``python -m bench.byhand text PORT``."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from bench import models


class Review(BaseModel):
    text: str


class Verdict(BaseModel):
    score: float


class Class(BaseModel):
    predicted_class: int
    probability: float


def noop() -> FastAPI:
    app = FastAPI()

    @app.post("/score")
    def score(review: Review) -> Verdict:
        return Verdict(score=models.noop([review.text])[0])

    @app.post("/score_async")
    async def score_async(review: Review) -> Verdict:
        return Verdict(score=models.noop([review.text])[0])

    return app


def text() -> FastAPI:
    app, model = FastAPI(), models.Mlp()

    @app.post("/score")
    def score(review: Review) -> Verdict:
        return Verdict(score=model.predict([review.text])[0])

    @app.post("/score_async")
    async def score_async(review: Review) -> Verdict:  # blocks all others: common, and faster
        return Verdict(score=model.predict([review.text])[0])

    return app


def image() -> FastAPI:
    app, model = FastAPI(), models.vision()

    @app.post("/classify")
    def classify(file: UploadFile) -> Class:
        photo = models.open_photo(file.file.read())
        [(category, probability)] = models.classify(model, [photo])
        return Class(predicted_class=category, probability=probability)

    return app


def stream() -> FastAPI:
    app = FastAPI()

    @app.get("/tokens")
    async def tokens(count: int = models.ITEMS) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            for index, text in models.tokens(count):
                yield json.dumps({"index": index, "text": text}) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    return app


APPS = {"noop": noop, "text": text, "image": image, "stream": stream}

if __name__ == "__main__":
    uvicorn.run(APPS[sys.argv[1]](), port=int(sys.argv[2]), log_level="warning", access_log=False)
