"""Doc comments: docstrings of Python as the Markdown that dartdoc shows."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from . import names
from .layout import HARD, WIDTH, Doc

_ROLE = re.compile(r":[a-z]+(?::[a-z]+)*:`~?([^`]*)`")
_LITERAL = re.compile(r"``([^`]+)``")
_KEPT = re.compile(r"(`[^`]*`|\[[^\[\]`]*\]\(https?://[^\s()<>`]*\)|<https?://[^\s<>`]*>)")
_MARKS = re.compile(r"([\\\[\]<>])")
_ITEM = re.compile(r"([-*+•]|\d+[.)])\s+")
_RISKY_START = re.compile(r"^(#|=+$|-+$)")
_LANGUAGE = re.compile(r"`{3,}\s*([\w+#.-]+)")
_TABLE_RULE = re.compile(r"[|:\s-]*-[|:\s-]*")
_SECTION = re.compile(r"(Args|Arguments|Parameters|Attributes|Raises):")
_ENTRY = re.compile(r"\*{0,2}(\w+)(?:\s*\([^)]*\))?:\s+(\S.*)")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)\s+(?=\W?[A-Z])|(?<=。)")
_CODE_STARTS = (">>>", "|", "+-")


def comment(doc: str, fallback: str = "", indent: int = 2) -> Doc:
    """``///`` lines of a docstring, as Markdown that refers to nothing by accident, and a newline;
    the first paragraph is a sentence. Empty where there is neither doc nor ``fallback``."""
    width = WIDTH - indent - len("/// ")
    found = lines(doc, width) or lines(fallback, width)
    out: list[Doc] = [(f"/// {line}" if line else "///", HARD) for line in found]
    return tuple(out)


def plain(text: str, indent: int = 2) -> Doc:
    """``///`` lines of a paragraph of our own, which is Markdown already."""
    out: list[Doc] = []
    for line in wrap(text, WIDTH - indent - len("/// ")):
        out += [f"/// {line}", HARD]
    return tuple(out)


def about(name: str, *, is_flag: bool = False) -> str:
    """What a field without documentation is, out of its name: ``top_k`` is "The top k."."""
    found = names.words(name) if name.isascii() else name.replace("_", " ").split()
    shown = [word if len(word) > 1 and word.isupper() else word.lower() for word in found]
    if not shown:
        return f"The value of `{name}`."
    if is_flag and len(shown) > 1 and shown[0] in ("is", "was", "has", "can", "may", "should"):
        return f"Whether it {' '.join(shown)}."
    return f"The flag `{name}`." if is_flag else f"The {' '.join(shown)}."


def code(shown: str) -> str:
    """A code span, on one line."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in shown).split())
    return f"`{shown[:60]}`" if shown and "`" not in shown else "A value"


def sentence(doc: str) -> str:
    """The first sentence of a docstring; empty where there is none."""
    shown = lines(doc, 10_000)[:1]
    return _SENTENCE_END.split(shown[0], maxsplit=1)[0] if shown else ""


def lines(doc: str, width: int) -> list[str]:
    """A docstring's lines of Markdown."""
    doc = "".join(c if c.isprintable() or c in "\n\t" else " " for c in "\n".join(doc.splitlines()))
    out: list[str] = []
    for block in _blocks(textwrap.dedent(doc.expandtabs(4)).strip("\n ").splitlines()):
        shown = _shown(block, width, is_first=not out)
        if shown:
            out += [*([""] if out else []), *shown]
    if out:
        first = out.index("") if "" in out else len(out)
        if not re.search(r"[.!?:;…。][`*_)\"']*$", out[first - 1]):
            out[first - 1] += "."
    return out


def _blocks(rows: Sequence[str]) -> list[list[str]]:
    """Rows that belong together: blank lines part them, but for those inside a fence."""
    blocks: list[list[str]] = [[]]
    is_fenced = False
    for row in rows:
        if row.lstrip().startswith("```"):
            if is_fenced:
                blocks[-1].append(row)
            blocks.append([] if is_fenced else [row])
            is_fenced = not is_fenced
        elif row.strip() or is_fenced:
            blocks[-1].append(row)
        else:
            blocks.append([])
    return [block for block in blocks if block]


def _shown(rows: list[str], width: int, *, is_first: bool) -> list[str]:
    bare = [row.strip() for row in rows]
    if is_first:
        return _prose([row for row in bare if not row.startswith("```")], width)
    if bare[0].startswith("```"):
        language = _LANGUAGE.match(bare[0])
        rows = [row for row in rows if not row.lstrip().startswith("```")]
        return _code(rows, language[1] if language else "text")
    is_table = len(bare) > 1 and _TABLE_RULE.fullmatch(bare[1])
    if is_table and all(row.startswith("|") for row in bare):
        return [markdown(row) for row in bare]
    if all(row.startswith("    ") for row in rows) or any(r.startswith(_CODE_STARTS) for r in bare):
        return _code(rows, "text")
    if entries := _entries(rows):
        return [bare[0], "", *_prose(entries, width)]
    return _prose(bare, width)


def _code(rows: list[str], language: str) -> list[str]:
    inner = textwrap.dedent("\n".join(rows)).splitlines()
    return [f"```{language}", *(row.rstrip() for row in inner), "```"]


def _entries(rows: list[str]) -> list[str]:
    """The items of a section that Google's style has, as those of a list; none where it is none."""
    heading = _SECTION.fullmatch(rows[0].strip())
    if not heading:
        return []
    found: list[str] = []
    for row in textwrap.dedent("\n".join(rows[1:])).splitlines():
        entry = _ENTRY.match(row)
        if entry:
            name = entry[1] if heading[1] == "Raises" else names.lower_camel(entry[1])
            found.append(f"- `{name}`: {entry[2]}")
        elif found and row.startswith(" "):
            found.append(row.strip())
        else:
            return []
    return found


def _prose(rows: list[str], width: int) -> list[str]:
    """Prose, wrapped; items of lists keep their own lines."""
    items: list[tuple[str, list[str]]] = []
    for row in rows:
        match = _ITEM.match(row)
        if match or not items:
            mark = match.group(0) if match else ""
            items.append((mark, [row[len(mark) :]]))
        else:
            items[-1][1].append(row)
    out: list[str] = []
    for bullet, texts in items:
        text = markdown(" ".join(" ".join(texts).split()))
        mark = "- " if bullet[:1] in ("*", "+", "•") else bullet and f"{bullet.strip()} "
        wrapped = wrap(text, width - len(mark)) or [""]
        out += [(mark if i == 0 else " " * len(mark)) + row for i, row in enumerate(wrapped)]
    return [row.rstrip() for row in out]


def markdown(text: str) -> str:
    """reST and plain text as Markdown: links and code stay, all else refers to nothing."""
    text = _LITERAL.sub(r"`\1`", _ROLE.sub(r"`\1`", text))
    if text.endswith("::"):
        text = text[:-1]
    if text.count("`") % 2:
        text = text.replace("`", "'")
    parts = _KEPT.split(text)
    return "".join(p if i % 2 else _MARKS.sub(r"\\\1", p) for i, p in enumerate(parts))


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
