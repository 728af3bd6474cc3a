"""Services as documents, all of them made from the neutral tree."""

from .contract import build, digest

__all__ = ["build", "digest"]
