"""Dart's layout: documents that break into lines as ``dart format`` breaks them (the tall style).

A document says where it *may* break; ``render`` breaks where 80 columns do not suffice, the outer
before the inner. After Wadler, "A prettier printer", with two kinds of places of our own: what
follows ``=``, ``:`` or ``=>`` (``Assign``), and delimited lists (``delimited``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

WIDTH = 80


@dataclass(frozen=True)
class Line:
    """A newline where the group around it breaks, else ``flat``."""

    flat: str = " "


@dataclass(frozen=True)
class Hard:
    """A newline always; ``blank``: and an empty line."""

    blank: bool = False


@dataclass(frozen=True)
class Nest:
    """What breaks inside is indented by ``by`` more."""

    by: int
    doc: Doc


@dataclass(frozen=True)
class Group:
    """On one line where it fits. ``is_collection``: a list or a map that is not empty."""

    doc: Doc
    is_collection: bool = False


@dataclass(frozen=True)
class IfBroken:
    """A comma that stands only where the group around it breaks."""

    broken: str
    flat: str = ""


Hug = Literal["always", "else", "never"]


@dataclass(frozen=True)
class Assign:
    """``op`` and what it gives. Where that does not fit behind it, it stands on a line of its own,
    indented by ``by``; or (``hug``) breaks inside its own brackets: of calls and collections after
    ``=`` and ``:`` always, of a call after ``=>`` where the line of its own does not suffice
    either (``else``). ``chain``: an object and the call of its method, between which it may break
    too."""

    op: str
    doc: Doc
    hug: Hug = "never"
    by: int = 4
    chain: tuple[Doc, Doc] | None = None


@dataclass(frozen=True)
class Initialized:
    """A constructor's head and the fields that it sets."""

    head: Doc
    fields: tuple[Doc, ...]


@dataclass(frozen=True)
class Trailing:
    """A call whose last argument is its only collection: that may break alone. ``before`` is what
    stands before it, ``usual`` the call with its arguments one a line."""

    before: str
    last: Doc
    usual: Doc


Doc = (
    str
    | tuple["Doc", ...]
    | Line
    | Hard
    | Nest
    | Group
    | IfBroken
    | Assign
    | Initialized
    | Trailing
)
EMPTY: Doc = ()
HARD = Hard()
BLANK = Hard(blank=True)


def join(docs: Iterable[Doc], between: Doc) -> Doc:
    """Documents with one between each two."""
    out: list[Doc] = []
    for doc in docs:
        out += [between, doc] if out else [doc]
    return tuple(out)


def delimited(left: str, items: Iterable[Doc], right: str) -> Doc:
    """A list of arguments, a collection: one item a line where it breaks, and a trailing comma.
    A collection in which there is another breaks in any case."""
    items = list(items)
    if not items:
        return left + right
    is_collection = left != "("
    split = is_collection and any(map(_holds_collection, items))
    first: Doc = HARD if split else Line("")
    inner: Doc = (first, join(items, (",", Line())), IfBroken(","))
    return Group((left, Nest(2, inner), Line(""), right), is_collection)


def call(name: str, *arguments: Doc) -> Doc:
    """``name(arguments)``."""
    usual = (name, delimited("(", arguments, ")"))
    last = arguments[-1] if arguments else EMPTY
    if not is_collection(last) or any(map(is_collection, arguments[:-1])):
        return usual
    before = f"{name}(" + "".join(f"{flat_text(argument)}, " for argument in arguments[:-1])
    return Trailing(before, (last, ")"), usual)


def declared(type_: Doc, name: str) -> Doc:
    """``type name``."""
    return Group((type_, Line(), name))


def is_collection(doc: Doc) -> bool:
    """Whether it is a list, map or set, which breaks inside its own brackets."""
    if isinstance(doc, tuple) and len(doc) == 2 and doc[0] == "const ":
        doc = doc[1]
    return isinstance(doc, Group) and doc.is_collection


def _holds_collection(doc: Doc) -> bool:
    match doc:
        case Group(inner, is_collection):
            return is_collection or _holds_collection(inner)
        case tuple(docs):
            return any(map(_holds_collection, docs))
        case Nest(_, inner) | Assign(_, inner):
            return _holds_collection(inner)
        case Trailing():
            return True
    return False


def flat_text(doc: Doc) -> str:
    """A document on one line, however long."""
    return render(Group(doc), 1_000_000)


def named(name: str, value: Doc, hug: Hug = "always") -> Doc:
    """``name: value``, as an argument or in a map."""
    return (name, Assign(":", value, hug))


def infix(op: str, operands: Iterable[Doc]) -> Doc:
    """``a && b``."""
    return Group(join(operands, (f" {op}", Line())))


def conditional(condition: Doc, then: Doc, orelse: Doc) -> Doc:
    """``condition ? then : orelse``."""
    return Group((condition, Nest(4, (Line(), "? ", then, Line(), ": ", orelse))))


def parameters(positional: Iterable[Doc], optional: Iterable[Doc]) -> Doc:
    """``(a, {b, c})``."""
    positional, optional = list(positional), list(optional)
    if not optional:
        return delimited("(", positional, ")")
    items = join([*positional], (",", Line()))
    head: Doc = (Line(""), items, ", {") if positional else "{"
    inner: Doc = (Line(""), join(optional, (",", Line())), IfBroken(","))
    if positional:
        return Group(("(", Nest(2, (head, inner)), Line(""), "})"))
    return Group(("(", head, Nest(2, inner), Line(""), "})"))


# To text


@dataclass
class _Work:
    indent: int
    is_flat: bool
    doc: Doc


@dataclass
class _Printer:
    out: list[str] = field(default_factory=list)
    column: int = 0

    def newline(self, indent: int, *, blank: bool = False) -> None:
        while self.out and not self.out[-1].strip(" "):
            self.out.pop()
        self.out += ["\n\n" if blank else "\n", " " * indent]
        self.column = indent


def render(doc: Doc, width: int = WIDTH) -> str:
    """The text of a document."""
    printer, stack = _Printer(), [_Work(0, False, doc)]
    while stack:
        work = stack.pop()
        indent, is_flat = work.indent, work.is_flat
        match work.doc:
            case str(text):
                if text:
                    printer.out.append(text)
                    printer.column += columns(text)
            case tuple(docs):
                stack += [_Work(indent, is_flat, item) for item in reversed(docs)]
            case Nest(by, inner):
                stack.append(_Work(indent + by, is_flat, inner))
            case Line(flat) if is_flat:
                stack.append(_Work(indent, True, flat))
            case Line():
                printer.newline(indent)
            case Hard(blank):
                printer.newline(indent, blank=blank)
            case Group(inner):
                whole = _Work(indent, True, inner)
                fits = is_flat or _fits(printer.column, whole, stack, width)
                stack.append(_Work(indent, fits, inner))
            case IfBroken(broken, flat):
                stack.append(_Work(indent, is_flat, flat if is_flat else broken))
            case Assign() as assign:
                stack.append(_assigned(assign, work, printer.column, stack, width))
            case Trailing(before, last, usual):
                whole = _Work(indent, True, (before, last))
                alone = _Work(indent, False, (before, last))
                if is_flat or _fits(printer.column, whole, stack, width):
                    stack.append(whole)
                elif _fits(printer.column, alone, stack, width, breaks=True):
                    stack.append(_Work(indent, False, (before, last)))
                else:
                    stack.append(_Work(indent, False, usual))
            case Initialized(head, fields_):
                shown = _initialized(head, fields_, indent, printer.column, stack, width)
                stack.append(_Work(indent, is_flat, shown))
    return "".join(printer.out)


def _assigned(assign: Assign, work: _Work, column: int, rest: list[_Work], width: int) -> _Work:
    indent, inner = work.indent, assign.doc
    behind: Doc = (assign.op, " ", inner)
    if work.is_flat or _fits(column, _Work(indent, True, behind), rest, width):
        return _Work(indent, True, behind)
    below: Doc = (assign.op, Nest(assign.by, (HARD, Group(inner))))
    if assign.hug == "never":
        return _Work(indent, False, below)
    alone = _Work(indent + assign.by, True, inner)
    if assign.hug == "else" and _fits(indent + assign.by, alone, rest, width):
        return _Work(indent, False, below)
    opened = _Work(indent, False, behind)
    if assign.chain is not None and not _fits(column, opened, rest, width, breaks=True):
        target, rest_of_it = assign.chain
        start = _Work(indent, True, (assign.op, " ", target))
        link = _Work(indent, True, rest_of_it)
        if _fits(column, start, [], width) and _fits(indent + assign.by, link, rest, width):
            broken = (assign.op, " ", target, Nest(assign.by, (HARD, rest_of_it)))
            return _Work(indent, False, broken)
    opens = _fits(column, opened, rest, width, breaks=True)
    return opened if opens else _Work(indent, False, below)


def _initialized(
    head: Doc, items: tuple[Doc, ...], indent: int, column: int, rest: list[_Work], width: int
) -> Doc:
    flat = Group((head, " : ", join(items, ", ")))
    if len(items) == 1 and _fits(column, _Work(indent, True, flat), rest, width):
        return flat
    below = join(items, (",", HARD))
    if _fits(column, _Work(indent, True, head), [], width):
        return (head, Nest(2, (HARD, ": ", Nest(2, below))))
    return (head, " : ", Nest(5, below))


def _fits(column: int, work: _Work, rest: list[_Work], width: int, *, breaks: bool = False) -> bool:
    """Whether a document fits, flat, with all that follows it up to the next newline that may be;
    ``breaks``: whether it does up to its own first newline, its groups broken."""
    stack, below, own = [work], len(rest), 1
    while column <= width:
        if not stack:
            if below == 0:
                return True
            below -= 1
            own = 0
            stack.append(rest[below])
        current = stack.pop()
        match current.doc:
            case str(text):
                column += columns(text)
            case tuple(docs):
                stack += [_Work(0, current.is_flat, item) for item in reversed(docs)]
            case Nest(_, inner):
                stack.append(_Work(0, current.is_flat, inner))
            case Group(inner):
                flat = current.is_flat if breaks or not own else True
                stack.append(_Work(0, flat, inner))
            case Trailing(before, last, usual):
                stack.append(
                    _Work(0, current.is_flat, (before, last) if current.is_flat else usual)
                )
            case Initialized(head, items):
                stack.append(_Work(0, current.is_flat, (head, " : ", join(items, ", "))))
            case Line(flat):
                if not current.is_flat:
                    return True
                column += columns(flat)
            case Hard():
                return not own or breaks
            case IfBroken(broken, flat):
                column += columns(flat if current.is_flat else broken)
            case Assign(op, inner):
                column += columns(op)
                if not current.is_flat and not own:
                    return column <= width
                if not current.is_flat and breaks:
                    return column <= width
                stack.append(_Work(0, current.is_flat, (" ", inner)))
    return False


def columns(text: str) -> int:
    """How wide Dart's formatter takes a text to be: in UTF-16 code units."""
    return len(text) + sum(char > "\uffff" for char in text)
