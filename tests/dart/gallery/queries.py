"""Messages that go in the query string; paths of one's own."""

import datetime
import enum
import uuid

from pydantic import BaseModel, Field

from mothlight import method, service


class Order(enum.Enum):
    NEWEST = "newest"
    BEST = "best"


class Search(BaseModel):
    """What is searched for."""

    words: list[str] = []
    order: Order | None = None
    limit: int = Field(10, ge=1, le=50)
    near: float | None = 1.5
    since: datetime.date | None = None
    ids: list[uuid.UUID] | None = None
    exact: bool = False
    long_name: str = Field("", alias="longName")


@service
class Finder:
    """Finds things."""

    @method(http="GET /search")
    def search(self, search: Search) -> list[str]:
        """Finds by many things."""
        return search.words

    @method(http="GET /suggest/v2.1/words-for")
    def suggest(self, prefix: str) -> list[str]:
        """Finds by one thing."""
        return [prefix + "s"]

    @method(http="DELETE /items/one")
    def remove(self, number: int) -> None:
        """Removes one."""

    @method(http="GET /")
    def home(self) -> str:
        """The root itself."""
        return "home"

    @method(http="PUT /limit")
    def limit(self, limit: int = 3) -> int:
        """Another verb."""
        return limit
