"""Null, left out, and both: three things."""

from pydantic import BaseModel, Field

from mothlight import method, service


class Change(BaseModel):
    """A change of a profile; what is left out stays as it is."""

    name: str
    nickname: str | None
    motto: str | None = None
    city: str = "Basel"
    age: int | None = 30
    tags: list[str] = Field(default_factory=lambda: ["new"])
    note: str | None = Field(default_factory=lambda: "hello")
    rests: list[int | None] = []


@service
class Profiles:
    """Profiles of people."""

    @method
    def change(self, change: Change) -> Change:
        """Changes a profile."""
        return change

    @method
    def find(self, name: str | None = None) -> Change | None:
        """Finds a profile, or nothing."""
        return None if name is None else Change(name=name, nickname=None)
