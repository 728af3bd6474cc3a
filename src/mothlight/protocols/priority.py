"""The ``Priority`` header (RFC 9218): a dictionary of structured fields (RFC 9651)."""

from __future__ import annotations

import re

URGENCY = 3
"""Of a request that says nothing; 0 is first, 7 last."""

_LONGEST = 256
"""Bytes of a header that is read at all."""

# The grammar needs no backtracking, so it is given none: strangers choose the text.
_KEY = rb"[a-z*][a-z0-9_\-.*]*+"
_BARE = (
    rb"(?:-?\d{1,12}+\.\d{1,3}+|@?-?\d{1,15}+"  # numbers, a date
    rb'|%?"(?:[ !#-\[\]-~]|\\["\\])*+"'  # strings
    rb"|[A-Za-z*][\w!#$%&'*+\-.^`|~:/]*+"  # a token
    rb"|:[A-Za-z0-9+/=]*+:|\?[01])"  # bytes, a boolean
)
_PARAMETERS = rb"(?:;[ ]*+%b(?:=%b)?+)*+" % (_KEY, _BARE)
_ITEM = _BARE + _PARAMETERS
_LIST = rb"\([ ]*+(?:%b(?:[ ]++|(?=\))))*+\)%b" % (_ITEM, _PARAMETERS)
_MEMBER = rb"(%b)(?:=(%b|%b)|%b)" % (_KEY, _LIST, _ITEM, _PARAMETERS)
_FIELD = re.compile(rb"%b(?:[ \t]*+,[ \t]*+%b)*+" % (_MEMBER, _MEMBER))
_MEMBERS = re.compile(_MEMBER)
_LEVEL = re.compile(rb"(-?\d++)(?:;.*)?")


def urgency(header: bytes | None) -> int:
    """How urgent a request is, from 0 (first) to 7. A header that is no dictionary, and a ``u``
    that is no integer from 0 to 7, count as not sent."""
    if header is None or len(header) > _LONGEST:
        return URGENCY
    header = header.strip(b" ")
    if not _FIELD.fullmatch(header):
        return URGENCY
    found = URGENCY
    for key, value in _MEMBERS.findall(header):  # of a key that stands twice the last counts
        if key == b"u":
            level = _LEVEL.fullmatch(value)
            found = int(level[1]) if level and 0 <= int(level[1]) <= 7 else URGENCY
    return found
