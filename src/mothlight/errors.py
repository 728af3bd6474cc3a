"""The errors: what a call can end with, and what a wrong definition is told.

    DefinitionError             a service that cannot work; raised at import with line and mend
    Error                       a call's typed failure: a code, a message, fields; users subclass it
    ├── MalformedRequest        400  the bytes are not JSON, not multipart, not UTF-8
    ├── InvalidRequest          422  well-formed, but not the message; errors=[{path, message}]
    ├── BadMedia                422  an image or sound that cannot be opened, or is over its limits
    ├── UnsupportedMedia        415  a content type, charset or file format that is not taken
    ├── NotAcceptable           406  no form of the answer suits the Accept header
    ├── PayloadTooLarge         413  over a limit in bytes or parts
    ├── RequestTimeout          408  the body did not arrive in time
    ├── RouteNotFound           404
    ├── MethodNotAllowed        405
    ├── UpgradeRequired         426  it takes a stream of messages: over a WebSocket
    ├── Unauthenticated         401
    ├── QuotaExceeded           429  over the caller's own rate or concurrency; retry_after seconds
    ├── CallNotFound            404  no call of this caller has the id; it may have expired
    ├── KeyReused               422  the same idempotency key with another request
    ├── ItemsGone               400  a stream cannot be resumed there: the items are not kept
    ├── Superseded              409  a newer call with the same supersede key has taken its place
    ├── Overloaded              503  refused before it cost anything; retry_after seconds
    ├── Unavailable             503  the worker died or the server is stopping
    ├── DeadlineExceeded        504
    ├── Cancelled               499
    └── Internal                500  the model failed; the log has the reason, the caller does not

On the wire each is a problem document (RFC 9457): ``type`` is the class's name, ``code`` one of
the 16 canonical gRPC codes, ``status`` the HTTP status, ``detail`` the docstring filled with the
fields, and beside them the fields themselves.
"""

from __future__ import annotations

import dataclasses
import functools
import string
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform, get_type_hints

from .codes import Code as Code  # noqa: PLC0414  (they are part of this module)
from .definition import DefinitionError as DefinitionError  # noqa: PLC0414
from .problem import RESERVED, members

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass_transform(kw_only_default=True)
class Error(Exception):
    """A typed failure of a call. Subclass it, and declare it with ``raises=[...]``::

        class TextTooLong(Error):
            "text has {length} characters, {limit} are allowed"
            code = Code.INVALID_ARGUMENT
            length: int
            limit: int

    The annotated names become keyword arguments; the docstring is the message.
    """

    code: ClassVar[Code] = Code.UNKNOWN
    status: ClassVar[int] = 500
    call_id = ""
    """The id of the call that it ended; a client sets it. The server's log has a digest of it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        template = cls.__dict__.get("__doc__")
        if not isinstance(cls.code, Code):
            raise DefinitionError(
                f"the code of {cls.__name__} is {cls.code!r}, which is no Code",
                "take one of the canonical ones:   code = Code.INVALID_ARGUMENT",
                at=cls,
            )
        if "code" in cls.__dict__ and "status" not in cls.__dict__:
            cls.status = cls.code.http
        if cls.status not in range(400, 600):
            raise DefinitionError(
                f"the status of {cls.__name__} is {cls.status!r}, which is no error's",
                "give one of 400 to 599, or none: it follows from the code",
                at=cls,
            )
        dataclasses.dataclass(kw_only=True, eq=False, repr=False)(cls)
        cls.__doc__ = template
        names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if taken := names & (RESERVED | set(dir(Error))):
            raise DefinitionError(
                f"{cls.__name__} has a field called {min(taken)!r}, which every error already has",
                "give the field another name",
                at=cls,
            )
        try:
            parsed = [name for _, name, _, _ in string.Formatter().parse(template or "")]
        except ValueError as error:
            raise DefinitionError(
                f"the message of {cls.__name__} has a brace too many or too few: {error}",
                "write a brace that is meant as one twice:   {{ }}",
                at=cls,
            ) from None
        used = {name for name in parsed if name is not None}
        if unknown := {name.split(".")[0].split("[")[0] for name in used} - names:
            raise DefinitionError(
                f"the message of {cls.__name__} uses {{{min(unknown)}}}, which is not a field",
                f"add the field:   {min(unknown) or 'name'}: str",
                at=cls,
            )

    def fields(self) -> dict[str, Any]:
        """The declared fields and their values."""
        if not dataclasses.is_dataclass(self):
            return {}
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def detail(self) -> str:
        """The message: the class's docstring, filled in."""
        if type(self) is Error:
            return str(self.args[0]) if self.args else "the call failed"
        template = (type(self).__doc__ or type(self).__name__).strip()
        try:
            return template.format(**{name: _shown(v) for name, v in self.fields().items()})
        except Exception:  # {celsius:.1f} of a text: a report of a failure must not fail itself
            return template

    def __str__(self) -> str:
        return self.detail

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.fields().items())
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.fields())  # they are keywords

    def problem(self) -> dict[str, Any]:
        """The problem document (RFC 9457) as a JSON-able dict."""
        try:
            detail = self.detail
        except Exception:  # a subclass's own
            detail = type(self).__name__
        return {
            "type": type(self).__name__,
            "code": self.code.value,
            "status": self.status,
            "detail": detail.encode("utf-8", "backslashreplace").decode(),
            **members(self.fields()),
        }

    @staticmethod
    def from_problem(problem: Mapping[str, Any], known: Iterable[type[Error]] = ()) -> Error:
        """The error that a problem document describes: one of ``known`` or of the built-in ones,
        rebuilt with its fields; a ``RemoteError`` where none fits."""
        from pydantic import ValidationError

        classes = {cls.__name__: cls for cls in (*BUILT_IN, *known)}
        if cls := classes.get(str(problem.get("type"))):
            try:
                return cls(
                    **{
                        name: adapter.validate_python(problem[name])
                        for name, adapter in _adapters(cls).items()  # type: ignore[arg-type]
                        if name in problem
                    }
                )
            except (ValidationError, TypeError):
                pass  # an older or newer server: its fields are not ours, so show it as it came
        return RemoteError(document=dict(problem))


@functools.cache
def _adapters(cls: type[Error]) -> dict[str, TypeAdapter[Any]]:
    """What reads the fields of an error; made once, for that takes longer than most calls."""
    from pydantic import TypeAdapter

    hints = get_type_hints(cls, include_extras=True)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    return {field.name: TypeAdapter(hints[field.name]) for field in fields}


class _Listed(list[Any]):
    """A list that a message names as a person would."""

    def __format__(self, spec: str) -> str:
        return ", ".join(map(str, self))


def _shown(value: Any) -> Any:
    return _Listed(value) if isinstance(value, list) else value


def _rebuild(cls: type[Error], args: tuple[Any, ...], fields: dict[str, Any]) -> Error:
    return cls(*args, **fields)


class RemoteError(Error):
    """An error whose class this side does not know; ``document`` is the problem as it came."""

    document: dict[str, Any]

    def __post_init__(self) -> None:
        if (code := str(self.document.get("code"))) in Code.__members__.values():
            self.__dict__.update(code=Code(code), status=Code(code).http)

    @property
    def detail(self) -> str:
        return str(self.document.get("detail", self.document))

    def problem(self) -> dict[str, Any]:
        return members(self.document)


class MalformedRequest(Error):
    "the request cannot be read: {reason}"

    code = Code.INVALID_ARGUMENT
    reason: str


class InvalidRequest(Error):
    "the request does not fit the method's message"

    code = Code.INVALID_ARGUMENT
    status = 422
    errors: list[dict[str, str]]

    @property
    def detail(self) -> str:
        shown = "; ".join(f"{e['path'] or 'body'}: {e['message']}" for e in self.errors[:3])
        more = len(self.errors) - 3
        return shown + (f"; and {more} more" if more > 0 else "")


class BadMedia(Error):
    "{reason}"

    code = Code.INVALID_ARGUMENT
    status = 422
    reason: str


class UnsupportedMedia(Error):
    "{reason}"

    code = Code.INVALID_ARGUMENT
    status = 415
    reason: str
    supported: list[str]


class NotAcceptable(Error):
    "this method answers with {supported}"

    code = Code.INVALID_ARGUMENT
    status = 406
    supported: list[str]


class PayloadTooLarge(Error):
    "{what} is over the limit of {limit}"

    code = Code.OUT_OF_RANGE
    status = 413
    what: str
    limit: int


class RequestTimeout(Error):
    "the request's body did not arrive within {seconds} s"

    code = Code.DEADLINE_EXCEEDED
    status = 408
    seconds: float


class RouteNotFound(Error):
    "nothing is served at {path}"

    code = Code.NOT_FOUND
    path: str


class MethodNotAllowed(Error):
    "{path} answers {allow}"

    code = Code.UNIMPLEMENTED
    status = 405
    path: str
    allow: list[str]


class UpgradeRequired(Error):
    "{path} takes a stream of messages: connect to it as a WebSocket"

    code = Code.FAILED_PRECONDITION
    status = 426
    path: str


class Unauthenticated(Error):
    "{reason}"

    code = Code.UNAUTHENTICATED
    reason: str = "no valid credentials"


class QuotaExceeded(Error):
    "over the {what} that this caller may have; try again in {retry_after} s"

    code = Code.RESOURCE_EXHAUSTED
    what: str
    retry_after: float


class CallNotFound(Error):
    "there is no such call, or it is no longer kept"

    code = Code.NOT_FOUND


class KeyReused(Error):
    "this Idempotency-Key was sent with another request before"

    code = Code.INVALID_ARGUMENT
    status = 422


class ItemsGone(Error):
    "the items after number {after} are not kept; those after {first} and up to {last} are"

    code = Code.OUT_OF_RANGE
    after: int
    first: int
    last: int


class Superseded(Error):
    "a newer call has taken its place"

    code = Code.ABORTED


class Overloaded(Error):
    "the server cannot serve this call in time; try again in {retry_after} s"

    code = Code.UNAVAILABLE
    retry_after: float


class Unavailable(Error):
    "{reason}"

    code = Code.UNAVAILABLE
    reason: str
    retry_after: float = 1.0


class DeadlineExceeded(Error):
    "no answer within the deadline"

    code = Code.DEADLINE_EXCEEDED


class Cancelled(Error):
    "the call was cancelled"

    code = Code.CANCELLED


class Internal(Error):
    "the model failed; the server's log has the reason"

    code = Code.INTERNAL


BUILT_IN: tuple[type[Error], ...] = (
    MalformedRequest,
    InvalidRequest,
    BadMedia,
    UnsupportedMedia,
    NotAcceptable,
    PayloadTooLarge,
    RequestTimeout,
    RouteNotFound,
    MethodNotAllowed,
    UpgradeRequired,
    Unauthenticated,
    QuotaExceeded,
    CallNotFound,
    KeyReused,
    ItemsGone,
    Superseded,
    Overloaded,
    Unavailable,
    DeadlineExceeded,
    Cancelled,
    Internal,
)
"""The errors that any method may end with, declared or not."""
