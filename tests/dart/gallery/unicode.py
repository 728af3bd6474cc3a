"""Names and texts in many scripts."""
# ruff: noqa: PLC2401

import enum
from typing import Literal

from pydantic import BaseModel, Field

from mothlight import method, service


class Größe(BaseModel):
    """Wie groß etwas ist: 身長 и вес 🦋."""

    höhe: float = Field(description="in Metern, z. B. 1,80 — 「高さ」")
    名前: str = "山田"
    ñandú: Literal["sí", "no", "日本"] = "sí"
    emoji: str = Field("🦋", alias="🦋")
    dash: int = Field(0, alias="a-b c.d")
    digit: int = Field(0, alias="2nd")
    dollar: str = Field("$x", alias="$ref")
    quote: str = Field("'", alias='it\'s "q" \\ \n')


class Farbe(enum.Enum):
    GRÜN = "grün"
    赤 = "赤"
    ROT = "röt"


@service(name="Übersetzer")
class Translator:
    """Übersetzt, переводит, 翻訳する."""

    @method
    def übersetze(self, größe: Größe) -> Größe:
        """Übersetzt „nichts“."""
        return größe

    @method
    def 色(self, farbe: Farbe = Farbe.GRÜN) -> Farbe:
        """Die Farbe."""
        return farbe
