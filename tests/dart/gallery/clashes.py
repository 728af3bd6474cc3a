"""Names that something else has too: dart:core, Flutter, the runtime, the generated members, each
other."""

import enum

from pydantic import BaseModel, Field

from mothlight import Code, Error, method, service


class List(BaseModel):
    """A shopping list, not Dart's."""

    items: list[str] = []


class Map(BaseModel):
    lists: dict[str, List] = {}


class Future(BaseModel):
    seconds: int


class Stream(BaseModel):
    water: float


class Object(BaseModel):
    weight: float


class String(BaseModel):
    length: int


class Text(BaseModel):
    """No widget."""

    lines: list[str]


class Method(BaseModel):
    steps: list[Future]


class FileData(BaseModel):
    path: str


class CallOptions(BaseModel):
    timeout: float | None = None


class Transport(BaseModel):
    wheels: int


class Clashes(BaseModel):
    """The service's own name."""

    hashCode: int
    runtimeType: str
    toJson: str
    from_json: str
    copyWith: str
    toString: str
    noSuchMethod: str
    json_: str = Field(alias="json")
    map: dict[str, int]
    other: bool
    value: int
    values: list[int]
    snake_case: int
    snakeCase: int = Field(2, alias="snakeCase")
    list: List
    String: String
    num: float = 0.0
    int_: int = Field(0, alias="int")
    double: float = 0.0
    bool_: bool = Field(True, alias="bool")
    identical: str = ""
    deepEquals: str = ""
    readString: str = ""
    Object: str = ""
    override: str = ""


class ClashesClient(BaseModel):
    """The name that a client would have."""

    name: str


class Duration(enum.Enum):
    SHORT = "short"
    Short = "Short"
    short = "short!"


class Exception_(Error):
    "{message} in {kind}"

    code = Code.ABORTED
    message: str
    kind: str
    hint: str
    document: str
    status_: int
    is_transient: bool


@service(name="Clashes")
class Service:
    """A service with bad luck."""

    @method
    def call(self, options: CallOptions) -> Future:
        """Takes options beside the options."""
        return Future(seconds=int(options.timeout or 0))

    @method(raises=[Exception_])
    def to_string(self, clashes: Clashes) -> Map:
        """Is toString in Dart."""
        return Map(lists={"one": clashes.list})

    @method
    def hash_code(self, options: int = 1) -> Duration:
        """Is hashCode in Dart."""
        return Duration.short if options else Duration.SHORT

    @method
    def transport(self, stream: Stream) -> Transport:
        """Hides the client's own transport."""
        return Transport(wheels=int(stream.water))

    @method
    def decode(self, json: String) -> Method:
        """Takes what is called as the codec's own."""
        return Method(steps=[Future(seconds=json.length)])

    @method
    def file(self, file: FileData) -> ClashesClient:
        """No file at all."""
        return ClashesClient(name=file.path)

    @method
    def on_call(self, text: Text) -> int:
        """Is what fakes call before each call."""
        return len(text.lines)

    @method
    def weigh(self, object: Object) -> float:
        """Weighs."""
        return object.weight
