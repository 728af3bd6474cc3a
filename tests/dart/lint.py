"""What the analyzer would say of Dart code, for it is not here: each lint is a function of a file,
and tells the lines at fault. The tree is tree-sitter's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import tree_sitter_dart
from tree_sitter import Language, Node, Parser, Tree

PARSER = Parser(Language(tree_sitter_dart.language()))

_CORE = """
ArgumentError AssertionError BigInt BidirectionalIterator Comparable Comparator
ConcurrentModificationError DateTime Deprecated Duration Enum Error Exception Expando Finalizer
FormatException Function Future IndexError IntegerDivisionByZeroException Invocation Iterable
Iterator List Map MapEntry Match Never NoSuchMethodError Null Object OutOfMemoryError Pattern
RangeError Record RegExp RegExpMatch RuneIterator Runes Set Sink StackOverflowError StackTrace
StateError Stopwatch Stream String StringBuffer StringSink Symbol Type TypeError
UnimplementedError UnsupportedError Uri UriData WeakReference bool double dynamic int num
deprecated identical identityHashCode override pragma print
"""
CORE = frozenset(_CORE.split())
"""The public names of dart:core 3.7."""

MEMBERS = ("class_body", "enum_body", "extension_body")
DECLARED = (
    "class_definition",
    "mixin_declaration",
    "extension_declaration",
    "extension_type_declaration",
    "enum_declaration",
    "type_alias",
)
SIGNATURES = ("function_signature", "getter_signature", "setter_signature")


@dataclass(frozen=True)
class Source:
    """A file of Dart."""

    path: str
    text: str

    @staticmethod
    def read(path: Path, root: Path) -> Source:
        return Source(path.relative_to(root).as_posix(), path.read_text("utf-8"))

    @cached_property
    def tree(self) -> Tree:
        return PARSER.parse(self.text.encode())

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")


@dataclass(frozen=True)
class Declaration:
    """A name that a file or a class declares."""

    name: str
    line: int
    is_documented: bool
    is_override: bool
    kind: str

    @property
    def is_public(self) -> bool:
        return not any(part.startswith("_") for part in self.name.split("."))


Fault = tuple[int, str]
"""Its line, from 0, and what is wrong."""
Lint = Callable[[Source], Iterable[Fault]]


def faults(source: Source, lints: Iterable[Lint] | None = None) -> list[str]:
    """`path:line: what is wrong`, for each fault that the lints find in a file."""
    found = sorted({fault for lint in lints or LINTS for fault in lint(source)})
    return [f"{source.path}:{line + 1}: {what}" for line, what in found]


def walk(node: Node) -> Iterator[Node]:
    """A node and all that is in it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def text(node: Node) -> str:
    return (node.text or b"").decode()


def declarations(body: Node) -> Iterator[Declaration]:
    """What stands in a file, or in the body of a class."""
    has_doc = is_override = False
    after: Node | None = None  # a variable's modifiers and type are siblings of its name
    for node in body.named_children:
        if node.type == "documentation_comment":
            has_doc, after = True, None
        elif node.type == "annotation":
            is_override = is_override or text(node).startswith("@override")
        elif names := list(_names(node)):
            line = (after or node).start_point.row
            for kind, name in names:
                yield Declaration(name, line, has_doc, is_override, kind)
            has_doc, is_override, after = False, False, None
        elif node.type in ("function_body", "library_name", "import_or_export"):
            has_doc = is_override = False


def _names(node: Node) -> Iterator[tuple[str, str]]:
    if node.type in DECLARED:
        # An extension may go without a name.
        named = node.child_by_field_name("name") or _first(node, "identifier", "type_identifier")
        yield "type", text(named) if named else "_"
    elif node.type in SIGNATURES:
        named = node.child_by_field_name("name") or _first(node, "identifier")
        yield node.type.split("_")[0], text(named) if named else ""
    elif node.type == "enum_constant":
        yield "value", text(node.child_by_field_name("name") or node)
    elif node.type in ("declaration", "method_signature"):
        inner = [n for n in node.named_children if n.type.endswith("_signature")]
        if inner and "constructor" in inner[0].type:
            parts = [text(n) for n in inner[0].named_children if n.type == "identifier"]
            yield "constructor", ".".join(parts)
        elif inner and inner[0].type == "operator_signature":
            yield "operator", text(inner[0]).split("operator", 1)[1].split("(")[0].strip()
        elif inner:
            yield from _names(inner[0])
        else:
            for entry in node.named_children:
                yield from _names(entry)
    elif node.type in ("initialized_identifier_list", "static_final_declaration_list",
                       "identifier_list"):  # fmt: skip
        for entry in node.named_children:
            named = entry if entry.type == "identifier" else _first(entry, "identifier")
            if named:
                yield "variable", text(named)


def _first(node: Node, *types: str) -> Node | None:
    return next((child for child in node.named_children if child.type in types), None)


def bodies(source: Source) -> Iterator[tuple[str, Node]]:
    """The name and body of each class, mixin, extension and enum."""
    for node in source.tree.root_node.named_children:
        if node.type in DECLARED:
            name = next((name for _, name in _names(node)), "")
            yield from ((name, child) for child in node.named_children if child.type in MEMBERS)


# The lints


def syntax(source: Source) -> Iterator[Fault]:
    """It is Dart."""
    if source.tree.root_node.has_error:
        for node in walk(source.tree.root_node):
            if node.is_error or node.is_missing:
                yield node.start_point.row, f"syntax error near {text(node)[:40]!r}"


def undocumented(source: Source) -> Iterator[Fault]:
    """Each public declaration has a doc comment."""
    for entry in declarations(source.tree.root_node):
        if entry.is_public and not entry.is_documented and entry.name != "main":
            yield entry.line, f"{entry.name} has no doc comment"


def undocumented_members(source: Source) -> Iterator[Fault]:
    """Each public member has one; overrides have their parent's."""
    for owner, body in bodies(source):
        for entry in declarations(body):
            of_enum = entry.kind == "constructor" and body.type == "enum_body"
            known = entry.is_documented or entry.is_override or of_enum
            if entry.is_public and not known and not owner.startswith("_"):
                yield entry.line, f"{owner}.{entry.name} has no doc comment"


def duplicates(source: Source) -> Iterator[Fault]:
    """No name is declared twice in one scope; a getter and its setter are one."""
    scopes = [("", source.tree.root_node), *bodies(source)]
    for owner, body in scopes:
        entries = [entry for entry in declarations(body) if entry.name != "_"]
        setters = {e.name for e in entries if e.kind == "setter"}
        seen = Counter(e.name for e in entries if e.kind != "setter")
        for entry in entries:
            twice = seen[entry.name] > 1 and (entry.kind != "constructor" or "." in entry.name)
            if twice or (entry.name in setters and entry.kind in ("function", "operator")):
                yield entry.line, f"{owner or 'the file'} has {entry.name} twice"


def shadows(source: Source) -> Iterator[Fault]:
    """No public declaration takes a name of dart:core."""
    for entry in declarations(source.tree.root_node):
        if entry.name in CORE:
            yield entry.line, f"{entry.name} shadows dart:core's"


def dynamics(source: Source) -> Iterator[Fault]:
    """No type is dynamic."""
    for node in walk(source.tree.root_node):
        if node.type == "type_identifier" and node.text == b"dynamic":
            yield node.start_point.row, "dynamic"


def prints(source: Source) -> Iterator[Fault]:
    """Nothing is printed."""
    for node in walk(source.tree.root_node):
        after = node.next_sibling
        if node.text in (b"print", b"debugPrint") and after and text(after).startswith("("):
            yield node.start_point.row, "print"


def quiet_streams(source: Source) -> Iterator[Fault]:
    """No `async*` has an `await for`: it cannot be cancelled while that is quiet."""
    for node in walk(source.tree.root_node):
        if node.type == "function_body" and text(node).startswith("async*"):
            for inner in walk(node):
                if inner.type == "for_statement" and text(inner).startswith("await"):
                    yield inner.start_point.row, "await for in async*"


def bare_bodies(source: Source) -> Iterator[Fault]:
    """A loop has braces, and so has an `if` with an `else`, or whose body is on a line below."""
    for node in walk(source.tree.root_node):
        if node.type not in ("if_statement", "for_statement", "while_statement", "do_statement"):
            continue
        body = node.child_by_field_name("consequence") or node.child_by_field_name("body")
        other = node.child_by_field_name("alternative")
        if node.type == "if_statement" and body and not other and _ends_beside_its_condition(body):
            continue
        for part in (body, other):
            is_chain = part == other and part is not None and part.type == "if_statement"
            if part and part.type != "block" and not is_chain:
                yield part.start_point.row, f"{node.type.split('_')[0]} without braces"


def _ends_beside_its_condition(then: Node) -> bool:
    bracket = then.prev_sibling
    return bracket is not None and bracket.end_point.row == then.end_point.row


def long_comments(source: Source) -> Iterator[Fault]:
    """80 columns, save where an address or one long word cannot be broken; of all else the
    formatter knows more."""
    for number, line in enumerate(source.lines):
        words = re.sub(r"^\s*//+ *([-*>|] )?", "", line).split()
        known = "://" in line or "sha256:" in line or len(words) < 2
        if line.lstrip().startswith("//") and len(line) > 80 and not known:
            yield number, "a comment is longer than 80 columns"


def white_space(source: Source) -> Iterator[Fault]:
    """No tabs, nothing at the ends of lines, one line feed at the end."""
    for number, line in enumerate(source.lines):
        if line != line.rstrip() or "\t" in line:
            yield number, "white space at the end of the line, or a tab"
    if not source.text.endswith("\n") or source.text.endswith("\n\n"):
        yield len(source.lines) - 1, "the file does not end with one line feed"


def import_order(source: Source) -> Iterator[Fault]:
    """dart:, package:, relative; each sorted; then exports."""
    directives = re.findall(r"^(import|export) '([^']+)'", source.text, re.MULTILINE)

    def rank(entry: tuple[str, str]) -> tuple[bool, int, str]:
        verb, uri = entry
        group = 0 if uri.startswith("dart:") else 1 if uri.startswith("package:") else 2
        return verb == "export", group, uri

    if directives != sorted(directives, key=rank):
        line = source.lines.index(next(x for x in source.lines if x.startswith(directives[0])))
        yield line, "imports are not sorted"
    if re.search(r"^part ", source.text, re.MULTILINE):
        yield 0, "a part"


LINTS: tuple[Lint, ...] = (
    syntax,
    undocumented,
    undocumented_members,
    duplicates,
    shadows,
    dynamics,
    prints,
    quiet_streams,
    bare_bodies,
    long_comments,
    white_space,
    import_order,
)


def platform_faults(lib: Path, door: str = "io.dart") -> list[str]:
    """The files of a package that reach dart:io, dart:html or dart:ffi and are not only behind
    `door`: an app in a browser would not compile."""
    found = []
    for entry in sorted(lib.glob("*.dart")):
        if entry.name == door:
            continue
        waiting, seen = [entry], {entry}
        while waiting:
            file = waiting.pop()
            for uri in re.findall(r"^(?:import|export) '([^']+)'", file.read_text(), re.MULTILINE):
                if uri in ("dart:io", "dart:html", "dart:ffi", "dart:mirrors"):
                    found.append(f"{entry.name} needs {file.relative_to(lib)}, of {uri}")
                if ":" not in uri and (next_ := (file.parent / uri).resolve()) not in seen:
                    seen.add(next_)
                    waiting.append(next_)
    return found
