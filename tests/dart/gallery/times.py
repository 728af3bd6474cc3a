"""Times: with and without an offset, days, clocks, durations."""

import datetime

from pydantic import BaseModel

from mothlight import Code, Error, method, service


class Appointment(BaseModel):
    """Something that happens."""

    begin: datetime.datetime
    end: datetime.datetime | None = None
    day: datetime.date
    clock: datetime.time = datetime.time(9, 30)
    length: datetime.timedelta = datetime.timedelta(minutes=90)
    reminders: list[datetime.timedelta] = []
    history: dict[str, datetime.datetime] = {}
    holidays: list[datetime.date | None] = []


class Taken(Error):
    "taken until {until}"

    code = Code.ALREADY_EXISTS
    until: datetime.datetime
    wait: datetime.timedelta | None = None


@service
class Calendar:
    """Makes appointments."""

    @method(raises=[Taken])
    def book(self, appointment: Appointment) -> Appointment:
        """Books."""
        return appointment

    @method(http="GET /calendar/free")
    def free(self, day: datetime.date) -> list[datetime.datetime]:
        """When there is time on a day."""
        return [datetime.datetime.combine(day, datetime.time(9), datetime.UTC)]

    @method
    def shift(self, by: datetime.timedelta = datetime.timedelta(days=1)) -> datetime.timedelta:
        """Shifts all."""
        return by
