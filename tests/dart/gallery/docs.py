"""Documentation with everything that could break a comment."""

import enum

from pydantic import BaseModel, Field

from mothlight import Code, Error, method, service


class Paper(BaseModel):
    """A paper, with *markdown*, `code`, and a [link](https://example.org/a?b=c&d=e).

    ```python
    paper = Paper(title="x")  # /* not a comment */
    ```

    - one item which goes on for so long that it has to be wrapped somewhere, though it is an item
    - two items, with [brackets] and List<int> and <b>html</b> and {braces} and $dollar

        indented code   with    spaces

    | a | b |
    |---|---|
    | 1 | 2 |
    """

    title: str = Field(description="the title, no period at the end")
    body: str = Field(
        "", description="Two paragraphs.\n\nThe second one: */ ends no comment, /// begins none."
    )
    url: str = Field(
        "https://example.org",
        description="https://example.org/a/very/long/address/that/cannot/be/broken/anywhere/at/all/"
        "whatever/one/tries",
    )
    bare: int = 0
    spaced: int = Field(0, description="   leading spaces, a tab\tand trailing ones   ")
    count: int = Field(
        0,
        ge=0,
        le=9,
        description="A sentence of the usual length, which is longer than the eighty columns that a"
        " line of Dart has, and so goes on in the next one.",
    )


class Grade(enum.Enum):
    """How good it is."""

    GOOD = "good"
    BAD = "bad"


class Rejected(Error):
    """The paper was rejected: {reason}.

    A second paragraph with `code`, and a $dollar.
    """

    code = Code.FAILED_PRECONDITION
    reason: str


@service
class Journal:
    """Reads papers

    without a period in its first line
    """

    @method(raises=[Rejected])
    def review(self, paper: Paper) -> Grade:
        """Reviews a paper, which takes a while: a very long first sentence that will not fit one
        line of eighty columns.

        Args:
            paper: the paper.

        Returns:
            its grade.
        """
        return Grade.GOOD if paper.title else Grade.BAD

    @method
    def undocumented(self, paper: Paper) -> Paper:
        return paper
