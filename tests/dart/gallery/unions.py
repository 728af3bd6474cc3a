"""Unions: as message, as answer, in lists and maps, nested, shared, with several tags."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from mothlight import method, service


class Text(BaseModel):
    """Words."""

    kind: Literal["text"] = "text"
    text: str


class Emphasis(BaseModel):
    """Louder words."""

    kind: Literal["bold", "italic"]
    text: str
    unknown: bool = False


class Link(BaseModel):
    """Words that lead elsewhere."""

    kind: Literal["link"] = "link"
    url: str
    label: Annotated[Text | Emphasis, Field(title="Label")]


Span = Annotated[Text | Emphasis | Link, Field(title="Span")]


class Circle(BaseModel):
    shape_type: Literal["circle"] = Field("circle", alias="shapeType")
    r: float


class Square(BaseModel):
    shape_type: Literal["square"] = Field("square", alias="shapeType")
    a: float


class Page(BaseModel):
    """All of them."""

    title: Text | Link
    spans: list[Span] = []
    named: dict[str, Span] = {}
    shape: Circle | Square | None = None
    shapes: list[list[Circle | Square]] = []


@service
class Editor:
    """Edits."""

    @method
    def edit(self, page: Page) -> Page:
        """Gives the page back."""
        return page

    @method
    def parse(self, text: str) -> list[Span]:
        """The spans of a text."""
        return [Text(text=word) for word in text.split()]

    @method
    def draw(self, shape: Circle | Square) -> Circle | Square:
        """A union as the message and as the answer."""
        return shape

    @method
    def label(self, link: Link) -> Annotated[Text | Emphasis, Field(title="Label")] | None:
        """A union or nothing."""
        return link.label
