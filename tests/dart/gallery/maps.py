"""Maps of everything, also as messages."""

from pydantic import BaseModel

from mothlight import method, service


class Place(BaseModel):
    """Where something is."""

    lat: float
    lon: float


class Atlas(BaseModel):
    places: dict[str, Place]
    counts: dict[str, int] = {}
    notes: dict[str, str | None] = {"here": None}
    routes: dict[str, list[Place]] = {}
    index: dict[str, dict[str, list[int]]] | None = None


@service
class Maps:
    @method
    def atlas(self, atlas: Atlas) -> Atlas:
        """Gives an atlas back."""
        return atlas

    @method
    def count(self, words: dict[str, int]) -> dict[str, float]:
        """A map as the message, a map as the answer."""
        total = sum(words.values()) or 1
        return {word: count / total for word, count in words.items()}
