"""A stream: yield items, and clients get them as they come.

curl -N localhost:8000/speaker/spell -H 'Content-Type: application/json' -d '{"text": "moth"}'
"""

from collections.abc import Iterator

from pydantic import BaseModel

from mothlight import method, service


class Word(BaseModel):
    text: str


class Letter(BaseModel):
    letter: str
    index: int


@service
class Speaker:
    @method
    def spell(self, word: Word) -> Iterator[Letter]:
        for index, letter in enumerate(word.text):
            yield Letter(letter=letter, index=index)
