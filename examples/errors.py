"""Declared errors: typed on the server, in the documents, and in every client."""

from pydantic import BaseModel

from mothlight import Code, Error, batched, service


class Text(BaseModel):
    text: str


class Length(BaseModel):
    characters: int


class TextTooLong(Error):
    "text has {length} characters, {limit} are allowed"

    code = Code.INVALID_ARGUMENT
    length: int
    limit: int


@service
class Ruler:
    limit = 100

    @batched(max_size=32, raises=[TextTooLong])
    def measure(self, texts: list[Text]) -> list[Length | Error]:
        # An error that is returned fails its own caller; the rest of the batch goes on.
        return [
            Length(characters=len(t.text))
            if len(t.text) <= self.limit
            else TextTooLong(length=len(t.text), limit=self.limit)
            for t in texts
        ]
