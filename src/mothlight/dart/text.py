"""Text in Dart: literals of JSON values, and doc comments."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

from .layout import HARD, WIDTH, Doc, delimited, named

SAFE_INT = 2**53 - 1
"""Beyond it Dart on the web has no literal."""

_ESCAPES = {"\\": r"\\", "'": r"\'", "$": r"\$", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def string(text: str) -> str:
    """A string literal."""
    return "'" + "".join(_escape(char) for char in text) + "'"


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\u{{{ord(char):x}}}"


def number(value: float) -> str:
    """A number's literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) <= SAFE_INT else repr(float(value))
    return repr(value)


def value(json_value: Any) -> Doc:
    """The literal of a JSON value, in a const context."""
    match json_value:
        case None:
            return "null"
        case bool() | int() | float():
            return number(json_value)
        case str():
            return string(json_value)
        case list():
            return delimited("[", [value(item) for item in json_value], "]")
        case dict():
            items = [named(string(str(k)), value(v)) for k, v in json_value.items()]
            return delimited("{", items, "}")
    raise ValueError(f"{json.dumps(json_value, default=str)} has no literal")


def json_text(json_value: Any) -> str:
    """A value as JSON."""
    return json.dumps(json_value, ensure_ascii=False)


def code(shown: str) -> str:
    """A code span of Markdown, on one line."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in shown).split())
    return f"`{shown[:60]}`" if shown and "`" not in shown else "A value"


# Doc comments

_ROLE = re.compile(r":[a-z]+(?::[a-z]+)*:`~?([^`]*)`")
_LITERAL = re.compile(r"``([^`]+)``")
_CODE = re.compile(r"(`[^`]*`)")
_ITEM = re.compile(r"([-*+•]|\d+[.)])\s+")
_PROSE = re.compile(r"([\\\[\]<>])")
_RISKY_START = re.compile(r"^(#|=+$|-+$)")


def comment(doc: str, fallback: str = "", indent: int = 2) -> Doc:
    """``///`` lines of a docstring, as Markdown that refers to nothing by accident, and a newline;
    the first paragraph is a sentence. Empty where there is neither doc nor ``fallback``."""
    found = lines(doc, WIDTH - indent - len("/// ")) or lines(fallback, WIDTH - indent - 4)
    out: list[Doc] = [(f"/// {line}" if line else "///", HARD) for line in found]
    return tuple(out)


def plain(text: str, indent: int = 2) -> Doc:
    """``///`` lines of a text of our own, which is Markdown already."""
    out: list[Doc] = []
    for number_, paragraph in enumerate(text.split("\n\n")):
        if number_:
            out += ["///", HARD]
        for line in wrap(paragraph, WIDTH - indent - 4):
            out += [f"/// {line}", HARD]
    return tuple(out)


def lines(doc: str, width: int) -> list[str]:
    """A docstring's lines of Markdown."""
    out: list[str] = []
    doc = "".join(c if c.isprintable() or c in "\n\t" else " " for c in "\n".join(doc.splitlines()))
    blocks = re.split(r"\n[ \t]*\n", textwrap.dedent(doc.expandtabs(4)).strip("\n "))
    for block in filter(str.strip, blocks):
        shown = _code_block(block) if _is_code(block) and out else _paragraphs(block, width)
        if shown:
            out += [*([""] if out else []), *shown]
    if out:
        first = out.index("") if "" in out else len(out)
        if not re.search(r"[.!?:;…。][`*_)\"']*$", out[first - 1]):
            out[first - 1] += "."
    return out


def _is_code(block: str) -> bool:
    rows = block.splitlines()
    return all(row.startswith("    ") or not row.strip() for row in rows) or any(
        row.lstrip().startswith(("```", ">>>", "|")) for row in rows
    )


def _code_block(block: str) -> list[str]:
    rows = [row.rstrip() for row in textwrap.dedent(block).splitlines()]
    rows = [row for row in rows if not row.startswith("```")]
    return ["```text", *rows, "```"]


def _paragraphs(block: str, width: int) -> list[str]:
    """Prose, wrapped; items of lists keep their own lines."""
    items: list[tuple[str, list[str]]] = []
    for row in map(str.strip, block.splitlines()):
        match = _ITEM.match(row)
        if match or not items:
            mark = match.group(0) if match else ""
            items.append((mark, [row[len(mark) :]]))
        else:
            items[-1][1].append(row)
    out: list[str] = []
    for bullet, rows in items:
        text = markdown(" ".join(" ".join(rows).split()))
        mark = "- " if bullet[:1] in ("*", "+", "•") else bullet and f"{bullet.strip()} "
        wrapped = wrap(text, width - len(mark)) or [""]
        out += [(mark if i == 0 else " " * len(mark)) + row for i, row in enumerate(wrapped)]
    return [row.rstrip() for row in out]


def markdown(text: str) -> str:
    """reST and plain text as Markdown for dartdoc: no references, no HTML."""
    text = _LITERAL.sub(r"`\1`", _ROLE.sub(r"`\1`", text))
    if text.endswith("::"):
        text = text[:-1]
    if text.count("`") % 2:
        text = text.replace("`", "\\`")
        return _PROSE.sub(r"\\\1", text.replace("\\`", "'"))
    parts = _CODE.split(text)
    return "".join(p if p.startswith("`") else _PROSE.sub(r"\\\1", p) for p in parts)


def wrap(text: str, width: int) -> list[str]:
    """A text in lines; words are never broken, and no line begins as a heading or a list."""
    rows = textwrap.wrap(
        " ".join(text.split()), max(width, 20), break_long_words=False, break_on_hyphens=False
    )
    out: list[str] = []
    for row in rows:
        if out and (_ITEM.match(row) or _RISKY_START.match(row)):
            first, _, row = row.partition(" ")  # noqa: PLW2901
            out[-1] += f" {first}"
            if not row:
                continue
        elif not out and _RISKY_START.match(row):
            row = "\\" + row  # noqa: PLW2901
        out.append(row)
    return out


def file_name(class_name: str) -> str:
    """``SentimentApi`` as ``sentiment_api``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()
