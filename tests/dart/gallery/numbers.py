"""Numbers: beyond 53 bits, beyond 64, whole floats, bounds."""

from typing import Annotated

from pydantic import BaseModel, Field

from mothlight import method, service


class Numbers(BaseModel):
    """Numbers that hurt."""

    small: Annotated[int, Field(ge=0, le=255)] = 0
    web: int = 9007199254740991
    native: int = 9223372036854775807
    lowest: int = -9223372036854775808
    pair: tuple[int, ...] = (1, 2)
    ratio: Annotated[float, Field(gt=0, lt=1, multiple_of=0.25)] = 0.5
    tiny: float = 5e-324
    whole: float = 100000000000000000000.0
    any: Annotated[float, Field(allow_inf_nan=True)] = 1.0
    maybe: Annotated[float, Field(allow_inf_nan=True)] | None = None
    many: list[Annotated[float, Field(allow_inf_nan=True)]] = []


@service
class Arithmetic:
    """Reckons."""

    @method
    def echo(self, numbers: Numbers) -> Numbers:
        """Gives the numbers back."""
        return numbers

    @method
    def double(self, value: float = 1.0) -> float:
        """Twice the value."""
        return value * 2

    @method
    def count(self, at_most: int = 9007199254740993) -> int:
        """A default that the web cannot say."""
        return at_most
