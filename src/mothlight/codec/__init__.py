"""Bytes ⇄ message, for what strangers send: every count and size is bounded, every fault has its
own typed error, and nothing here runs a model or opens a file.

    JSON ─ json.check ──┐
    multipart ─ multipart.parse ─ form.payload ──> Payload ─ Shape.decode ─> message
    query, urlencoded ─ form.parse_query ─┘
    Payload ─ json.inline ─> the JSON of an answer
"""
