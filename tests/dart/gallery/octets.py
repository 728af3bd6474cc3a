"""Bytes, decimals and UUIDs, in every place."""

import decimal
import uuid
from typing import Annotated

from pydantic import BaseModel, Field

from mothlight import method, service


class Parcel(BaseModel):
    """Something that is sent."""

    id: uuid.UUID
    data: bytes
    label: bytes | None = None
    parts: list[bytes] = []
    sums: dict[str, bytes] = {}
    price: Annotated[decimal.Decimal, Field(ge=0)] = decimal.Decimal("0.10")
    others: list[uuid.UUID] = []


@service
class Post:
    """Sends parcels."""

    @method
    def send(self, parcel: Parcel) -> uuid.UUID:
        """Sends a parcel."""
        return parcel.id

    @method
    def digest(self, data: bytes) -> bytes:
        """Bytes as the message and as the answer."""
        return data[:8]

    @method
    def price(self, id: uuid.UUID) -> decimal.Decimal:
        """What it costs."""
        return decimal.Decimal(id.int % 100) / 100
