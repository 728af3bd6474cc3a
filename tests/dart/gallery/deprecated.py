"""What should not be used any more."""

from pydantic import BaseModel, Field
from typing_extensions import deprecated

from mothlight import method, service


class Query(BaseModel):
    text: str
    """The words."""
    words: list[str] = Field([], deprecated="use text")
    limit: int = Field(10, deprecated=True, description="how many")


@service
class Search:
    """Finds things."""

    @method
    def find(self, query: Query) -> list[str]:
        """Finds."""
        return query.text.split()

    @method
    @deprecated("use find")
    def search(self, query: Query) -> list[str]:
        """Finds, as it was done before."""
        return self.find(query)
