"""DefinitionError: what the author of a wrong definition is told, at import."""

from __future__ import annotations

import inspect


class DefinitionError(TypeError):
    """A definition that cannot work: ``file:line: what is wrong`` and, below it, what to write."""

    def __init__(self, what: str, mend: str = "", *, at: object = None) -> None:
        self.what, self.mend, self.location = what, mend, locate(at)
        message = f"{self.location}: {what}" if self.location else what
        super().__init__(f"{message}\n  {mend}" if mend else message)


def locate(thing: object) -> str:
    """``file:line`` of a class or function, or "" where the source cannot be found."""
    try:
        target = inspect.unwrap(thing) if callable(thing) else thing
        lines, number = inspect.getsourcelines(target)  # type: ignore[arg-type]
        path = inspect.getsourcefile(target)  # type: ignore[arg-type]
    except (TypeError, OSError):
        return ""
    # A decorated definition starts at its decorators; the reader wants the line of def or class.
    skip = next((i for i, s in enumerate(lines) if s.lstrip().startswith(_STARTS)), 0)
    return f"{path}:{number + skip}"


_STARTS = ("def ", "class ", "async def ")
