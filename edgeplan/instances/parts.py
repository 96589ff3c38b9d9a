"""What an instance file may say: one pydantic model per part.

The models hold what a file says, converted to SI floats; `edgeplan.instances.read` makes a
problem of them. The texts below the fields are the descriptions in the published schema.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from edgeplan.instances.quantities import (
    BandwidthLimit,
    Bytes,
    BytesLimit,
    BytesRow,
    Dollars,
    DollarsPerByte,
    DollarsPerHour,
    DollarsPerHourLimit,
    DollarsPerJoule,
    DollarsPerRequest,
    DollarsPerSecond,
    DollarsRow,
    Joules,
    JoulesPerByte,
    JoulesRow,
    Name,
    Names,
    NumbersRow,
    Rate,
    Seconds,
    SecondsLimit,
    Share,
    TimesRow,
    Watts,
    WattsLimit,
)

TAGS = frozenset(
    {
        *("<times>", "<spans>", "<mapping>", "<list>", "<profiles>", "<inline>"),
        *("<number>", "<range>", "<mean>", "<statistics>"),
    }
)
"""Parts of pydantic's locations that name a form, not a place in the file."""


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


PERCENTILE = r"p([0-9]{1,2}(?:\.[0-9]{1,400})?)"
"""How a file names a percentile; every float has a name."""


def probability_of(statistic: str) -> float | None:
    """Return the probability of a percentile's name, ``None`` of any other text.

    Examples
    --------
    >>> probability_of("p99.9"), probability_of("mean"), probability_of("p0")
    (0.999, None, None)
    """
    match = re.fullmatch(PERCENTILE, statistic)
    probability = 0.0 if match is None else float(Fraction(match[1]) / 100)
    return probability if 0 < probability < 1 else None


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
    name: str = ""
    """For people; absent: that of the file, or of its folder where the file is `instance.yaml`."""
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
