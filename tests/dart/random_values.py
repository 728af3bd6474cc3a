"""Random JSON of a type of the tree, as a client may send it."""

from __future__ import annotations

import base64
import datetime
import random
import uuid
from typing import Any

from mothlight.schema import Enum, Message, Types, Union
from mothlight.schema.tree import Choice, ListOf, MapOf, Node, Nothing, Nullable, Ref, Scalar

TEXTS = ["", "a", "it's", '"', "\\", "$x ${y}", "🦋", "\u2028\x00", "日本", "null", "1", "\r\n\t"]
FLOATS = [0.0, -0.0, 1, -7, 0.1, 1e300, 5e-324, -1.5e-9, 1e21, 123456789012345678]
INTS = [0, 1, -1, 255, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63)]
TIMES = ["00:00:00", "23:59:59.999999", "12:30:00Z", "12:30:00+02:00"]
DURATIONS = ["PT0S", "P1D", "-P1DT1S", "PT1.5S", "PT0.000001S", "P365DT23H59M59.999999S", "P3M"]
DECIMALS = ["0", "1.50", "-1E+20", "0.000000000000000000001", "12345678901234567890.5"]
SHALLOW = 4


def json_of(node: Node, types: Types, rng: random.Random, depth: int = 0) -> Any:
    """A value; what has a default is left out now and then."""
    match node:
        case Scalar():
            return scalar(node, rng)
        case Choice(values):
            return rng.choice(values)
        case Nullable(of):
            return None if depth > SHALLOW or rng.random() < 0.3 else json_of(of, types, rng, depth)
        case ListOf(item):
            count = 0 if depth > SHALLOW else rng.randrange(4)
            return [json_of(item, types, rng, depth + 1) for _ in range(count)]
        case MapOf(value):
            keys = [] if depth > SHALLOW else rng.sample(TEXTS, rng.randrange(4))
            return {key: json_of(value, types, rng, depth + 1) for key in keys}
        case Ref(name):
            return named(types[name], types, rng, depth + 1)
        case Nothing():
            return None
    raise TypeError(f"no random value of {node}")


def named(type_: Message | Enum | Union, types: Types, rng: random.Random, depth: int) -> Any:
    match type_:
        case Enum(members=members):
            return rng.choice(list(members.values()))
        case Union(tag=tag, variants=variants):
            value = rng.choice(sorted(variants))
            variant = types[variants[value]]
            assert isinstance(variant, Message)
            field = next(f for f in variant.fields if f.wire == tag)
            assert isinstance(field.type, Choice)
            exact = next(v for v in field.type.values if str(v) == value)
            return {**named(variant, types, rng, depth), tag: exact}
        case Message(fields=fields):
            left_out = 1.0 if depth > SHALLOW else rng.choice([0.0, 0.4, 1.0])
            return {
                f.wire: json_of(f.type, types, rng, depth)
                for f in fields
                if f.required or rng.random() >= left_out
            }


def scalar(node: Scalar, rng: random.Random) -> Any:
    rules = node.rules
    match node.kind:
        case "str":
            return rng.choice(TEXTS)
        case "int":
            low, high = rules.get("ge", rules.get("gt", -1) + 1), rules.get("le", rules.get("lt"))
            if rules:
                return rng.randint(low, low + 9 if high is None else high)
            return rng.choice([*INTS, rng.randrange(1000)])
        case "float":
            odd = ["NaN", "Infinity", "-Infinity"] if rules.get("finite") is False else []
            return rng.choice([*FLOATS, rng.random(), *odd])
        case "bool":
            return rng.random() < 0.5
        case "bytes":
            return base64.b64encode(rng.randbytes(rng.randrange(9))).decode()
        case "datetime":
            return moment(rng).isoformat() + rng.choice(["", "Z", "+02:00", "-11:30"])
        case "date":
            return moment(rng).date().isoformat()
        case "time":
            return rng.choice(TIMES)
        case "duration":
            return rng.choice(DURATIONS)
        case "uuid":
            return str(uuid.UUID(int=rng.getrandbits(128)))
        case "decimal":
            return rng.choice(DECIMALS)


def moment(rng: random.Random) -> datetime.datetime:
    """Also before 1970, with and without parts of a second."""
    since = datetime.datetime(1, 1, 2)
    days, micros = rng.randrange(3_652_000), rng.choice([0, 500_000, 999_999, 1_000])
    return since + datetime.timedelta(days, rng.randrange(86_400), micros)
