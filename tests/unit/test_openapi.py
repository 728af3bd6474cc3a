"""The OpenAPI document: valid by an independent validator, and true of what the server does."""

from __future__ import annotations

import asyncio
import copy
import datetime
import decimal
import json
import math
import uuid
from typing import Annotated, Any, Literal

import httpx
import httpx2
import jsonschema
import openapi_spec_validator as validators
import pytest
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError
from pydantic import BaseModel, Field
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from mothlight import App, Code, Error, Image, method, service
from mothlight.contracts import openapi
from mothlight.errors import BUILT_IN, InvalidRequest, RouteNotFound, Unauthenticated
from mothlight.services import Service
from mothlight.testing import TestClient
from services.kitchen import (
    Boil,
    Kitchen,
    OutOfStock,
    Recipe,
    Spice,
    TextTooLong,
    Verdict,
)

VALIDATORS: dict[str, Any] = {
    "3.1": validators.OpenAPIV31SpecValidator,
    "3.2": validators.OpenAPIV32SpecValidator,
}
DESCRIBED = Service.of(Kitchen)


class Booking(BaseModel):
    day: Annotated[datetime.date, Field(ge=datetime.date(2026, 1, 1))]
    key: Annotated[bytes, Field(min_length=4, max_length=16)]


@service
class Desk:
    @method
    def book(self, booking: Booking) -> None: ...


class Pick(BaseModel):
    which: Literal["1", 1] = 1


@service
class Menu:
    @method(http="GET /pick")
    def pick(self, pick: Pick) -> str: ...


class Broken(BaseModel):
    how: str


BROKEN = type("Broken", (Error,), {"code": Code.ABORTED, "__doc__": "it broke"})


@service
class Shop:
    @method(raises=[BROKEN])
    def mend(self, broken: Broken) -> None: ...


@service
class Eye:
    @method
    def look(self, picture: Image, /) -> Verdict: ...


class Call(BaseModel):
    number: str


class Problem(BaseModel):
    what: str
    call: Call


class CallNotFound(BaseModel):
    since: int


class Größe(BaseModel):  # noqa: PLC2401
    höhe: int  # noqa: PLC2401


@service(name="call")
class Telephone:
    @method
    def get(self, call: Call) -> Problem: ...

    @method
    def cancel(self, call: CallNotFound) -> list[Größe]: ...


@service(name="a")
class First:
    @method
    def b_c(self, call: Call) -> None: ...


@service(name="a_b")
class Other:
    @method
    def c(self, call: Call) -> None: ...


def document(*classes: type, **options: Any) -> dict[str, Any]:
    return openapi.build([Service.of(cls) for cls in classes or (Kitchen,)], **options)


def operation(name: str, **options: Any) -> dict[str, Any]:
    verb_and_path = DESCRIBED.methods[name]
    return document(**options)["paths"][verb_and_path.path][verb_and_path.verb.lower()]


def check(name: str, instance: Any, root: dict[str, Any] | None = None) -> None:
    """Validates an instance against a component by jsonschema, formats included."""
    root = root or document()
    resource = Resource.from_contents(root, default_specification=DRAFT202012)
    registry: Any = Registry().with_resource("doc:", resource)
    pointer = {"$ref": f"doc:#/components/schemas/{name}"}
    formats = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(pointer, registry=registry, format_checker=formats).validate(
        instance
    )


# The document as a whole


@pytest.mark.parametrize("version", ["3.1", "3.2"])
def test_an_independent_validator_finds_no_fault(version: str) -> None:
    assert list(VALIDATORS[version](document(version=version)).iter_errors()) == []


@pytest.mark.parametrize("version", ["3.1", "3.2"])
def test_the_validator_would_find_a_fault(version: str) -> None:
    broken = copy.deepcopy(document(version=version))
    broken["paths"]["/kitchen/analyze"]["post"]["responses"] = {"200": {"content": 3}}
    with pytest.raises(OpenAPIValidationError):
        VALIDATORS[version](broken).validate()


def test_every_schema_is_json_schema_2020_12() -> None:
    for schema in document()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_3_1_is_3_2_without_item_schemas() -> None:
    new, old = document(), document(version="3.1")
    assert (new.pop("openapi"), old.pop("openapi")) == ("3.2.0", "3.1.1")
    assert "itemSchema" in str(new)
    assert "itemSchema" not in str(old)
    for paths in (new["paths"], old["paths"]):
        for item in paths.values():
            for described in item.values():
                if described.get("x-mothlight-cardinality") == "server_stream":
                    del described["responses"]["200"]["content"]
    assert new == old


def test_an_unknown_version_is_not_made() -> None:
    with pytest.raises(ValueError, match=r"3\.2 and 3\.1"):
        document(version="2.0")


def test_operation_ids_are_unique() -> None:
    paths = document()["paths"]
    ids = [operation["operationId"] for item in paths.values() for operation in item.values()]
    assert len(ids) == len(set(ids)) == len(DESCRIBED.methods) + len(["call_get", "call_cancel"])
    assert "Kitchen_analyze" in ids


def test_every_reference_leads_somewhere() -> None:
    root = document()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                target: Any = root
                for part in value["$ref"].removeprefix("#/").split("/"):
                    target = target[part]
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(root)


def test_the_release_is_the_contract_or_given() -> None:
    assert document()["info"]["version"].startswith("sha256:")
    assert document(release="2.1")["info"]["version"] == "2.1"
    assert document(root="/ml")["servers"] == [{"url": "/ml"}]


# Messages


def recipe() -> Recipe:
    return Recipe(
        id=uuid.uuid4(),
        title="Soup",
        steps=[Boil(minutes=5)],
        spices={"a": Spice("salt")},
        created=datetime.datetime.now(datetime.UTC),
        rest=datetime.timedelta(days=-400, seconds=3),
        ph=math.nan,
        parts=[Recipe(id=uuid.uuid4(), title="S", steps=[], created="2026-01-01T00:00:00Z")],  # type: ignore[arg-type]
    )


def test_what_the_server_writes_is_what_the_schema_says() -> None:
    shape = DESCRIBED.methods["cook"].output
    written = json.loads(shape.encode(recipe()).json)
    assert written["ph"] == "NaN"
    check("Recipe", written)
    for wrong in (
        {**written, "title": "lower"},
        {**written, "ph": "high"},
        {**written, "steps": [{"kind": "grill"}]},
        {**written, "servings": 0},
        {**written, "heat": 2},
        {**written, "day": "tomorrow"},
        {key: value for key, value in written.items() if key != "id"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            check("Recipe", wrong)


def test_a_message_is_described_field_by_field() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["Review"] == {
        "description": "What a guest wrote.",
        "type": "object",
        "properties": {
            "text": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "description": "the guest's words",
            },
            "language": {"type": "string", "enum": ["en", "de"], "default": "en"},
        },
        "required": ["text"],
    }
    assert schemas["Boil"]["properties"]["minutes"] == {
        "type": "integer",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 600,
    }
    assert schemas["Heat"] == {
        "type": "integer",
        "enum": [1, 3],
        "x-enum-varnames": ["LOW", "HIGH"],
    }
    assert schemas["BoilOrFry"]["discriminator"] == {
        "propertyName": "kind",
        "mapping": {
            "boil": "#/components/schemas/Boil",
            "fry": "#/components/schemas/Fry",
            "deep-fry": "#/components/schemas/Fry",
        },
    }
    assert schemas["Boil"]["required"] == ["kind", "minutes"]
    properties = schemas["Recipe"]["properties"]
    assert properties["public"]["default"] is False
    assert properties["seal"]["default"] == "AP8="
    assert properties["parts"]["items"] == {"$ref": "#/components/schemas/Recipe"}
    assert "default" not in properties["parts"]


def test_rules_without_a_keyword_are_kept() -> None:
    properties = document(Desk)["components"]["schemas"]["Booking"]["properties"]
    assert properties["day"]["x-mothlight-rules"] == {"ge": "2026-01-01"}
    assert (properties["key"]["minLength"], properties["key"]["maxLength"]) == (8, 24)


# Requests


def test_a_query_is_parameters() -> None:
    parameters = {p["name"]: p for p in operation("search")["parameters"] if "name" in p}
    assert parameters["words"]["explode"] is True
    assert parameters["limit"]["schema"]["maximum"] == 50
    assert parameters["since"]["schema"] == {"type": "string", "format": "date"}
    assert not any(p["required"] for p in parameters.values())
    (count,) = [p for p in operation("wash")["parameters"] if "name" in p]
    assert (count["in"], count["required"]) == ("query", True)
    assert "requestBody" not in operation("search")


@pytest.mark.parametrize(
    ("name", "types", "required"),
    [
        ("analyze", ["application/json"], True),
        ("double", ["application/json"], False),
        (
            "measure",
            ["multipart/form-data", "image/*", "application/octet-stream", "application/json"],
            True,
        ),
        ("album", ["multipart/form-data", "application/json"], True),
        ("weigh", ["multipart/form-data", "application/octet-stream", "application/json"], True),
        ("bell", None, None),
    ],
)
def test_a_body_is_all_that_the_server_takes(
    name: str, types: list[str] | None, required: bool | None
) -> None:
    body = operation(name).get("requestBody")
    if types is None:
        assert body is None
    else:
        assert (list(body["content"]), body["required"]) == (types, required)


def test_a_form_has_binary_parts_and_json_parts() -> None:
    content = operation("label")["requestBody"]["content"]
    form = content["multipart/form-data"]
    image = form["schema"]["properties"]["image"]
    assert (image["format"], image["contentMediaType"]) == ("binary", "image/jpeg, image/png")
    assert image["x-mothlight-limits"] == {
        "max_bytes": 1 << 20,
        "max_edge": 256,
        "max_pixels": 50_000_000,
        "formats": ["jpeg", "png"],
    }
    assert form["encoding"] == {
        "image": {"contentType": "image/jpeg, image/png"},
        "spices": {"contentType": "application/json"},
    }
    assert form["schema"]["required"] == ["image"]
    in_json = document()["components"]["schemas"]["Photo"]["properties"]["image"]
    assert in_json["contentEncoding"] == "base64"


def test_literals_of_several_kinds_are_told_apart_in_a_query() -> None:
    (which, *_) = document(Menu)["paths"]["/pick"]["get"]["parameters"]
    assert list(which["content"]) == ["application/json"]


def test_the_example_of_a_method_is_shown() -> None:
    body = operation("analyze")["requestBody"]["content"]["application/json"]
    assert body["example"] == {"text": "The soup was a delight.", "language": "en"}
    check("Review", body["example"])


# Responses


def test_a_result_is_json_a_file_or_nothing() -> None:
    assert list(operation("analyze")["responses"]["200"]["content"]) == ["application/json"]
    assert list(operation("plate")["responses"]["200"]["content"]) == ["image/png"]
    assert list(operation("chime")["responses"]["200"]["content"]) == ["audio/*"]
    assert "content" not in operation("wash")["responses"]["204"]


def test_a_stream_is_described_item_by_item() -> None:
    content = operation("write")["responses"]["200"]["content"]
    assert list(content) == ["text/event-stream", "application/x-ndjson"]
    item, end, failure = content["text/event-stream"]["itemSchema"]["oneOf"]
    assert item["properties"]["data"] == {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": "#/components/schemas/Token"},
    }
    assert end["properties"]["event"] == {"const": "end"}
    problem = failure["properties"]["data"]["contentSchema"]
    assert problem == {"$ref": "#/components/schemas/Problem"}
    assert next(iter(operation("numbers")["responses"]["200"]["content"])) == "text/plain"


@pytest.mark.parametrize("version", openapi.VERSIONS)
def test_our_own_names_leave_room_for_the_users(version: str) -> None:
    made = document(Telephone, First, Other, version=version)
    VALIDATORS[version](made).validate()
    schemas = made["components"]["schemas"]
    assert schemas["Call"]["properties"].keys() == {"number"}
    assert schemas["Problem"]["properties"]["call"] == {"$ref": "#/components/schemas/Call"}
    assert schemas["CallNotFound"]["properties"].keys() == {"since"}
    assert schemas["Call_"]["properties"].keys() >= {"id", "problem"}
    assert schemas["Gr_f6__df_e"]["properties"].keys() == {"höhe"}
    paths = made["paths"]
    found = paths["/calls/{id}"]["get"]["responses"]
    missing = found["404"]["content"]["application/problem+json"]["schema"]
    assert missing == {"$ref": "#/components/schemas/CallNotFoundError"}
    refused = found["default"]["content"]["application/problem+json"]["schema"]
    assert refused == {"$ref": "#/components/schemas/Problem_"}
    ids = [one["operationId"] for path in paths.values() for one in path.values()]
    assert len(ids) == len(set(ids)) == 6
    assert paths["/call/get"]["post"]["operationId"] == "call_get", "the user's keep theirs"
    assert "Mothlight." not in json.dumps(made)


def test_every_error_has_its_status() -> None:
    ok = {"200", "202"}
    always = {"400", "409", "422", "429", "499", "500", "503", "504"}
    body = {"408", "413", "415"}
    assert set(operation("bell")["responses"]) == ok | always
    assert set(operation("analyze")["responses"]) == ok | always | body
    assert set(operation("order")["responses"]) == ok | always | body | {"404"}
    assert set(operation("numbers")["responses"]) == ok | always | {"406"}
    refused = operation("analyze")["responses"]["400"]["content"]["application/problem+json"]
    names = [ref["$ref"].rpartition("/")[2] for ref in refused["schema"]["oneOf"]]
    assert names == ["MalformedRequest", "TextTooLong"]
    assert "Retry-After" in operation("analyze")["responses"]["503"]["headers"]


@pytest.mark.parametrize(
    "error",
    [
        TextTooLong(length=3, limit=1),
        OutOfStock(item="oil", until=datetime.date(2026, 1, 1)),
        InvalidRequest(errors=[{"path": "x", "message": "no"}]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_problem_document_fits_its_schema(error: Error) -> None:
    problem = error.problem()
    check("Problem", problem)
    check(type(error).__name__, problem)
    with pytest.raises(jsonschema.ValidationError):
        check("Unavailable", problem)


def test_the_errors_of_methods_are_all_there() -> None:
    schemas = document()["components"]["schemas"]
    absent = {error.__name__ for error in BUILT_IN} - set(schemas)
    others = {RouteNotFound.__name__, Unauthenticated.__name__, "MethodNotAllowed"}
    others.add("UpgradeRequired")  # of methods that WebSockets serve
    assert absent == others
    assert schemas["OutOfStock"]["allOf"][1]["properties"]["mood"] == {
        "$ref": "#/components/schemas/Mood"
    }


def test_an_error_may_have_the_name_of_a_message() -> None:
    schemas = document(Shop)["components"]["schemas"]
    assert "how" in schemas["Broken"]["properties"]
    assert schemas["BrokenError"]["allOf"][1]["properties"]["type"]["enum"] == ["Broken"]


# The page


async def get(path: str, root: str = "") -> httpx2.Response:
    app = App(Kitchen, workers=0)
    transport = httpx2.ASGITransport(app=app, root_path=root)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(root + path)


def ask(path: str, root: str = "") -> httpx2.Response:
    return asyncio.run(get(path, root))


def test_the_page_serves_both_versions() -> None:
    assert ask("/openapi.json").json() == document()
    old = ask("/openapi.json?version=3.1", root="/ml").json()
    assert old == document(version="3.1", root="/ml")


def test_the_page_refuses_other_versions() -> None:
    response = ask("/openapi.json?version=2.0")
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "MalformedRequest"


def test_two_services_are_one_document() -> None:
    both = document(Kitchen, Eye)
    VALIDATORS["3.2"](both).validate()
    assert [tag["name"] for tag in both["tags"]] == ["Kitchen", "Eye", "calls"]


def test_a_secured_server_says_so() -> None:
    made = openapi.build([Service.of(Kitchen)], secured=True)
    VALIDATORS["3.2"](made).validate()
    assert made["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert made["security"] == [{"bearer": []}]
    assert "401" in made["paths"]["/kitchen/bell"]["post"]["responses"]


class Price(BaseModel):
    price: decimal.Decimal


@service
class Till:
    @method
    def exact(self, price: Price) -> Price:
        return Price(price=price.price.quantize(decimal.Decimal("1e-8")))

    @method
    def large(self) -> Price:
        return Price(price=decimal.Decimal("-1.5E+40"))


def test_decimals_match_their_pattern_in_both_directions() -> None:
    document = openapi.build([Service.of(Till)])
    registry: Registry[Any] = Registry().with_resource(
        "urn:api", Resource(contents=document, specification=DRAFT202012)
    )
    checked = jsonschema.Draft202012Validator(
        {"$ref": "urn:api#/components/schemas/Price"}, registry=registry
    )
    with TestClient(Till) as client:
        for path, sent, given in (
            ("exact", "0", "0E-8"),
            ("exact", "1e2", "100.00000000"),
            ("large", "0", "-1.5E+40"),
        ):
            checked.validate({"price": sent})
            answer = httpx.post(f"{client.url}/till/{path}", json={"price": sent}).json()
            assert answer == {"price": given}
            checked.validate(answer)
    for wrong in ("e5", "1e", "1e5.5", "NaN", "1 e5", "."):
        assert not checked.is_valid({"price": wrong})
