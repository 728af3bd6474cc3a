"""Names in Python, on the wire and in Dart, in all the styles that there are."""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from mothlight import method, service


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    first_name: str
    http_url: str = ""
    a: int = 0
    x_1_y: int = 0
    kind_of: Literal["a_b", "c-d"] = "a_b"


class HTTPServer(BaseModel):
    """An acronym."""

    IP_ADDRESS: str
    mimeType: str = "text/html"
    Port: int = 80
    tls13: bool = True
    trailing_: int = 1
    double__under: int = 2


@dataclass
class point_2d:
    """A dataclass, and lower-case."""

    x: float
    y: float = 0.0
    labels: list[str] = field(default_factory=list)
    hidden: int = field(default=1, init=False)


class Scores(BaseModel):
    kebab: int = Field(1, alias="kebab-case")
    dotted: int = Field(2, alias="dotted.name")
    at: int = Field(3, alias="@type")


@service
class Naming:
    """Renames."""

    @method
    def rename(self, camel: Camel) -> HTTPServer:
        """Renames."""
        return HTTPServer(IP_ADDRESS=camel.first_name)

    @method
    def HTTPGet(self, point: point_2d) -> Scores:
        """Called oddly."""
        return Scores()

    @method
    def do_it_2x(self, scores: Scores) -> point_2d:
        """With a digit."""
        return point_2d(1.0)
