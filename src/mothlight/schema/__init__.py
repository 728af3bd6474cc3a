"""Python types as a neutral tree, from which codecs, documents and Dart are made.

python type ─reader─> tree (Message, Field, Enum, Union, ListOf, MapOf, Scalar, MediaType …)
            └─shape─> decode: JSON + attached media → message;  encode: message → JSON + media
"""

from .reader import Reader
from .shape import Payload, Shape, split
from .tree import (
    Choice,
    Enum,
    Field,
    ListOf,
    MapOf,
    MediaType,
    Message,
    Named,
    Node,
    Nothing,
    Nullable,
    Ref,
    Scalar,
    Types,
    Union,
    describe,
    leaves,
    present,
)

__all__ = [
    "Choice",
    "Enum",
    "Field",
    "ListOf",
    "MapOf",
    "MediaType",
    "Message",
    "Named",
    "Node",
    "Nothing",
    "Nullable",
    "Payload",
    "Reader",
    "Ref",
    "Scalar",
    "Shape",
    "Types",
    "Union",
    "describe",
    "leaves",
    "present",
    "split",
]
