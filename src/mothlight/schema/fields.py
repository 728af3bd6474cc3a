"""The fields of a message's class, as pydantic reads and writes them."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.dataclasses import is_pydantic_dataclass, rebuild_dataclass
from pydantic.fields import FieldInfo
from pydantic_core import from_json, to_json

from ..errors import DefinitionError
from .serializers import check_class, configuration, serializers

_ANY: TypeAdapter[Any] = TypeAdapter(Any)


@dataclasses.dataclass
class Entry:
    """One field before its type is read."""

    name: str
    wire: str
    hint: Any
    metadata: list[Any]
    required: bool
    default: Any
    doc: str
    deprecated: str = ""


def entries(cls: Any, at: Any) -> Iterable[Entry]:
    """The fields of a model or a dataclass."""
    check_class(cls)
    if issubclass(cls, BaseModel):
        cls.model_rebuild(raise_errors=False)  # one that names a later class is not complete yet
        return _pydantic_entries(cls)
    if is_pydantic_dataclass(cls):
        rebuild_dataclass(cls, raise_errors=False)
        return _pydantic_entries(cls)
    return _dataclass_entries(cls, at)


def _pydantic_entries(cls: Any) -> Iterable[Entry]:
    found: dict[str, FieldInfo] = cls.__pydantic_fields__
    standard = getattr(cls, "__dataclass_fields__", {})
    config = configuration(cls)
    for name, info in found.items():
        if info.init is False:
            continue
        if info.exclude or info.init_var or getattr(info, "exclude_if", None):
            raise DefinitionError(
                f"{cls.__name__}.{name} is read, but left out of what is written",
                "write one model for what comes in and one for what goes out; what only the server"
                f" knows may be private:   _{name}: ... = PrivateAttr()",
                at=cls,
            )
        read = info.validation_alias or info.alias or name
        if not config.get("validate_by_alias", True):
            read = name
        written = info.serialization_alias or info.alias or name
        if read != written:
            raise DefinitionError(
                f"{cls.__name__}.{name} is read as {read!r} and written as {written!r}",
                f"give it one name on the wire:   {name}: ... = Field(alias={written!r})",
                at=cls,
            )
        required = info.is_required()
        default = ... if info.default_factory else info.default
        yield Entry(
            name,
            str(read),
            info.annotation,
            [*info.metadata, info, *serializers(cls, name)],
            required,
            _json(default, required),
            info.description or (_doc(standard[name]) if name in standard else ""),
            deprecation(info.deprecated),
        )


def _dataclass_entries(cls: Any, at: Any) -> Iterable[Entry]:
    hints = resolve(cls, at)
    if configuration(cls).get("alias_generator"):
        raise _unheeded(cls, f"{cls.__name__} has an alias_generator")
    for entry in dataclasses.fields(cls):
        if not entry.init:
            continue
        name, hint, default = entry.name, hints[entry.name], entry.default
        said = [default, *_metadata(hint)]
        if isinstance(default, FieldInfo) or any(
            info.alias or info.validation_alias or info.serialization_alias or info.exclude
            for info in said
            if isinstance(info, FieldInfo)
        ):
            raise _unheeded(cls, f"{cls.__name__}.{name} has a Field()")
        required = default is entry.default_factory is dataclasses.MISSING
        default = _json(... if default is dataclasses.MISSING else default, required)
        yield Entry(name, name, hint, [], required, default, _doc(entry))


def _unheeded(cls: Any, what: str) -> DefinitionError:
    return DefinitionError(
        f"{what}, which pydantic alone heeds, and {cls.__name__}() itself does not",
        "take pydantic's dataclass:   from pydantic.dataclasses import dataclass",
        at=cls,
    )


def _doc(entry: dataclasses.Field[Any]) -> str:
    return str(entry.metadata.get("doc", ""))


def _metadata(hint: Any) -> Iterable[Any]:
    while get_origin(hint) is Annotated:
        hint, *inner = get_args(hint)
        yield from inner


def deprecation(mark: Any) -> str:
    """What ``@deprecated("use x")``, ``Field(deprecated="use x")`` or ``deprecated=True`` say."""
    if not mark:
        return ""
    text = getattr(mark, "message", mark)
    return text if isinstance(text, str) and text else "is deprecated"


def resolve(thing: Any, at: Any) -> dict[str, Any]:
    """The type hints of a class or function, evaluated; a DefinitionError names what is missing."""
    try:
        return typing.get_type_hints(thing, include_extras=True)
    except NameError as error:
        raise unknown(f"the type {error.name!r}", at) from error


def unknown(which: str, at: Any) -> DefinitionError:
    """The error about a name that a hint has and its module has not."""
    return DefinitionError(
        f"{which} is not known at run time",
        "import it outside `if TYPE_CHECKING:`, and define it at the module's top level",
        at=at,
    )


def _json(default: Any, required: bool) -> Any:
    if required or default is ...:
        return None if required else ...
    try:
        # In two steps, for a model would write its bytes as its own configuration says.
        plain = _ANY.dump_python(default, by_alias=True)
        return from_json(to_json(plain, bytes_mode="base64", inf_nan_mode="strings"))
    except ValueError:
        return ...
