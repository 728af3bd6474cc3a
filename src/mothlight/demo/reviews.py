"""Texts with human ratings, to train and to test the sentiment model on.

The data set of Hutto & Gilbert (ICWSM 2014): tweets, sentences of film reviews, of product reviews
and of newspaper editorials, each with the mean of about 20 people's ratings from -4 to +4. It
travels in the source archive of the package `vaderSentiment` (MIT); the texts are other people's,
so that Mothlight fetches them (`mothlight.weights`) and carries none.
"""

from __future__ import annotations

import hashlib
import html
import io
import tarfile
from dataclasses import dataclass

from mothlight import weights

DOMAINS = {
    "tweets": "tweets",
    "movies": "movieReviewSnippets",
    "amazon": "amazonReviewSnippets",
    "nyt": "nytEditorialSnippets",
}
NEAR_NEUTRAL = 0.5  # people disagree on the sign of what they rate so: left out of every accuracy
_SEED = 0


@dataclass(frozen=True)
class Rated:
    """A text and the mean of its ratings."""

    text: str
    rating: float  # -4..+4
    domain: str
    document: str
    split: str  # train, validation, test

    @property
    def judged(self) -> bool:
        """Whether people agree on its sign well enough for an accuracy."""
        return abs(self.rating) > NEAR_NEUTRAL


def rated() -> list[Rated]:
    """All texts: 20 % of the documents for the test, 10 % for validation, the rest to train.

    A document (a review, an editorial; for tweets and films, which name none, the text itself) lies
    in one split as a whole; a text that stands twice is kept once, and not to train on if it can be
    held out.
    """
    inner = io.BytesIO(_member("additional_resources/hutto_ICWSM_2014.tar.gz"))
    with tarfile.open(fileobj=inner) as archive:
        found = [
            item
            for domain, file in DOMAINS.items()
            for item in _read(archive, f"hutto_ICWSM_2014/{file}_GroundTruth.txt", domain)
        ]
    kept: dict[str, Rated] = {}
    rank = {"test": 0, "validation": 1, "train": 2}
    for item in sorted(found, key=lambda item: rank[item.split]):  # a duplicate leaves training
        kept.setdefault(item.text.casefold(), item)
    return list(kept.values())


def held_out() -> list[tuple[str, bool]]:
    """The test split without the near-neutral: texts the shipped model never saw, and whether each
    is positive. Fetches the data set (2.5 MB) when it is not in the cache."""
    return [(r.text, r.rating > 0) for r in rated() if r.split == "test" and r.judged]


def lexicon() -> dict[str, float]:
    """Words and emoticons with their valence, -4..+4: VADER's lexicon, of the same archive."""
    words: dict[str, float] = {}
    for line in _member("vaderSentiment/vader_lexicon.txt").decode("utf-8").splitlines():
        word, rating, *_ = line.split("\t")
        words[word] = float(rating)
    return words


def _member(name: str) -> bytes:
    with tarfile.open(weights.get("rated-reviews")) as archive:
        file = archive.extractfile(f"vaderSentiment-3.3.2/{name}")
        assert file is not None
        return file.read()


def _read(archive: tarfile.TarFile, name: str, domain: str) -> list[Rated]:
    file = archive.extractfile(name)
    assert file is not None
    items = []
    for line in io.TextIOWrapper(file, "utf-8"):
        identity, rating, text = line.rstrip("\r\n").split("\t", 2)
        document = identity.split("_")[0]
        split = _split(domain, document)
        items.append(Rated(html.unescape(text), float(rating), domain, document, split))
    return items


def _split(domain: str, document: str) -> str:
    digest = hashlib.sha256(f"{_SEED}/{domain}/{document}".encode()).digest()
    place = int.from_bytes(digest[:8]) / 2**64
    return "test" if place < 0.2 else "validation" if place < 0.3 else "train"
