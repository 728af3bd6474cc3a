"""Messages and answers that are bare values."""

import datetime
import enum
from typing import Annotated

from pydantic import Field

from mothlight import method, service


class Side(enum.Enum):
    LEFT = "left"
    RIGHT = "right"


@service
class Bare:
    """Values, no objects."""

    @method
    def text(self, text: str) -> str:
        """A string."""
        return text

    @method
    def number(self, how_many: Annotated[int, Field(ge=0)] = 10) -> int:
        """A number with a default."""
        return how_many

    @method
    def maybe(self, value: float | None = None) -> float | None:
        """A number or nothing."""
        return value

    @method
    def flag(self, is_on: bool = False) -> bool:
        """A flag."""
        return not is_on

    @method
    def side(self, side: Side = Side.LEFT) -> Side:
        """An enum."""
        return side

    @method
    def moment(self, at: datetime.datetime) -> datetime.datetime:
        """A moment."""
        return at

    @method
    def pieces(self, text: str) -> list[list[str]]:
        """A list of lists."""
        return [list(word) for word in text.split()]

    @method
    def table(self, rows: dict[str, list[float]]) -> dict[str, float | None]:
        """A map."""
        return {key: (row[0] if row else None) for key, row in rows.items()}

    @method
    def must_be_null(self, value: str | None) -> str:
        """Null, but not left out."""
        return value or "null"
