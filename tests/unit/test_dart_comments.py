"""Docstrings as doc comments of Dart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothlight.dart import comments
from mothlight.dart.layout import render


def comment(doc: str) -> list[str]:
    return render(comments.comment(doc)).splitlines()


def test_comments_are_markdown_without_accidents() -> None:
    shown = comment("Scores [a] with ``b`` and :class:`C`, <x>*/")
    assert shown == ["/// Scores \\[a\\] with `b` and `C`, \\<x\\>*/."]


def test_comments_are_wrapped_and_have_a_summary() -> None:
    shown = comment("word " * 40 + "\n\n- one\n- two\n\nAs is:\n\n    code [x]")
    assert all(len(row) <= 78 and row == row.rstrip() for row in shown)
    assert shown[shown.index("///") - 1].endswith("word.")
    assert shown[shown.index("/// - one") :][:2] == ["/// - one", "/// - two"]
    assert shown[-3:] == ["/// ```text", "/// code [x]", "/// ```"]


def test_a_comment_never_leaves_its_lines() -> None:
    for char in "\r\u2028\u2029\x0b\x0c\x85\x00":
        assert all(row.startswith("///") for row in comment(f"a{char}b"))


@given(st.text(st.sampled_from("`|-: \n\t[]()<>*#a.Z\\"), max_size=60))
def test_no_text_breaks_out_or_leaves_a_fence_open(doc: str) -> None:
    shown = comment(doc)
    assert all(row.startswith("///") and row == row.rstrip() for row in shown)
    assert sum(row.startswith("/// ```") for row in shown) % 2 == 0


def test_links_and_tables_stay() -> None:
    doc = "See [the *docs*](https://a.b/c?d=e), <https://a.b>, [x] and [y](other).\n\n"
    shown = comment(f"{doc}| a | b |\n|---|:-:|\n| [1] | 2 |")
    assert " ".join(row.removeprefix("/// ") for row in shown[: shown.index("///")]) == (
        "See [the *docs*](https://a.b/c?d=e), <https://a.b>, \\[x\\] and \\[y\\](other)."
    )
    assert shown[-3:] == ["/// | a | b |", "/// |---|:-:|", "/// | \\[1\\] | 2 |"]


def test_a_fence_keeps_its_language_and_its_blank_lines() -> None:
    shown = comment("So:\n\n```python\nif a:\n\n    b [c]\n```\nAfter it.")
    assert shown[2:7] == ["/// ```python", "/// if a:", "///", "///     b [c]", "/// ```"]
    assert shown[-1] == "/// After it."


def test_sections_of_googles_style_are_lists() -> None:
    doc = "Does.\n\nArgs:\n    top_k (int): how many\n        there are.\n    x: it."
    doc += "\n\nReturns:\n    all of [them].\n\nRaises:\n    TooLong: never."
    assert comment(doc)[2:] == [
        "/// Args:",
        "///",
        "/// - `topK`: how many there are.",
        "/// - `x`: it.",
        "///",
        "/// Returns: all of \\[them\\].",
        "///",
        "/// Raises:",
        "///",
        "/// - `TooLong`: never.",
    ]


@pytest.mark.parametrize(
    ("name", "is_flag", "about"),
    [
        ("predicted_class", False, "The predicted class."),
        ("imageURL", False, "The image URL."),
        ("größe_x", False, "The größe x."),
        ("is_open", True, "Whether it is open."),
        ("chat", True, "The flag `chat`."),
        ("--", False, "The value of `--`."),
    ],
)
def test_a_field_without_documentation_is_said_by_its_name(
    name: str, is_flag: bool, about: str
) -> None:
    assert comments.about(name, is_flag=is_flag) == about


def test_the_first_sentence() -> None:
    assert comments.sentence("Scores, e.g. Tweets, 1.5 times. And more.\n\nElse.") == (
        "Scores, e.g. Tweets, 1.5 times."
    )
    assert comments.sentence("") == ""
