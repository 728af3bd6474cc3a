"""Methods without a message, without an answer, without both."""

from collections.abc import Iterator

from pydantic import BaseModel

from mothlight import method, service


class Empty(BaseModel):
    """A message without fields."""


class Signal(BaseModel):
    loud: bool = False


@service
class Bell:
    """Rings."""

    @method
    def ring(self) -> None:
        """Takes nothing and answers nothing."""

    @method
    def wait(self) -> str:
        """Takes nothing."""
        return "ding"

    @method
    def tune(self, signal: Signal) -> None:
        """Answers nothing."""

    @method
    def nod(self, empty: Empty) -> Empty:
        """Empty both ways."""
        return empty

    @method
    def peal(self) -> Iterator[Signal]:
        """Takes nothing, and streams."""
        yield Signal()
