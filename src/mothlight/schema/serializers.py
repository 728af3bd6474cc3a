"""What pydantic may write otherwise than the annotation says, and so than the contract does."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Any

from pydantic import EncodedBytes, EncodedStr, Json, PlainSerializer, WrapSerializer
from pydantic_core import PydanticUndefined

from ..errors import DefinitionError
from .tree import ListOf, MapOf, Node, Nullable, Scalar

Serializer = PlainSerializer | WrapSerializer


def check_class(cls: Any) -> None:
    """Raises DefinitionError for a model that writes itself in a form of its own."""
    config = configuration(cls)
    for option in ("ser_json_timedelta", "ser_json_temporal"):
        if (value := config.get(option, "iso8601")) != "iso8601":
            raise DefinitionError(
                f"{cls.__name__} has {option}={value!r}; on the wire times are ISO 8601",
                "take it away; or write a number   took: float   and convert it in the method",
                at=cls,
            )
    if config.get("json_encoders"):
        raise DefinitionError(
            f"{cls.__name__} has json_encoders, whose form nobody knows but they",
            "write the fields as they are on the wire, and convert them in the method",
            at=cls,
        )
    if names := list(_decorators(cls, "model_serializers")):
        raise DefinitionError(
            f"{cls.__name__}.{names[0]} writes the whole of {cls.__name__} in a form of its own",
            "write a model whose fields are those on the wire, and make it in the method",
            at=cls,
        )


def configuration(cls: Any) -> dict[str, Any]:
    """What a model's or a dataclass's ``ConfigDict`` says."""
    return getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}


def serializers(cls: Any, field: str) -> Iterable[Serializer]:
    """What ``@field_serializer`` marks for a field."""
    for decorator in _decorators(cls, "field_serializers").values():
        if field in decorator.info.fields or "*" in decorator.info.fields:
            yield PlainSerializer(decorator.func, decorator.info.return_type)


def check_metadata(metadata: Iterable[Any], where: str, at: Any) -> None:
    """Raises DefinitionError for annotations that put a text in the place of the type."""
    for entry in metadata:
        if entry is Json or isinstance(entry, Json):  # type: ignore[misc]
            raise DefinitionError(
                f"{where} is Json[...]: a string in which there is JSON again",
                "write the type alone:   ids: list[int]   for the message itself is JSON",
                at=at,
            )
        if isinstance(entry, EncodedBytes | EncodedStr):
            raise DefinitionError(
                f"{where} is encoded by {getattr(entry.encoder, '__name__', entry.encoder)}",
                "write   bytes   which are base64 in JSON by themselves",
                at=at,
            )


def check_returned(node: Node | None, own: Node, where: str, at: Any) -> None:
    """Raises DefinitionError where a serializer writes ``node`` in the place of ``own``."""
    if node is None or _bare(node) != _bare(own):
        raise DefinitionError(
            f"{where} has a serializer that does not say that it returns the field's own type",
            "annotate what it returns   -> float   where that is the type; "
            "or give the field the type that is on the wire, and convert it in the method",
            at=at,
        )


def returned(serializer: Serializer) -> Any:
    """The type that a serializer says it returns; PydanticUndefined where it does not say."""
    said: Any = serializer.return_type
    if said is not PydanticUndefined:
        return said
    try:
        hints = typing.get_type_hints(serializer.func, include_extras=True)
    except (NameError, TypeError):  # a class, a builtin function
        return PydanticUndefined
    return hints.get("return", PydanticUndefined)


def _decorators(cls: Any, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = getattr(getattr(cls, "__pydantic_decorators__", None), kind, {})
    return found


def _bare(node: Node) -> Node:
    """A type without its rules."""
    match node:
        case Scalar(kind):
            return Scalar(kind)
        case ListOf(item):
            return ListOf(_bare(item))
        case MapOf(value):
            return MapOf(_bare(value))
        case Nullable(of):
            return Nullable(_bare(of))
    return node
