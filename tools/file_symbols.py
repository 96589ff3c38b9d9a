"""Data in the equations and the keys of the instance file that they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edgeplan.instances.schema import schema

PATHS = {
    "BudgetsPart": "budgets.",
    "DevicePart": "devices.*.",
    "InstanceFile": "",
    "LayerCostsPart": "networks.*.costs.*.",
    "LayerPart": "networks.*.layers[].",
    "LinkPart": "links[].",
    "ObjectivePart": "objective.",
    "SpanCostsPart": "networks.*.costs.*.",
    "StreamPart": "streams.*.",
    "TensorPart": "networks.*.tensors[].",
}


@dataclass(frozen=True)
class Symbol:
    """A symbol of the equations that the file determines.

    Parameters
    ----------
    sign
        As the page shows it, in LaTeX.
    words
        What it is, with its unit.
    keys
        Where it comes from: ``PART.KEY`` of the schema, ``InstanceFile.KEY`` at the top.
    pattern
        A regular expression of its occurrences in an equation's LaTeX.
    only, never
        The equations that it occurs in, or not: elsewhere the same letters are something else.
    """

    sign: str
    words: str
    keys: tuple[str, ...]
    pattern: str
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def occurs(self, equation: str, mathematics: str) -> bool:
        """Return whether it is in an equation, given by its name and its LaTeX."""
        if equation in self.never or (self.only and equation not in self.only):
            return False
        return re.search(self.pattern, mathematics) is not None


SCALES = "ObjectivePart.denominators"
RATE = Symbol(r"\lambda_s", "requests per second of a stream", ("StreamPart.rate",), r"\\lambda")
ALL_RATES = Symbol(
    r"\Lambda", "requests per second of all streams", ("StreamPart.rate",), r"\\Lambda(?!_)"
)
WEIGHT = Symbol(
    r"\omega_s",
    "weight of a stream in the objective",
    ("ObjectivePart.aggregate", "StreamPart.rate"),
    r"\\omega",
)
COPIES = Symbol("c_d", "replicas of a device", ("DevicePart.replicas",), r"\bc_d")
IDLE = Symbol(
    r"\iota_d",
    "watts of a replica that is on; 0 where idling is not charged",
    ("DevicePart.idle_power", "DevicePart.charge_idle"),
    r"\\iota",
    never=("drawn",),
)
RENT = Symbol(
    r"\eta_d", "dollars per second of a replica", ("DevicePart.provisioned_price",), r"\\eta_"
)
ELECTRICITY = Symbol(
    r"\epsilon_d", "dollars per joule", ("DevicePart.electricity_price",), r"\\epsilon"
)
ORIGIN = Symbol("o(s)", "the device where requests arise", ("StreamPart.origin",), r"\bo\(")
MEMORY = Symbol("M_d", "bytes of memory of a device", ("DevicePart.memory",), r"\bM_d")
PERIOD_PRICE = Symbol("p_T", "price of the period", ("ObjectivePart.throughput", SCALES), r"\bp_T")
ENERGY_PRICE = Symbol("p_E", "price of a joule", ("ObjectivePart.energy", SCALES), r"\bp_E")
MONEY_PRICE = Symbol("p_C", "price of a dollar", ("ObjectivePart.cost", SCALES), r"\bp_C")
TIMES = ("LayerCostsPart.times", "SpanCostsPart.spans")

PROGRAM = (
    RATE,
    ALL_RATES,
    WEIGHT,
    Symbol("p_L", "price of a second of latency", ("ObjectivePart.latency", SCALES), r"\bp_L"),
    ENERGY_PRICE,
    MONEY_PRICE,
    PERIOD_PRICE,
    Symbol(
        r"\tau_{l,d}, \tau_{i,j,d}",
        "seconds of a layer, or of the span of layers i … j−1",
        TIMES,
        r"\\tau",
    ),
    Symbol(r"\beta_d", "seconds added for each stage", ("LayerCostsPart.boundary",), r"\\beta"),
    Symbol(
        "e_{l,d}",
        "joules of a layer (or span): as stated, or watts × time",
        ("LayerCostsPart.energies", "SpanCostsPart.energies", "DevicePart.active_power"),
        r"\be_\{l,d",
    ),
    Symbol(
        "m_{n,l,d}",
        "bytes of a layer's weights",
        ("LayerPart.weights", "LayerCostsPart.memory", "SpanCostsPart.memory"),
        r"\bm_\{n,l",
    ),
    Symbol(r"\alpha_l", "bytes of peak activation", ("LayerPart.activations",), r"\\alpha"),
    Symbol(r"\text{bytes}_t", "bytes of a tensor", ("TensorPart.size",), r"\\text\{bytes\}_t"),
    Symbol(
        r"\theta_{t,a,b}",
        "seconds that a tensor takes over a link",
        ("TensorPart.transfer_time", "TensorPart.size", "LinkPart.bandwidth"),
        r"\\theta",
    ),
    Symbol("p(t)", "the layer that makes a tensor", ("TensorPart.producer",), r"\bp\("),
    Symbol("h(t)", "where a graph input lies", ("StreamPart.homes",), r"\bh\("),
    ORIGIN,
    Symbol("D_s", "seconds of the deadline on the mean", ("StreamPart.deadline",), r"\bD_s"),
    COPIES,
    IDLE,
    Symbol(
        r"\iota_d",
        "watts of the origin while it waits",
        ("DevicePart.idle_power", "StreamPart.waits"),
        r"\\iota",
        only=("drawn",),
    ),
    RENT,
    ELECTRICITY,
    Symbol(r"\pi_d", "dollars per busy second", ("DevicePart.serverless_price",), r"\\pi_"),
    Symbol(r"\kappa_d", "dollars per stage served", ("DevicePart.request_fee",), r"\\kappa"),
    MEMORY,
    Symbol(
        r"\bar\rho_d",
        "largest busy share of a device",
        ("DevicePart.utilisation_cap", "InstanceFile.capacity"),
        r"\\bar\\rho_d",
    ),
    Symbol(
        "P_d",
        "watts that a device may draw on average",
        ("DevicePart.power_budget",),
        r"\bP_d",
    ),
    Symbol(r"\ell_{a,b}", "seconds of delay of a link, one way", ("LinkPart.latency",), r"\\ell"),
    Symbol("B_{a,b}", "bytes per second of a link", ("LinkPart.bandwidth",), r"\bB_"),
    Symbol(r"\sigma_{a,b}", "joules per byte at the sender", ("LinkPart.send_energy",), r"\\sigma"),
    Symbol(
        r"\rho_{a,b}",
        "joules per byte at the receiver",
        ("LinkPart.receive_energy",),
        r"(?<!bar)\\rho",
    ),
    Symbol(r"\gamma_{a,b}", "dollars per byte", ("LinkPart.price",), r"\\gamma"),
    Symbol(
        r"\bar\rho_{a,b}",
        "largest busy share of a link",
        ("LinkPart.utilisation_cap", "InstanceFile.capacity"),
        r"\\bar\\rho_\{a",
    ),
    Symbol("P", "watts of all devices together", ("BudgetsPart.power",), r"\bP\b", only=("power",)),
    Symbol("K", "dollars per second that may be spent", ("BudgetsPart.money",), r"\bK\b"),
    Symbol(
        r"\Lambda_{\min}",
        "requests per second to be carried",
        ("BudgetsPart.min_rate",),
        r"\\Lambda_\{\\min\}",
    ),
)
"""Data of the program without queues."""

LOAD = (
    RATE,
    ALL_RATES,
    WEIGHT,
    Symbol(
        r"\pi_r",
        "price of a route without waits: latency, energy and cost by the objective",
        ("ObjectivePart.latency", "ObjectivePart.energy", "ObjectivePart.cost"),
        r"\\pi_r",
    ),
    Symbol(
        "h_g",
        "price of a second that a request of the group waits: latency, and what the origin draws",
        ("ObjectivePart.latency", "ObjectivePart.energy", "StreamPart.waits"),
        r"\bh_g",
    ),
    ENERGY_PRICE,
    MONEY_PRICE,
    PERIOD_PRICE,
    Symbol(
        "n_g",
        "streams of a group: equal networks, origins, rates and limits",
        ("StreamPart.network", "StreamPart.origin"),
        r"\bn_g\b",
    ),
    Symbol("R_g", "routes that a stream may use", ("StreamPart.max_routes",), r"\bR_g"),
    Symbol(
        "b_{r,q}",
        "load of a route at a queue: ΣλE[S], of devices and of links",
        ("StreamPart.rate", *TIMES, "TensorPart.size", "LinkPart.bandwidth"),
        r"\bb_\{r,q",
    ),
    Symbol(
        "m_{r,q}",
        "second moments of a route at a queue (ΣλE[S²], corrected for bursts)",
        ("LayerCostsPart.cv2", "SpanCostsPart.cv2", "StreamPart.arrival_cv2"),
        r"\bm_\{r,q",
    ),
    Symbol(
        "S_j",
        "time of a job at the queue",
        (*TIMES, "LayerCostsPart.cv2", "SpanCostsPart.cv2"),
        r"\bS_j",
    ),
    Symbol(
        r"\phi_r",
        "seconds until a batch is full",
        ("StreamPart.batch", "StreamPart.rate"),
        r"\\phi",
    ),
    Symbol(
        "L_r",
        "seconds of a route without waits in queues",
        (*TIMES, "LinkPart.latency", "LinkPart.bandwidth"),
        r"\bL_r",
    ),
    Symbol("c, c_k", "replicas of a device", ("DevicePart.replicas",), r"(?<![\\\w])c(?![\w])"),
    Symbol(
        r"\bar\rho_q",
        "largest busy share of a device or link",
        ("DevicePart.utilisation_cap", "LinkPart.utilisation_cap"),
        r"\\bar\\rho",
    ),
    Symbol("D, D_g", "seconds of a deadline", ("StreamPart.deadline",), r"\bD\b|\bD_g"),
    Symbol(
        r"\alpha",
        "share of the requests that may be later (p95: 0.05)",
        ("StreamPart.deadline",),
        r"\\alpha",
    ),
    Symbol(
        "K_r",
        "seconds of a route that are not waited in queues, each random term at its quantile",
        (*TIMES, "LinkPart.latency", "LinkPart.bandwidth"),
        r"\bK_r",
    ),
    Symbol(
        r"\text{bytes}_{n,l,d}",
        "bytes of a layer's weights",
        ("LayerPart.weights", "LayerCostsPart.memory", "SpanCostsPart.memory"),
        r"\\text\{bytes\}",
    ),
    Symbol(
        r"\text{activation}_l",
        "bytes of peak activation",
        ("LayerPart.activations",),
        r"\\text\{activation\}",
    ),
    Symbol("b", "requests in a batch", ("StreamPart.batch",), r"\bb\b", only=("kept", "peaked")),
    MEMORY,
    Symbol(
        "e_{r,d}",
        "watts that serving a route takes at a device",
        (
            "LayerCostsPart.energies",
            "SpanCostsPart.energies",
            "DevicePart.active_power",
            "LinkPart.send_energy",
            "LinkPart.receive_energy",
        ),
        r"\be_\{r,d",
    ),
    Symbol(r"\iota_d", IDLE.words, IDLE.keys, r"\\iota_d"),
    Symbol(
        r"\iota_g",
        "watts of the origin while it waits, times the rate",
        ("DevicePart.idle_power", "StreamPart.waits"),
        r"\\iota_g",
    ),
    Symbol(
        r"\eta_{d,c}",
        "dollars per second of a device with c replicas",
        ("DevicePart.provisioned_price", "DevicePart.electricity_price"),
        r"\\eta_",
    ),
    Symbol(
        r"\epsilon_g",
        "dollars per second that a group waits",
        ("DevicePart.electricity_price", "StreamPart.waits"),
        r"\\epsilon",
    ),
    Symbol(
        "s_r",
        "dollars that serving a route costs",
        (
            "DevicePart.serverless_price",
            "DevicePart.request_fee",
            "DevicePart.electricity_price",
            "LinkPart.price",
        ),
        r"\bs_r",
    ),
    Symbol("o(g)", "the device where requests arise", ("StreamPart.origin",), r"\bo\("),
    Symbol("B_d", "watts that a device may draw", ("DevicePart.power_budget",), r"\bB_d"),
    Symbol(
        "B",
        "watts of all devices together",
        ("BudgetsPart.power",),
        r"\bB\b",
        only=("powered_in_all",),
    ),
    Symbol(
        "B", "dollars per hour that may be spent", ("BudgetsPart.money",), r"\bB\b", only=("paid",)
    ),
)
"""Data of the program under load."""


def link(key: str, *, whole: bool = False) -> str:
    """Return a link to a key in the reference of files, by its name or its whole path.

    Raises
    ------
    KeyError
        If instances have no such key.
    """
    part, name = key.split(".")
    tree: Any = schema("instance")
    if name not in (tree if part == "InstanceFile" else tree["$defs"][part])["properties"]:
        raise KeyError(key)
    anchor = key_anchor("instance", "" if part == "InstanceFile" else part, name)
    return f"[`{PATHS[part] if whole else ''}{name}`](reference/files.md#{anchor})"


def key_anchor(kind: str, part: str, key: str) -> str:
    """Return the anchor of a key in the reference of files."""
    # Two hyphens where there is no part: the heading of a part has the anchor with one.
    return f"{kind}-{part.lower()}-{key}"


def table(symbols: tuple[Symbol, ...]) -> str:
    """Return a table of symbols and the keys that they come from."""
    rows = ["| symbol | is | comes from |", "| --- | --- | --- |"]
    for symbol in symbols:
        keys = ", ".join(link(key, whole=True) for key in symbol.keys)
        rows.append(f"| ${symbol.sign}$ | {symbol.words} | {keys} |")
    return "\n".join(rows) + "\n"


def sources(symbols: tuple[Symbol, ...], equation: str, words: str) -> str:
    """Return a line that says where the data in an equation come from; empty without any."""
    found = [
        f"${symbol.sign}$ {', '.join(map(link, symbol.keys))}"
        for symbol in symbols
        if symbol.occurs(equation, mathematics(words))
    ]
    return f"*From the file:* {'; '.join(found)}.\n" if found else ""


def mathematics(words: str) -> str:
    """Return the equations of a docstring, without what they say in words."""
    return "\n".join(_blocks(words))


def _blocks(words: str) -> Iterator[str]:
    lines = iter(words.splitlines())
    for line in lines:
        if not line.strip().startswith(".. math::"):
            continue
        block = [line.split(".. math::")[1]]
        for following in lines:
            if following.strip() and not following.startswith("    "):
                break
            block.append(following)
        yield "\n".join(block)
