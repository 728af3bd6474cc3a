"""What a method's signature says: its message, its result, what streams, what may fail."""

from __future__ import annotations

import inspect
import types
import typing
from collections import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from .call import Step
from .errors import DefinitionError, Error
from .schema.fields import resolve

EMPTY: Any = inspect.Parameter.empty
"""The default of a parameter that has none."""

_STREAMS = (
    abc.AsyncIterator,
    abc.AsyncGenerator,
    abc.AsyncIterable,
    abc.Iterator,
    abc.Generator,
    abc.Iterable,
)
_ASYNC = _STREAMS[:3]
_LISTS = (list, abc.Sequence)
_PLAIN = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Signature:
    """``message`` and ``result`` are the types of one message, of one item where it streams;
    ``is_async``: it runs on the event loop."""

    parameter: str
    default: Any
    message: Any
    result: Any
    streams_in: bool
    streams_out: bool
    raises: tuple[type[Error], ...]
    is_async: bool = False


def read(
    func: Callable[..., Any],
    who: str,
    *,
    batched: bool,
    raises: Sequence[type[Error]] = (),
) -> Signature:
    """The signature of a method. Raises DefinitionError where it cannot be served."""
    given, hints = _parameters(func, who)
    if "return" not in hints:
        raise DefinitionError(
            f"{who} does not say what it returns",
            f"write its type:   def {func.__name__}(...) -> Verdict:",
            at=func,
        )
    taken = hints[given.name] if given else None
    returned = hints["return"]
    streams_in = streams_out = False
    is_async = _is_async(func, returned)
    if batched:
        taken, returned = _batch_items(func, who, taken, returned)
    else:
        taken, streams_in = _item(func, who, taken)
        returned, streams_out = _item(func, who, returned)
        _check_streams(func, who, streams_out)
        if streams_in:
            _check_taken(func, who, hints[given.name] if given else None, is_async)
    if not batched and not streams_in:
        _check_message(func, who, taken, "a batch: mark it   @batched(max_size=32)   ")
    returned, more = _without_errors(returned)
    return Signature(
        parameter=given.name if given else "",
        default=given.default if given else EMPTY,
        message=taken,
        result=returned,
        streams_in=streams_in,
        streams_out=streams_out,
        raises=_declared(func, who, (*raises, *more)),
        is_async=is_async,
    )


def read_stepped(
    start: Callable[..., Any],
    step: Callable[..., Any],
    owner: str,
    *,
    raises: Sequence[type[Error]] = (),
) -> Signature:
    """The signature of a ``@stepped`` method of the class ``owner``: the message that ``start``
    takes, and the items of ``step``. Raises DefinitionError where it cannot be served."""
    who, begin = f"{owner}.{step.__name__}", f"{owner}.{start.__name__}"
    form = f"def {step.__name__}(self, states: list[State]) -> list[Step[Token]]:"
    _check_plain(start, begin, f"def {start.__name__}(self, prompt: Prompt) -> State:")
    _check_plain(step, who, form)
    unknown: dict[str, Any] = {}
    given, hints = _parameters(start, begin, unknown)
    taken = hints[given.name] if given else None
    if hints.get("return") in (None, type(None)):
        raise DefinitionError(
            f"{begin} does not say what state it returns",
            f"write its type:   def {start.__name__}(...) -> State:",
            at=start,
        )
    _check_message(start, begin, taken)
    if _item(start, begin, taken)[1]:
        raise DefinitionError(
            f"{begin} takes a stream; a stepped method takes one message",
            "take the stream in an ordinary generator:   @method",
            at=start,
        )
    states, steps = _step_lists(step, who, form, unknown)
    if not _fits(state := hints["return"], states):
        raise DefinitionError(
            f"{begin} returns {_shown(state)}, and {who} takes a list of {_shown(states)}",
            f"raise an error, don't return it:   def {start.__name__}(...) -> State:"
            if _without_errors(state)[1]
            else f"let {start.__name__} return what is in the list:   {form}",
            at=step,
        )
    one, errors = _without_errors(steps)
    if get_origin(one) is not Step or _without_errors(item := get_args(one)[0])[1]:
        raise DefinitionError(
            f"{who} returns a list of {_shown(steps)}, not of steps",
            f"write   {form}   or   -> list[Step[Token] | TextTooLong]:",
            at=step,
        )
    for func, hint in ((start, taken), (step, item)):
        if _is_unknown(hint):
            resolve(func, func)  # says which name
    return Signature(
        parameter=given.name if given else "",
        default=given.default if given else EMPTY,
        message=taken,
        result=item,
        streams_in=False,
        streams_out=True,
        raises=_declared(step, who, (*raises, *errors)),
    )


def _declared(
    func: Callable[..., Any], who: str, raises: Sequence[type[Error]]
) -> tuple[type[Error], ...]:
    declared = tuple(dict.fromkeys(raises))
    for error in declared:
        if not (isinstance(error, type) and issubclass(error, Error)):
            raise DefinitionError(
                f"{who} raises={error!r}, which is not an Error",
                "declare it:   class TextTooLong(Error): ...",
                at=func,
            )
    return declared


def _check_message(func: Callable[..., Any], who: str, taken: Any, batch: str = "") -> None:
    if get_origin(taken) in _LISTS:
        raise DefinitionError(
            f"{who} takes a list: is it a batch of calls, or one call's message?",
            f"{batch}one message: put the list in a field:   "
            f"class {func.__name__.title()}Request(BaseModel): items: list[...]",
            at=func,
        )


def _parameters(
    func: Callable[..., Any], who: str, unknown: dict[str, Any] | None = None
) -> tuple[inspect.Parameter | None, dict[str, Any]]:
    """(the message's parameter, all hints)."""
    hints = resolve(func, func) if unknown is None else _resolve_known(func, unknown)
    parameters = list(inspect.signature(func).parameters.values())
    if not parameters or not _is_self(parameters[0]):
        raise DefinitionError(
            f"{who} has no self: a method is one of the object that holds the model",
            f"write   def {func.__name__}(self, ...):",
            at=func,
        )
    parameters = parameters[1:]
    if len(parameters) > 1 or any(p.kind not in _PLAIN for p in parameters):
        raise DefinitionError(
            f"{who} takes {len(parameters)} parameters "
            f"({', '.join(str(p).split(':')[0] for p in parameters)}); a method takes one",
            "put them in a message:   " + _as_message(func.__name__, parameters, hints),
            at=func,
        )
    given = parameters[0] if parameters else None
    if given and given.name not in hints:
        raise DefinitionError(
            f"{who} does not say what {given.name} is",
            f"write its type:   def {func.__name__}(self, {given.name}: Review) -> ...",
            at=func,
        )
    return given, hints


def _is_self(first: inspect.Parameter) -> bool:
    """Whether a first parameter is the object: under another name nobody writes its type."""
    named = first.name == "self" or first.annotation is first.empty
    return named and first.kind is not first.KEYWORD_ONLY


def _batch_items(func: Callable[..., Any], who: str, taken: Any, returned: Any) -> tuple[Any, Any]:
    if _yields(func):
        raise DefinitionError(
            f"{who} is @batched and yields; a batch returns all its answers at once",
            "return a list, or stream to each caller:   @method   or   @stepped(start)",
            at=func,
        )
    if not (_is_list(taken) and _is_list(returned)):
        raise DefinitionError(
            f"{who} is @batched and must take a list and return a list",
            f"write   def {func.__name__}(self, reviews: list[Review]) -> list[Verdict]:"
            "   (each caller sends one Review and gets one Verdict)",
            at=func,
        )
    return get_args(taken)[0], get_args(returned)[0]


def _step_lists(
    step: Callable[..., Any], who: str, form: str, unknown: dict[str, Any]
) -> tuple[Any, Any]:
    """What is in the list that a step takes, and in the one that it returns."""
    hints = _resolve_known(step, unknown)
    parameters = list(inspect.signature(step).parameters.values())[1:]
    one = len(parameters) == 1 and parameters[0].kind in _PLAIN
    taken, returned = hints.get(parameters[0].name) if one else None, hints.get("return")
    if not (_is_list(taken) and _is_list(returned)):
        raise DefinitionError(
            f"{who} is @stepped and must take a list of states and return a list of steps",
            f"write   {form}",
            at=step,
        )
    return get_args(taken)[0], get_args(returned)[0]


def _check_plain(func: Callable[..., Any], who: str, form: str) -> None:
    if inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func):
        raise DefinitionError(
            f"{who} is an async def, and steps of a model are computed one after the other",
            f"write a plain def:   {form}   (what awaits is an async generator:   @method)",
            at=func,
        )
    if inspect.isgeneratorfunction(func):
        raise DefinitionError(
            f"{who} yields; a stepped method returns",
            f"write   {form}   (an ordinary generator is marked   @method)",
            at=func,
        )


class _Unknown(type):
    """A type that is imported under ``if TYPE_CHECKING:``. A state may be of one: it never travels,
    and the front process need not import torch to know it."""

    def __getattr__(cls, name: str) -> _Unknown:
        if name.startswith("__"):
            raise AttributeError(name)
        inner = _Unknown(f"{cls.__name__}.{name}", (), {})
        setattr(cls, name, inner)
        return inner

    def __getitem__(cls, _: Any) -> _Unknown:
        return cls


def _resolve_known(func: Callable[..., Any], unknown: dict[str, Any]) -> dict[str, Any]:
    """The type hints of a function, its unknown names as types, which ``unknown`` collects."""
    while True:
        try:
            return typing.get_type_hints(func, localns=unknown, include_extras=True)
        except NameError as error:
            if not error.name or error.name in unknown:
                return resolve(func, func)
            unknown[error.name] = _Unknown(error.name, (), {})


def _is_unknown(hint: Any) -> bool:
    return isinstance(hint, _Unknown) or any(map(_is_unknown, get_args(hint)))


def _fits(state: Any, states: Any) -> bool:
    """Whether a state of this type may stand in a list of that one."""
    if state == states or Any in (state, states):
        return True
    return isinstance(state, type) and isinstance(states, type) and issubclass(state, states)


def _shown(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _yields(func: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func)


def _is_async(func: Callable[..., Any], returned: Any) -> bool:
    """Whether it runs on the event loop; so does a plain def that returns what is iterated there,
    an asynchronous generator of another function."""
    if inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func):
        return True
    return get_origin(returned) in _ASYNC and not inspect.isgeneratorfunction(func)


def _check_streams(func: Callable[..., Any], who: str, streams_out: bool) -> None:
    if streams_out and inspect.iscoroutinefunction(func):
        raise DefinitionError(
            f"{who} is an async def that returns an iterator instead of yielding",
            "yield the items in it, or make it a plain def",
            at=func,
        )
    if _yields(func) and not streams_out:
        raise DefinitionError(
            f"{who} yields, but its result is not a stream",
            f"write   def {func.__name__}(...) -> Iterator[Token]:",
            at=func,
        )


def _check_taken(func: Callable[..., Any], who: str, taken: Any, is_async: bool) -> None:
    if (get_origin(taken) in _ASYNC) != is_async:
        wait, right = ("awaits", "AsyncIterator") if is_async else ("does not await", "Iterator")
        raise DefinitionError(
            f"{who} {wait}, and could not take its stream as {_shown(taken)}",
            f"write   {right}[...]   (what runs on the event loop takes an AsyncIterator)",
            at=func,
        )


def _item(func: Callable[..., Any], who: str, hint: Any) -> tuple[Any, bool]:
    """(item type, True) of an iterator's hint; (the hint, False) of any other."""
    if (get_origin(hint) or hint) not in _STREAMS:
        return hint, False
    if not get_args(hint):
        raise DefinitionError(
            f"{who} has a stream that does not say of what",
            "write the type of its items:   Iterator[Token]",
            at=func,
        )
    return get_args(hint)[0], True


def _is_list(hint: Any) -> bool:
    return get_origin(hint) in _LISTS and bool(get_args(hint))


def _without_errors(hint: Any) -> tuple[Any, list[type[Error]]]:
    """``Verdict | TextTooLong | Error`` as Verdict and the errors that it declares."""
    origin = get_origin(hint)
    if origin is not typing.Union and not isinstance(hint, types.UnionType):
        return hint, []
    errors = [a for a in get_args(hint) if isinstance(a, type) and issubclass(a, Error)]
    rest = [a for a in get_args(hint) if a not in errors]
    if not errors or not rest:
        return hint, []
    return typing.Union[tuple(rest)], [e for e in errors if e is not Error]  # noqa: UP007


def _as_message(name: str, parameters: list[inspect.Parameter], hints: dict[str, Any]) -> str:
    fields = "; ".join(
        f"{p.name}: {getattr(hints.get(p.name), '__name__', 'str')}"
        + ("" if p.default is p.empty else f" = {p.default!r}")
        for p in parameters
    )
    return f"class {name.title().replace('_', '')}Request(BaseModel): {fields}"
