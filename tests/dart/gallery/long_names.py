"""Names that fill a line of eighty columns, alone and together."""

from __future__ import annotations

from pydantic import BaseModel

from mothlight import method, service


class MeasurementOfTheSurroundingTemperature(BaseModel):
    degrees: float


class MeasurementOfTheSurroundingTemperatureEveryMinute(BaseModel):
    measurements_of_the_surrounding_temperature: list[MeasurementOfTheSurroundingTemperature]


@service
class Weather:
    @method
    def correct(
        self, m: MeasurementOfTheSurroundingTemperature
    ) -> MeasurementOfTheSurroundingTemperature:
        return m

    @method
    def summarize(self, m: MeasurementOfTheSurroundingTemperatureEveryMinute) -> float:
        return sum(each.degrees for each in m.measurements_of_the_surrounding_temperature)

    @method
    def sort_by_the_name_of_the_place_and_the_time(
        self, m: MeasurementOfTheSurroundingTemperatureEveryMinute
    ) -> dict[str, list[MeasurementOfTheSurroundingTemperature]]:
        return {"here": m.measurements_of_the_surrounding_temperature}
