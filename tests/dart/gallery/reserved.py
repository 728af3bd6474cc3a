"""Dart's reserved words as fields, methods, parameters and members."""

import enum

from pydantic import BaseModel, Field

from mothlight import method, service


class Keyword(enum.Enum):
    DEFAULT = "default"
    SWITCH = "switch"
    VALUES = "values"
    INDEX = "index"
    NAME = "name"
    UNKNOWN = "unknown"
    TO_JSON = "toJson"
    NULL = "null"


class Words(BaseModel):
    """Words that mean something in Dart."""

    class_: str = Field(alias="class")
    default: int = 1
    switch: bool = False
    is_: str = Field("is", alias="is")
    new: str = "new"
    enum: Keyword = Keyword.DEFAULT
    var: float = 0.0
    this: str = "this"
    super: str | None = None
    null: list[str] = []
    void: dict[str, str] = {}
    required: str = "required"
    late: str = "late"
    factory: str = "factory"
    static: str = "static"
    get: str = "get"
    set: str = "set"
    operator: str = "operator"
    external: str = "external"
    Function: str = "Function"
    dynamic: str = "dynamic"
    await_: str = Field("await", alias="await")
    yield_: str = Field("yield", alias="yield")
    async_: str = Field("async", alias="async")
    sealed: str = "sealed"
    when: str = "when"


@service
class Reserved:
    """Methods that are called as Dart's words are."""

    @method
    def switch(self, case: str) -> str:
        """Switches."""
        return case

    @method
    def default(self, words: Words) -> Words:
        """The default."""
        return words

    @method
    def new(self, var: int = 1) -> int:
        """New."""
        return var

    @method
    def extends(self) -> Keyword:
        """Extends."""
        return Keyword.NULL
