"""Values of an instance file as pydantic validates them: quantities with units, rows, shares."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic.annotated_handlers import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from edgeplan.instances import units
from edgeplan.instances.units import UNLIMITED, Dimension, UnitError


@dataclass(frozen=True)
class Quantity:
    """Marks a float field that a file writes as text with a unit.

    Parameters
    ----------
    dimension
        What is measured.
    limit
        Whether ``unlimited`` is allowed.
    null
        Whether null is too, meaning the same.
    whole
        Whether the value is a whole number of the base unit (bytes).
    """

    dimension: Dimension
    limit: bool = False
    null: bool = False
    whole: bool = False

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Validate by the units table."""
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the text."""
        return self.described()

    def parse(self, value: object) -> float | int:
        """Return the value in the base unit."""
        if value is None and self.null:
            return math.inf
        number = self.dimension.parse(value, limit=self.limit)
        if not self.whole:
            return number
        if not number.is_integer():
            raise UnitError(f"must be a whole number of {self.dimension.base}")
        return int(number)

    def described(self) -> dict[str, object]:
        """Return the JSON Schema of the text."""
        pattern = rf"^\s*{units.NUMBER}\s*\S.*$"
        if self.limit:
            pattern = rf"^\s*({UNLIMITED}|{units.NUMBER}\s*\S.*?)\s*$"
        name = next(key for key, value in units.DIMENSIONS.items() if value is self.dimension)
        return {
            "type": ["string", "null"] if self.null else "string",
            "pattern": pattern,
            "examples": [self.dimension.example, *([UNLIMITED] if self.limit else [])],
            "x-dimension": name,
        }


@dataclass(frozen=True)
class Row:
    """Marks a list field that a file may also write as one text: ``5 8 unlimited 12 ms``."""

    quantity: Quantity

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Split the text, then validate each quantity."""
        items = core_schema.list_schema(
            core_schema.no_info_plain_validator_function(self.quantity.parse), strict=True
        )
        return core_schema.no_info_before_validator_function(self.split, items)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe both forms."""
        unit = self.quantity.dimension.example.split(maxsplit=1)[1]
        return {
            "anyOf": [
                {"type": "string", "examples": [f"5 8 12 {unit}"]},
                {"type": "array", "items": self.quantity.described()},
            ]
        }

    def split(self, value: object) -> object:
        """Return a list of texts where one text was given."""
        if isinstance(value, str):
            return units.split_row(value, self.quantity.dimension)
        return value


def _share(value: object) -> object:
    """Accept ``95 %`` beside 0.95."""
    if isinstance(value, str):
        number, sign, rest = value.partition("%")
        try:
            if sign and not rest.strip():
                return float(number) / 100
        except ValueError:
            pass
        raise UnitError(f"'{units.cut(value)}' is not a share; write it like 0.95 or '95 %'")
    return value


def _numbers(value: object) -> object:
    """Accept a row of numbers as one text, like the rows with units."""
    if isinstance(value, str):
        words = value.split()
        if not words or not all(re.fullmatch(units.NUMBER, word) for word in words):
            raise UnitError(f"'{units.cut(value)}' is no row of numbers like '0.1 0.02'")
        return [float(word) for word in words]
    return value


def _names(value: object) -> object:
    """Accept one name in place of a list of one."""
    return [value] if isinstance(value, str) else value


Seconds = Annotated[float, Quantity(units.TIME)]
SecondsLimit = Annotated[float, Quantity(units.TIME, limit=True)]
Bytes = Annotated[int, Quantity(units.DATA, whole=True)]
BytesLimit = Annotated[float, Quantity(units.DATA, limit=True)]
BandwidthLimit = Annotated[float, Quantity(units.BANDWIDTH, limit=True)]
Watts = Annotated[float, Quantity(units.POWER)]
WattsLimit = Annotated[float, Quantity(units.POWER, limit=True)]
Joules = Annotated[float, Quantity(units.ENERGY)]
Dollars = Annotated[float, Quantity(units.MONEY)]
Rate = Annotated[float, Quantity(units.RATE)]
JoulesPerByte = Annotated[float, Quantity(units.ENERGY_PER_BYTE)]
DollarsPerByte = Annotated[float, Quantity(units.PRICE_PER_BYTE)]
DollarsPerHour = Annotated[float, Quantity(units.PRICE_PER_HOUR)]
DollarsPerHourLimit = Annotated[float, Quantity(units.PRICE_PER_HOUR, limit=True)]
DollarsPerSecond = Annotated[float, Quantity(units.PRICE_PER_SECOND)]
DollarsPerJoule = Annotated[float, Quantity(units.PRICE_PER_JOULE)]
DollarsPerRequest = Annotated[float, Quantity(units.PRICE_PER_REQUEST)]
TimesRow = Annotated[list[float], Row(Quantity(units.TIME, limit=True, null=True))]
JoulesRow = Annotated[list[float], Row(Quantity(units.ENERGY))]
DollarsRow = Annotated[list[float], Row(Quantity(units.MONEY))]
BytesRow = Annotated[list[int], Row(Quantity(units.DATA, whole=True))]
Share = Annotated[
    float,
    BeforeValidator(_share, json_schema_input_type=float | str),
]
NumbersRow = Annotated[
    list[float], BeforeValidator(_numbers, json_schema_input_type=list[float] | str)
]
Name = Annotated[str, Field(min_length=1)]
Names = Annotated[list[str], BeforeValidator(_names, json_schema_input_type=list[str] | str)]
