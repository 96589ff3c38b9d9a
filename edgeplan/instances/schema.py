"""What an instance file may say: one pydantic model per part, and the published JSON Schemas.

The models hold what a file says, converted to SI floats; `edgeplan.instances.read` makes a
problem of them. The texts below the fields are the descriptions in the published schema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic.annotated_handlers import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from edgeplan.instances import units
from edgeplan.instances.codec import json_schema
from edgeplan.instances.units import UNLIMITED, Dimension, UnitError
from edgeplan.model.certificate import Claim
from edgeplan.model.errors import InputError
from edgeplan.model.plan import Plan
from edgeplan.model.profile import Profile

INSTANCE_FORMAT = "edgeplan-instance"
PROFILE_FORMAT = "edgeplan-profile"
PLAN_FORMAT = "edgeplan-plan"
VERSION = 1
DRAFT = "https://json-schema.org/draft/2020-12/schema"
KINDS = ("instance", "profile", "plan")
TAGS = frozenset(
    {
        *("<times>", "<spans>", "<mapping>", "<list>", "<profiles>", "<inline>"),
        *("<number>", "<range>", "<mean>", "<statistics>"),
    }
)
"""Parts of pydantic's locations that name a form, not a place in the file."""


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


class Part(BaseModel):
    """Base of all parts: unknown keys are errors, nothing is converted silently."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class LayerPart(Part):
    """A layer of an inline network."""

    name: str
    """Unique in the network."""
    weights: Bytes = 0
    """Resident bytes of its weights, stored once on a device however many streams use it."""
    activations: Bytes = 0
    """Largest sum of live tensors while it runs."""


class TensorPart(Part):
    """A tensor of an inline network."""

    name: str
    """Unique in the network."""
    size: Bytes
    """Bytes on the wire."""
    producer: str | None = None
    """Name of the layer that makes it; absent for a graph input."""
    consumers: Names = []
    """Names of the layers that read it."""
    output: bool = False
    """Whether it is a graph output, to be returned to the origin."""
    transfer_time: Seconds | None = None
    """Time to move it over any link, where known; replaces size ÷ bandwidth."""


class LayerJobPart(Part):
    """Costs of one job in the form of layer times plus one boundary cost per stage."""

    times: TimesRow
    """Mean time of each layer in order; null or unlimited where the device cannot run it."""
    boundary: Seconds = 0.0
    """Added once per stage."""
    cv2: float = 0.0
    """Squared coefficient of variation of a stage's time."""
    energies: JoulesRow | None = None
    """Energy of each layer; replaces power × time."""
    prices: DollarsRow | None = None
    """Money for each layer; replaces price × time."""


BATCH_SIZE = r"[1-9][0-9]{0,8}"
"""How a file writes the size of a batch, a key."""


class LayerCostsPart(LayerJobPart):
    """Costs in the form of layer times plus one boundary cost per stage."""

    memory: BytesRow | None = None
    """Memory of each layer's weights on this device; replaces the layers' weights."""
    batches: Annotated[
        dict[str, LayerJobPart],
        Field(json_schema_extra={"propertyNames": {"pattern": f"^{BATCH_SIZE}$"}}),
    ] = {}
    """By batch size (2 or more): times of one job that serves so many requests at once."""


class SpanJobPart(Part):
    """Costs of one job in the form of a table of span times."""

    spans: list[TimesRow]
    """Mean times; row i, entry k is the span of layers i to i + k; null or unlimited: cannot."""
    cv2: list[NumbersRow] = []
    """Squared coefficients of variation in the same shape."""
    energies: list[JoulesRow] | None = None
    """Energies in the same shape; replace power × time."""
    prices: list[DollarsRow] | None = None
    """Money in the same shape; replaces price × time."""


class SpanCostsPart(SpanJobPart):
    """Costs in the form of a table of span times: row i has the spans that begin at layer i."""

    memory: BytesRow | None = None
    """Memory of each layer's weights on this device; replaces the layers' weights."""
    batches: Annotated[
        dict[str, SpanJobPart],
        Field(json_schema_extra={"propertyNames": {"pattern": f"^{BATCH_SIZE}$"}}),
    ] = {}
    """By batch size (2 or more): times of one job that serves so many requests at once."""


def _cost_form(value: object) -> str:
    spans = "spans" in value if isinstance(value, dict) else isinstance(value, SpanCostsPart)
    return "<spans>" if spans else "<times>"


CostsPart = Annotated[
    Annotated[LayerCostsPart, Tag("<times>")] | Annotated[SpanCostsPart, Tag("<spans>")],
    Discriminator(_cost_form),
]


class ProfileUse(Part):
    """One profile file that serves one or several devices."""

    file: Name
    """Path of the profile, relative to the instance file."""
    devices: Names = []
    """The devices it holds for; absent: the device that the profile itself names."""


def _profiles_form(value: object) -> str:
    return "<list>" if isinstance(value, list) else "<mapping>"


class ProfiledNetwork(Part):
    """A network whose structure and costs come from profiles."""

    profiles: Annotated[
        Annotated[dict[str, Name], Tag("<mapping>")] | Annotated[list[ProfileUse], Tag("<list>")],
        Discriminator(_profiles_form),
    ]
    """Profile file by device name, or a list of files, each with the devices it serves."""
    onnx: Name | None = None
    """Path of the ONNX file, relative to the instance file: needed to run a plan."""


class InlineNetwork(Part):
    """A network written out."""

    layers: list[LayerPart]
    """In their order of execution."""
    tensors: list[TensorPart]
    """Everything that crosses between layers, plus graph inputs and outputs."""
    costs: dict[str, CostsPart] = {}
    """By device name; a device that is absent cannot run the network."""
    onnx: Name | None = None
    """Path of the ONNX file, relative to the instance file: needed to run a plan."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Hash of the ONNX file's bytes and external data."""
    shapes: dict[str, list[Annotated[int, Field(ge=0)]]] = {}
    """Pinned shapes of the graph inputs by name."""


def _network_form(value: object) -> str:
    there = "profiles" in value if isinstance(value, dict) else isinstance(value, ProfiledNetwork)
    return "<profiles>" if there else "<inline>"


NetworkPart = Annotated[
    Annotated[ProfiledNetwork, Tag("<profiles>")] | Annotated[InlineNetwork, Tag("<inline>")],
    Discriminator(_network_form),
]


class ReplicasPart(Part):
    """A number of copies that the plan chooses."""

    fewest: int = Field(default=1, alias="min")
    """The fewest while the device is on."""
    most: int = Field(alias="max")
    """The most."""


def _replicas_form(value: object) -> str:
    return "<range>" if isinstance(value, dict | ReplicasPart) else "<number>"


class DevicePart(Part):
    """A machine that runs layers."""

    catalog: Name | None = None
    """Catalogue entry that gives what is not stated here (see `edgeplan catalog`)."""
    tier: str = "device"
    """Free text, such as device, edge or cloud; baselines look for cloud."""
    zone: str = "default"
    """Trust zone, named by privacy rules."""
    memory: BytesLimit = math.inf
    """For weights and activations, per replica."""
    active_power: Watts = 0.0
    """While computing."""
    idle_power: Watts = 0.0
    """While on but idle."""
    charge_idle: bool = False
    """Whether idle power is charged all the time while the device is on."""
    serverless_price: DollarsPerSecond = 0.0
    """Price of busy time."""
    provisioned_price: DollarsPerHour = 0.0
    """Price of each replica while the device is on."""
    request_fee: DollarsPerRequest = 0.0
    """Fee for each stage served."""
    electricity_price: DollarsPerJoule = 0.0
    """Price of the energy drawn here."""
    replicas: Annotated[
        Annotated[int, Tag("<number>")] | Annotated[ReplicasPart, Tag("<range>")],
        Discriminator(_replicas_form),
    ] = 1
    """Identical copies among which requests are dealt: a number, or {min: 1, max: 8} for the plan
    to choose."""
    dispatch: Literal["random", "shared"] = "random"
    """How requests are dealt to copies. random: to each with the same probability; shared: one
    queue, and the next free copy takes the next request."""
    utilisation_cap: Share = 0.95
    """Largest share of time that a replica may be busy, below 1."""
    power_budget: WattsLimit = math.inf
    """Largest mean power; a battery of E that must last T is E / T."""
    transfers: Literal["links", "occupy", "free_port"] = "links"
    """What transfers keep busy. links: the links; occupy: the device as well; free_port: neither
    the device nor the links at it."""


class LinkPart(Part):
    """A directed connection between two devices."""

    source: Name = Field(alias="from")
    """Device that sends."""
    target: Name = Field(alias="to")
    """Device that receives."""
    both: bool = False
    """Whether the same holds in the other direction too."""
    catalog: Name | None = None
    """Catalogue entry that gives what is not stated here (see `edgeplan catalog`)."""
    bandwidth: BandwidthLimit = math.inf
    """Required here or in the catalogue entry; unlimited for transfers that take no time."""
    latency: Seconds = 0.0
    """One-way delay, charged once per crossing."""
    send_energy: JoulesPerByte = 0.0
    """Energy at the sender."""
    receive_energy: JoulesPerByte = 0.0
    """Energy at the receiver."""
    price: DollarsPerByte = 0.0
    """Price of traffic."""
    utilisation_cap: Share = 0.95
    """Largest share of time that the link may be busy, below 1."""
    contention: Literal["shared", "none"] = "shared"
    """Whether requests load the link."""


class PrivacyPart(Part):
    """Tensors that must never enter a device outside the named zones."""

    zones: Names
    """Zones that may hold them."""
    before: str | None = None
    """Layer name: graph inputs and every tensor made before it are meant; absent: inputs only."""


class RulePart(Part):
    """Layers and devices of a pin or a ban."""

    devices: Names
    """Device names."""
    layers: Names | None = None
    """Layer names; absent: all layers."""


PERCENTILE = r"p([0-9]+(?:\.[0-9]+)?)"
"""How a file names a percentile."""


def _deadline_form(value: object) -> str:
    return "<statistics>" if isinstance(value, dict) else "<mean>"


class StreamPart(Part):
    """A class of requests."""

    network: Name
    """Name of the network that each request runs."""
    origin: Name
    """Device where requests arise and to which results return."""
    rate: Rate = 1.0
    """Requests per unit of time."""
    arrival_cv2: float = 1.0
    """Squared coefficient of variation of the time from one request to the next: 1 for
    independent requests, more for bursts, 0 for a clock."""
    deadline: Annotated[
        Annotated[SecondsLimit, Tag("<mean>")]
        | Annotated[
            dict[str, SecondsLimit],
            Tag("<statistics>"),
            Field(json_schema_extra={"propertyNames": {"pattern": f"^(mean|{PERCENTILE})$"}}),
        ],
        Discriminator(_deadline_form),
    ] = math.inf
    """Limit on the mean latency; or limits by statistic, {mean: 80 ms, p95: 120 ms}, where
    percentiles need waiting."""
    privacy: PrivacyPart | None = None
    """Tensors that must stay in zones."""
    pins: list[RulePart] = []
    """Layers that must run on one of some devices."""
    bans: list[RulePart] = []
    """Layers that must not run on some devices."""
    together: list[Names] = []
    """Groups of layer names: the layers of a group share a device."""
    homes: dict[str, Name] = {}
    """Devices where graph inputs lie, by tensor name; the origin where absent."""
    returns: bool = True
    """Whether graph outputs go back to the origin."""
    waits: bool = False
    """Whether the origin stays on, idle, until the answer is there."""
    splittable: bool = False
    """Whether requests may be dealt over several routes by fraction."""
    max_routes: int = 2
    """Largest number of routes where splittable."""
    batch: int = 1
    """Largest number of requests that may be gathered and served as one job, where the costs have
    such batches."""


class DenominatorsPart(Part):
    """Scales by which latency, energy, cost and period are divided before they are weighted."""

    latency: Seconds = 1.0
    """Scale of latency."""
    energy: Joules = 1.0
    """Scale of energy."""
    cost: Dollars = 1.0
    """Scale of money."""
    throughput: Seconds = 1.0
    """Scale of the period."""


class ObjectivePart(Part):
    """What is minimised: Σ weight × value ÷ denominator. A weight that is absent is 0."""

    latency: float | None = None
    """Weight: price per second (of its denominator)."""
    energy: float | None = None
    """Weight: price per joule."""
    cost: float | None = None
    """Weight: price per dollar."""
    throughput: float | None = None
    """Weight: price per second of the period (seconds per average request of the most loaded
    resource: the inverse of the throughput)."""
    denominators: DenominatorsPart = DenominatorsPart()
    """Stored scales; absent: one second, joule, dollar and second."""
    aggregate: Literal["mean", "total"] = "mean"
    """mean: per request, weighted by rate. total: summed over streams."""


class BudgetsPart(Part):
    """Limits over all streams together."""

    power: WattsLimit = math.inf
    """Mean power of all devices and links."""
    money: DollarsPerHourLimit = math.inf
    """Mean spending."""
    min_rate: Rate = 0.0
    """Requests of all streams per unit of time that the most loaded resource must carry."""


class InstanceFile(Part):
    """An instance: networks, devices, links, streams and objective of a placement problem."""

    format: Literal["edgeplan-instance"]
    """Says what the file is."""
    version: Literal[1]
    """Version of the format."""
    name: str = "problem"
    """For people."""
    networks: dict[str, NetworkPart]
    """By name; the name is the network's identity."""
    devices: dict[str, DevicePart]
    """By name (or a list of items with `name`)."""
    links: list[LinkPart] = []
    """Directed connections."""
    streams: dict[str, StreamPart]
    """By name (or a list of items with `name`)."""
    objective: ObjectivePart = ObjectivePart()
    """What is minimised; absent: mean latency."""
    budgets: BudgetsPart = BudgetsPart()
    """Overall limits."""
    capacity: Literal["none", "utilisation"] = "utilisation"
    """Whether devices and shared links may not be busier than their caps."""
    waiting: Literal["none", "mg1"] = "none"
    """Whether requests queue at devices and shared links (mg1) or not (none)."""
    contiguous: bool = False
    """Whether the devices of a route can be ordered so that every tensor moves forward."""


def schema(kind: str) -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of a kind of file.

    Parameters
    ----------
    kind
        ``instance``, ``profile`` or ``plan``.

    Returns
    -------
    dict
        With descriptions and examples, ready for JSON.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if kind == "instance":
        return _instance_schema()
    if kind == "profile":
        return _with_header(json_schema(Profile), PROFILE_FORMAT, "Profile of a network", {})
    if kind == "plan":
        claim = json_schema(Claim)
        body, definitions = json_schema(Plan), claim.pop("$defs")
        assert isinstance(definitions, dict)
        body["$defs"] = {**cast("dict[str, object]", body.get("$defs", {})), **definitions}
        properties = claim["properties"]
        assert isinstance(properties, dict)
        properties["multipliers"] = {
            "type": "object",
            "description": "Prices of limits that the bound can be recomputed from.",
        }
        extras = {**_PLAN_EXTRAS, "claim": claim}
        return _with_header(body, PLAN_FORMAT, "Plan of an instance", extras)
    raise InputError.at("kind", f"there is no '{units.cut(kind)}'; choose {', '.join(KINDS)}")


_PLAN_EXTRAS: Mapping[str, object] = {
    "problem": {
        "type": "object",
        "description": "The problem that the plan was made for.",
        "properties": {
            "name": {"type": "string"},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        },
        "required": ["name", "fingerprint"],
        "additionalProperties": False,
    },
    "about": {
        "type": "object",
        "description": "For people: how the plan was found and what it was priced at.",
    },
}


def _with_header(
    body: dict[str, object], name: str, title: str, extras: Mapping[str, object]
) -> dict[str, object]:
    properties = body["properties"]
    required = body["required"]
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    header = {
        "format": {"const": name, "description": "Says what the file is."},
        "version": {"const": VERSION, "description": "Version of the format."},
    }
    return {
        "$schema": DRAFT,
        "title": title,
        **body,
        "properties": {**header, **properties, **extras},
        "required": [*header, *required],
    }


def _instance_schema() -> dict[str, object]:
    tree = InstanceFile.model_json_schema(by_alias=True)
    _tidy(tree)
    definitions = tree["$defs"]
    for key in ("devices", "streams"):
        entry = tree["properties"][key]
        item = entry.pop("additionalProperties")["$ref"]
        entry.pop("type")
        named = f"Named{item.rsplit('/', 1)[1]}"
        part = definitions[item.rsplit("/", 1)[1]]
        definitions[named] = {
            **part,
            "properties": {"name": {"type": "string", "minLength": 1}, **part["properties"]},
            "required": ["name", *part.get("required", [])],
        }
        entry["anyOf"] = [
            {"type": "object", "additionalProperties": {"$ref": item}},
            {"type": "array", "items": {"$ref": f"#/$defs/{named}"}},
        ]
    return {"$schema": DRAFT, **tree}


def _tidy(tree: object) -> None:
    """Write defaults as files do, and drop titles that only repeat the key."""
    if isinstance(tree, list):
        for item in tree:
            _tidy(item)
    if not isinstance(tree, dict):
        return
    if isinstance(tree.get("title"), str) and tree.keys() & {"type", "anyOf", "oneOf", "$ref"}:
        tree.pop("title")
    default = tree.get("default")
    forms = (tree, *tree.get("anyOf", ()), *tree.get("oneOf", ()))
    dimension = units.DIMENSIONS.get(
        next((f["x-dimension"] for f in forms if "x-dimension" in f), "")
    )
    if dimension is not None and isinstance(default, int | float):
        tree["default"] = dimension.format(default)
    elif default is None or isinstance(default, dict):
        tree.pop("default", None)
    # pydantic writes a union that was told apart by a function as oneOf; that holds here too.
    for key, item in list(tree.items()):
        if key == "properties" and isinstance(item, dict):
            for inner in item.values():
                _tidy(inner)
        elif key != "default":
            _tidy(item)
