"""Inside a FastAPI application that you already have.    uvicorn in_fastapi:api"""

from fastapi import FastAPI

import mothlight
from streaming import Letter, Speaker, Word

ml = mothlight.App(Speaker, workers=1)
api = FastAPI(lifespan=ml.lifespan)  # a mounted app's own lifespan is not run, so the host runs it
api.mount("/ml", ml)


@api.get("/first/{text}")
async def first(text: str) -> Letter:
    async for letter in ml.stream(Speaker.spell, Word(text=text)):
        return letter
    raise ValueError("no letters")
