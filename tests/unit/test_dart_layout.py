"""The layout of Dart: what fits stays on a line, what does not breaks as dart format breaks it."""

from __future__ import annotations

from mothlight.dart.layout import (
    HARD,
    Assign,
    Doc,
    Initialized,
    Nest,
    call,
    conditional,
    declared,
    delimited,
    infix,
    join,
    named,
    parameters,
    render,
)

LONG = "a" * 40


def test_what_fits_stays_on_one_line() -> None:
    assert render(call("f", "a", named("b", "1"))) == "f(a, b: 1)"
    assert render(delimited("[", [], "]")) == "[]"


def test_arguments_break_one_a_line_with_a_comma_behind_the_last() -> None:
    assert render(call("f", LONG, LONG)) == f"f(\n  {LONG},\n  {LONG},\n)"


def test_what_follows_counts() -> None:
    call_: Doc = call("f", "b" * 76)
    assert "\n" not in render(call_)
    assert "\n" in render((call_, "; // more"))


def test_optional_parameters_open_behind_the_last_positional_one() -> None:
    shown = render(("void f", parameters([f"int {LONG}"], [f"int {LONG}"])))
    assert shown == f"void f(\n  int {LONG}, {{\n  int {LONG},\n}})"
    assert render(parameters([], ["int a"])) == "({int a})"


def test_a_body_stands_below_where_it_fits_there_and_else_breaks() -> None:
    head = "Future<Verdict> analyze(Review review)"
    body = call("_transport.unary", "Methods.analyze", "review")
    below = render((head, Assign(" =>", body, "else"), ";"))
    assert below == f"{head} =>\n    _transport.unary(Methods.analyze, review);"
    longer = call("values.of", LONG, LONG)
    hugged = render(("int f()", Assign(" =>", longer, "else"), ";"))
    assert hugged == f"int f() => values.of(\n  {LONG},\n  {LONG},\n);"


def test_a_long_object_is_left_before_its_method() -> None:
    arguments = ("a" * 30, "b" * 25)
    chain = ("_transport", call(".serverStream", *arguments))
    body = Assign(" =>", call("_transport.serverStream", *arguments), "else", chain=chain)
    shown = render(("Stream<Uint8List> streamsBytes({CallOptions? options})", body, ";"))
    assert shown.splitlines()[0].endswith("=> _transport")
    assert shown.splitlines()[1].startswith("    .serverStream(")


def test_the_only_collection_at_the_end_of_a_call_breaks_alone() -> None:
    items = delimited("[", ["b" * 30, "c" * 30], "]")
    assert render(call("map.readOr", "'a'", ("const ", items))) == (
        f"map.readOr('a', const [\n  {'b' * 30},\n  {'c' * 30},\n])"
    )
    two = call("f", delimited("[", [LONG], "]"), delimited("[", [LONG], "]"))
    assert render(two).splitlines()[0] == "f("


def test_a_collection_with_another_in_it_always_breaks() -> None:
    inner = delimited("[", ["1"], "]")
    assert render(delimited("[", [inner], "]")) == "[\n  [1],\n]"
    assert render(delimited("[", ["[]"], "]")) == "[[]]"


def test_operators_end_their_lines() -> None:
    tests = infix("&&", [LONG, LONG])
    shown = render(("bool x", Assign(" =>", tests), ";"))
    assert shown == f"bool x =>\n    {LONG} &&\n    {LONG};"
    shown = render(named("key", conditional("x == null", LONG, LONG), "never"))
    assert shown == f"key:\n    x == null\n        ? {LONG}\n        : {LONG}"


def test_initializers() -> None:
    one: tuple[Doc, ...] = (("a", Assign(" =", "a ?? 1")),)
    assert render((Initialized("A({int? a})", one), ";")) == "A({int? a}) : a = a ?? 1;"
    two = (*one, ("b", Assign(" =", "2")))
    assert render((Initialized("A({int? a})", two), ";")) == (
        "A({int? a})\n  : a = a ?? 1,\n    b = 2;"
    )
    many = parameters([], [f"int? {LONG}", f"int? b{LONG}"])
    assert render((Initialized(("A", many), two), ";")).endswith("}) : a = a ?? 1,\n     b = 2;")


def test_a_type_that_is_too_long_leaves_its_name_below() -> None:
    assert render((declared("Map<" + "x" * 60 + ">", "y" * 20), ";")).count("\n") == 1


def test_empty_lines_have_no_spaces() -> None:
    body: Doc = ("{", Nest(2, (HARD, join(["a;", "b;"], (HARD, HARD)))), HARD, "}")
    assert render(body) == "{\n  a;\n\n  b;\n}"


def test_characters_beyond_the_basic_plane_count_twice() -> None:
    assert "\n" not in render(call("f", "x" * 75))
    assert "\n" in render(call("f", "x" * 35, "\U0001f600" * 21))
