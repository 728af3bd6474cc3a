"""Forms with everything that a form can have: lists of files, files inside of messages."""

from __future__ import annotations

from pydantic import BaseModel

from mothlight import File, method, service


class Sheet(BaseModel):
    scan: File
    caption: str


class Bundle(BaseModel):
    letters: list[File]
    cover: File | None = None
    sheets: list[Sheet] = []
    extras: dict[str, File] = {}
    note: str = ""


class Pile(BaseModel):
    letters: list[File] = []


class Seen(BaseModel):
    name: str | None
    data: bytes


@service
class Mailroom:
    """Says what came."""

    @method
    def open(self, bundle: Bundle) -> dict[str, list[Seen]]:
        """All files of a bundle, by where they stood."""
        return {
            "letters": list(map(seen, bundle.letters)),
            "cover": [seen(bundle.cover)] if bundle.cover else [],
            "sheets": [seen(sheet.scan) for sheet in bundle.sheets],
            "extras": list(map(seen, bundle.extras.values())),
            "words": [
                Seen(name=text, data=b"")
                for text in (bundle.note, *bundle.extras, *(s.caption for s in bundle.sheets))
            ],
        }

    @method
    def sort(self, pile: Pile) -> list[Seen]:
        """Each letter."""
        return list(map(seen, pile.letters))

    @method
    def copy(self, letter: File) -> File:
        """The letter again."""
        return letter


def seen(file: File) -> Seen:
    return Seen(name=file.name, data=file.data)
