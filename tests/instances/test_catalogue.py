"""The catalogue: provenance of every figure, sanity of the values, conversion, errors."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import re
import statistics
import typing
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeplan.instances import catalogue as module
from edgeplan.instances.catalogue import (
    KINDS,
    device,
    devices,
    figures,
    link,
    links,
    load_catalogue,
    missing,
    to_device,
    to_link,
    to_links,
)
from edgeplan.model.catalogue import CatalogueDevice, CatalogueLink, Figure
from edgeplan.model.errors import InputError
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.problem import Device, Link, Problem, Stream

ENTRIES = [*devices().values(), *links().values()]
FIGURES = [
    pytest.param(entry, name, figure, id=f"{entry.name}.{name}")
    for entry in ENTRIES
    for name, figure in figures(entry).items()
]
ADDRESS = re.compile(r"https?://[^\s/]+\.[^\s/]+(/\S*)?")
GOOD = """
format: 1
devices:
  board:
    title: A board
    tier: device
    flops_per_second: {value: 1.0e9, kind: estimate, year: 2026, source: from experience}
links:
  wire:
    title: A wire
    bytes_per_second: {value: 1000, kind: measured, year: 2026, source: 'https://example.org/'}
"""


def test_enough_devices_of_every_class() -> None:
    assert len(devices()) >= 10
    titles = " ".join(entry.title for entry in devices().values()).lower()
    for wanted in (
        "microcontroller",
        "raspberry pi 4",
        "raspberry pi 5",
        "jetson",
        "phone",
        "small server",
        "mini pc",
        "ec2 c6i",
        "t4",
        "l4",
        "lambda",
    ):
        assert wanted in titles
    assert {entry.tier for entry in devices().values()} == {"device", "edge", "cloud"}


def test_enough_links_of_every_class() -> None:
    assert len(links()) >= 6
    titles = " ".join(entry.title for entry in links().values()).lower()
    for wanted in ("bluetooth low energy", "wi-fi", "lte", "5g", "ethernet", "wan"):
        assert wanted in titles


@pytest.mark.parametrize(("entry", "name", "figure"), FIGURES)
def test_every_figure_says_where_it_comes_from(
    entry: CatalogueDevice | CatalogueLink, name: str, figure: Figure
) -> None:
    assert figure.kind in KINDS
    assert 2000 <= figure.year <= 2026
    assert math.isfinite(figure.value)
    assert figure.value >= 0
    assert len(figure.source) > 20
    if figure.kind == "estimate":
        # An estimate says from what: an address, a data set, or that there is none.
        said = ("estimate", "dataset: ", "configuration")
        assert ADDRESS.search(figure.source) or any(word in figure.source for word in said)
    else:
        assert ADDRESS.match(figure.source) or figure.source.startswith("dataset: ")
        assert "no page opened" not in figure.source
    if name.endswith("latency_seconds"):
        assert figure.kind == "estimate"  # one-way delays are halves of round trips


def test_experience_is_never_called_more_than_an_estimate() -> None:
    for entry in ENTRIES:
        for figure in figures(entry).values():
            if "engineering estimate" in figure.source:
                assert figure.kind == "estimate"


def test_every_device_can_be_predicted() -> None:
    for entry in devices().values():
        for name in ("flops_per_second", "memory_bytes_per_second", "memory_bytes"):
            assert name in figures(entry), (entry.name, name)
        assert "active_watts" in figures(entry)
        assert "overhead_seconds" in figures(entry)
    for entry in links().values():
        assert {"bytes_per_second", "latency_seconds"} <= set(figures(entry))


def test_power_and_memory_are_plausible() -> None:
    for entry in devices().values():
        made = to_device(entry)
        assert 0 <= made.idle_watts <= made.active_watts < 1000
        assert 1e5 < made.memory_bytes < 1e12
        assert entry.flops_per_second is not None
        assert entry.memory_bytes_per_second is not None
        assert entry.overhead_seconds is not None
        intensity = entry.flops_per_second.value / entry.memory_bytes_per_second.value
        assert 0.1 < intensity < 100  # flop per byte at the ridge of the roofline
        assert 1e-6 < entry.overhead_seconds.value < 0.1
        flops_per_joule = entry.flops_per_second.value / made.active_watts
        assert 1e8 < flops_per_joule < 1e12


def test_devices_are_ordered_by_speed() -> None:
    names = (
        "esp32-s3",
        "stm32h743",
        "raspberry-pi-4",
        "raspberry-pi-5",
        "mini-pc-n100",
        "aws-c6i-xlarge",
        "edge-server-ryzen-5600x",
        "jetson-orin-nano",
        "aws-g4dn-t4",
        "aws-g6-l4",
    )
    speeds = [figures(device(name))["flops_per_second"].value for name in names]
    assert speeds == sorted(speeds)


def test_links_are_ordered_by_bandwidth_and_latency() -> None:
    names = ("ble", "3g-down", "lte-down", "5g-down", "wifi", "ethernet", "datacenter")
    rates = [to_link(link(name), "a", "b").bytes_per_second for name in names]
    assert rates == sorted(rates)
    delays = [to_link(link(name), "a", "b").latency_seconds for name in ("ethernet", "wifi", "ble")]
    assert delays == sorted(delays)
    assert to_link(link("lte-up"), "a", "b").latency_seconds > delays[-1]
    joules = [
        to_link(link(name), "a", "b").send_joules_per_byte
        for name in ("ethernet", "wifi", "ble", "5g-up", "lte-up")
    ]
    assert joules == sorted(joules)
    assert all(1e-10 < value < 1e-4 for value in joules)


def test_prices_are_plausible() -> None:
    for entry in devices().values():
        made = to_device(entry)
        assert made.dollars_per_hour < 10
        assert made.dollars_per_second < 1e-3
        assert made.dollars_per_request < 1e-5
        assert (entry.tier == "cloud") == (made.dollars_per_hour + made.dollars_per_second > 0)
    assert to_link(link("wan-from-cloud"), "a", "b").dollars_per_byte == 0.09e-9
    assert to_link(link("wan-to-cloud"), "a", "b").dollars_per_byte == 0


def test_arithmetic_of_stated_estimates() -> None:
    """The products that the sources spell out give the values beside them."""
    values = {
        f"{entry.name}.{name}": figure.value
        for entry in ENTRIES
        for name, figure in figures(entry).items()
    }
    expected = {
        "stm32h743.flops_per_second": 480e6 * 2 * 0.25,
        "stm32h743.memory_bytes_per_second": 8 * 240e6 * 0.5,
        "esp32-s3.flops_per_second": 2 * 240e6 * 2 * 0.1,
        "esp32-s3.memory_bytes_per_second": 4 * 240e6 * 0.5,
        "esp32-s3.idle_watts": 31.7e-3 * 3.3,
        "raspberry-pi-4.flops_per_second": 2 * 11.889e9,
        "raspberry-pi-4.memory_bytes_per_second": 2 * 2580e6,
        "raspberry-pi-5.flops_per_second": 2 * 30.249e9,
        "raspberry-pi-5.memory_bytes_per_second": 2 * 5557.4e6,
        "raspberry-pi-5.idle_watts": (4 + 5) / 2,
        "jetson-orin-nano.flops_per_second": statistics.median((1.04, 1.30, 1.28, 1.31, 1.08))
        * 1e12,
        "phone-snapdragon-8-gen-2.flops_per_second": (3.2e9 * 32 + 4 * 2.8e9 * 16) * 0.3,
        "mini-pc-n100.flops_per_second": 2 * 62.851e9,
        "mini-pc-n100.memory_bytes_per_second": 2 * 11600e6,
        "edge-server-ryzen-5600x.flops_per_second": 2 * 229e9,
        "edge-server-ryzen-5600x.memory_bytes_per_second": 51.2e9 * 0.7,
        "aws-c6i-xlarge.flops_per_second": 2 * 3.5e9 * 64 * 0.4,
        "aws-c6i-xlarge.memory_bytes_per_second": 204.8e9 * 2 / 32,
        "aws-c6i-xlarge.active_watts": 4 * 3.7582,
        "aws-c6i-xlarge.idle_watts": 4 * 0.7668,
        "aws-g4dn-t4.flops_per_second": 8.141e12 * 0.5,
        "aws-g4dn-t4.active_watts": 71 + 4 * 4.0632,
        "aws-g4dn-t4.idle_watts": 8 + 4 * 0.6903,
        "aws-g6-l4.flops_per_second": statistics.median((12.87, 15.38, 12.53, 10.66, 11.11)) * 1e12,
        "aws-g6-l4.active_watts": 72 + 4 * 1.9573,
        "aws-g6-l4.idle_watts": 72 * 8 / 71 + 4 * 0.4556,
        "aws-g6-l4.memory_bytes": 22888 * 2**20,
        "aws-lambda-1769mb.flops_per_second": 0.5 * 3.0e9 * 32 * 0.4,
        "aws-lambda-1769mb.memory_bytes_per_second": 204.8e9 * 0.5 / 32,
        "aws-lambda-1769mb.memory_bytes": 1769 * 2**20,
        "aws-lambda-1769mb.dollars_per_second": 0.00001667 * 1769 / 1024,
        "aws-lambda-1769mb.dollars_per_request": 0.20 / 1e6,
        "ble.bytes_per_second": 1242945 / 7.292,
        "ble.send_joules_per_byte": 4.8e-3 * 3.0 / 170453,
        "ble.receive_joules_per_byte": 4.6e-3 * 3.0 / 170453,
        "wifi.bytes_per_second": 226e6 / 8,
        "wifi.send_joules_per_byte": 1 / 28.25e6,
        "wifi.receive_joules_per_byte": 0.75 / 28.25e6,
        "3g-down.bytes_per_second": 2.109e6 / 8,
        "3g-down.receive_joules_per_byte": 8 * (1.13e-5 - 7.21e-9 * (1500 - 101)),
        "lte-up.bytes_per_second": 6e6 / 8,
        "lte-up.send_joules_per_byte": 4 / 0.75e6,
        "lte-down.bytes_per_second": 13e6 / 8,
        "lte-down.receive_joules_per_byte": 2 / 1.625e6,
        "5g-up.latency_seconds": 58.75e-3 / 2,
        "5g-up.send_joules_per_byte": 5 / 5e6,
        "5g-down.bytes_per_second": 146.8e6 / 8,
        "5g-down.latency_seconds": 58.75e-3 / 2,
        "5g-down.receive_joules_per_byte": 2.5 * 2 / 18.35e6,
        "ethernet.bytes_per_second": 941e6 / 8,
        "ethernet.send_joules_per_byte": 0.5 / 117.6e6,
        "ethernet.receive_joules_per_byte": 0.5 / 117.6e6,
    }
    assert set(expected) <= set(values)
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=0.03), name


def test_medians_of_the_shared_traces() -> None:
    """The medians named as computed are those of the data, where the data is at hand."""
    folder = pathlib.Path(__file__).parents[3] / "shared" / "data" / "traces"
    if not folder.is_dir():
        pytest.skip("the shared data is not beside this checkout")
    samples = [
        float(line.split()[1])
        for file in sorted((folder / "bw_traces_3gp").glob("*.log"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    assert len(samples) == 493
    rate = figures(link("3g-down"))["bytes_per_second"].value
    assert rate == pytest.approx(float(np.median(samples)) * 1e6 / 8, rel=1e-4)

    table = [
        line.split(",")
        for line in (folder / "5gophers" / "01-Throughput_data.csv").read_text().splitlines()[1:]
    ]
    rates = [float(row[6]) for row in table if row[2] == "1"]
    rate = figures(link("5g-down"))["bytes_per_second"].value
    assert rate == pytest.approx(float(np.median(rates)) * 1e6 / 8, rel=1e-3)

    table = [
        line.split(",")
        for line in (folder / "5gophers" / "02-Round-Trip-Times_data.csv")
        .read_text()
        .splitlines()[1:]
    ]
    trips = [float(row[0]) for row in table if row[2] == "US-East"]
    assert len(trips) == 360
    delay = figures(link("5g-down"))["latency_seconds"].value
    assert delay == pytest.approx(float(np.median(trips)) / 2e3, rel=2e-3)


def test_file_is_package_data_without_private_paths() -> None:
    text = resources.files("edgeplan.instances").joinpath("catalogue.yaml").read_text("utf-8")
    assert not re.search(r"(?<![:/\w.])/(work|root|home|tmp)/", text)
    assert load_catalogue(text) == module.Catalogue(devices(), links())
    assert devices() is devices()  # read once
    assert all(name == entry.name for name, entry in devices().items())
    with pytest.raises(TypeError):
        devices()["x"] = device("raspberry-pi-4")  # type: ignore[index]


@pytest.mark.parametrize(
    ("asked", "offered"),
    [("raspberry-pi5", "raspberry-pi-5"), ("T4", "aws-g4dn-t4"), ("jetson", "jetson-orin-nano")],
)
def test_unknown_device_lists_close_names(asked: str, offered: str) -> None:
    with pytest.raises(InputError, match=re.escape(offered)):
        device(asked)


def test_unknown_names_are_cut_and_known_ones_listed() -> None:
    with pytest.raises(InputError) as caught:
        link("%" * 1000)
    assert "%" * 80 in str(caught.value)
    assert "%" * 81 not in str(caught.value)
    assert "ethernet" in str(caught.value)
    with pytest.raises(InputError, match="lte-up"):
        link("lte")


def test_to_device_takes_figures_and_overrides() -> None:
    entry = device("aws-lambda-1769mb")
    made = to_device(entry, "fn", zone="eu", replicas=3, active_watts=4.0)
    assert made == Device(
        name="fn",
        tier="cloud",
        zone="eu",
        replicas=3,
        memory_bytes=1769 * 2**20,
        active_watts=4.0,
        dollars_per_second=2.8798e-5,
        dollars_per_request=2e-7,
    )
    assert to_device(entry).name == entry.name


def test_overrides_are_exactly_the_fields() -> None:
    fields = {field.name for field in dataclasses.fields(Device)} - {"name"}
    assert set(module.DeviceOverrides.__annotations__) == fields
    fields = {field.name for field in dataclasses.fields(Link)} - {"source", "target"}
    assert set(module.LinkOverrides.__annotations__) == fields
    for overrides, kind in ((module.DeviceOverrides, Device), (module.LinkOverrides, Link)):
        hints = typing.get_type_hints(kind)
        assert all(hints[k] == v for k, v in typing.get_type_hints(overrides).items())
    with pytest.raises(InputError, match=r"devices.x.memory: not a field; known: tier"):
        to_device(device("ESP32-S3".lower()), "x", memory=1.0)  # type: ignore[call-arg]


def test_to_link_and_the_way_back() -> None:
    there, back = to_links(link("lte-up"), "phone", "edge", link("lte-down"), utilisation_cap=0.5)
    assert (there.source, there.target) == ("phone", "edge")
    assert (back.source, back.target) == ("edge", "phone")
    assert there.bytes_per_second == 750_000
    assert back.bytes_per_second == 1_625_000
    assert there.send_joules_per_byte > 0 == there.receive_joules_per_byte
    assert back.receive_joules_per_byte > 0 == back.send_joules_per_byte
    assert there.utilisation_cap == back.utilisation_cap == 0.5
    there, back = to_links(link("ethernet"), "a", "b")
    assert dataclasses.replace(back, source="a", target="b") == there


def test_link_without_bandwidth_is_not_usable() -> None:
    entry = dataclasses.replace(link("wifi"), bytes_per_second=None)
    with pytest.raises(InputError, match=r"links.a->b: catalogue link 'wifi' has no bandwidth"):
        to_link(entry, "a", "b")
    assert to_link(entry, "a", "b", bytes_per_second=5.0).bytes_per_second == 5.0


def test_missing_names_what_becomes_zero() -> None:
    assert missing(device("raspberry-pi-5")) == (
        "dollars_per_hour",
        "dollars_per_second",
        "dollars_per_request",
    )
    assert missing(device("aws-c6i-xlarge")) == ()
    assert missing(device("aws-lambda-1769mb")) == ()
    assert missing(link("wan-to-cloud")) == ("send_joules_per_byte", "receive_joules_per_byte")
    bare = CatalogueDevice(name="x", title="x", tier="edge")
    assert len(missing(bare)) == 9
    assert to_device(bare) == Device(name="x", tier="edge")


def test_entries_make_a_valid_problem() -> None:
    """Every entry, as it stands, passes the problem's own checks."""
    made = [to_device(entry) for entry in devices().values()]
    first, *others = (item.name for item in made)
    pairs = [
        pair
        for entry, other in zip(links().values(), others, strict=False)
        for pair in to_links(entry, first, other)
    ]
    network = Network(
        name="net",
        layers=(Layer(name="only", weight_bytes=8),),
        tensors=(
            Tensor(name="x", bytes=4, producer=None, consumers=(0,)),
            Tensor(name="y", bytes=4, producer=0, consumers=(), output=True),
        ),
        costs={first: LayerCosts(seconds=(1.0,))},
    )
    problem = Problem(
        networks=(network,),
        devices=tuple(made),
        links=tuple(pairs),
        streams=(Stream(name="s", network="net", origin=first, rate_per_second=0.01),),
    )
    assert len(problem.links) == 2 * min(len(links()), len(others))


def test_good_text_loads() -> None:
    loaded = load_catalogue(GOOD)
    assert loaded.devices["board"].flops_per_second == Figure(
        value=1e9, source="from experience", year=2026, kind="estimate"
    )
    assert loaded.links["wire"].bytes_per_second is not None


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("format: 1", "format: 2", "c.format: must be 1"),
        ("format: 1", "format: 1\nextra: 1", "c.extra: unknown key"),
        ("tier: device", "tier: ''", "c.devices.board.tier: must be text, not empty"),
        ("tier: device", "tier: device\n    watts: 1", "c.devices.board.watts: unknown key"),
        ("title: A wire", "title: [1]", "c.links.wire.title: must be text"),
        ("title: A wire", "title: A wire\n    tier: x", "c.links.wire.tier: unknown key"),
        ("value: 1000", "value: 0", "c.links.wire.bytes_per_second.value: must be a positive"),
        ("value: 1000", "value: -1", "bytes_per_second.value: must be a positive"),
        ("value: 1000", "value: .nan", "bytes_per_second.value: must be a positive"),
        ("value: 1000", "value: .inf", "bytes_per_second.value: must be a positive"),
        ("value: 1000", "value: true", "bytes_per_second.value: must be a positive"),
        ("value: 1000", "value: '1000'", "bytes_per_second.value: must be a positive"),
        ("value: 1000", "val: 1000", "bytes_per_second.val: unknown key"),
        ("year: 2026, source: f", "year: 26, source: f", "flops_per_second.year: must be a year"),
        ("year: 2026, source: f", "year: yes, source: f", "flops_per_second.year: must be a year"),
        ("kind: measured", "kind: guess", "bytes_per_second.kind: must be one of datasheet"),
        ("kind: measured", "kind: [x]", "bytes_per_second.kind: must be one of datasheet"),
        ("kind: estimate", "kind: measured", "a measured figure needs an address"),
        ("source: from experience", "source: ' '", "source: must be text, not empty"),
        ("{value: 1.0e9, kind: estimate, year: 2026, source: from experience}", "7", "a mapping"),
        ("devices:\n  board:", "devices:\n  3:", "c.devices: every key must be text"),
        ("links:", "devices:", "c: not valid YAML"),
        ("format: 1", "format: 1\n  bad: 1", "c: not valid YAML"),
        ("format: 1", "format: 1\n{a: 1}: 2", "c: not valid YAML: line 3"),
        ("format: 1", "format: 2020-99-99", "c: not valid YAML: month must be"),
        ("format: 1", "&.[?x&:b:!~~?]:", "c: not valid YAML: unhashable"),
        ("tier: device", "tier: !!python/object/apply:os.getcwd []", "c: not valid YAML"),
        ("tier: device", "tier: " + "[" * 5000, "c: n"),
    ],
)
def test_faults_name_their_place(old: str, new: str, fault: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        load_catalogue(GOOD.replace(old, new, 1), "c")
    assert fault in str(caught.value)


def test_all_faults_are_gathered() -> None:
    bad = GOOD.replace("format: 1", "format: one").replace("year: 2026", "year: 0")
    with pytest.raises(InputError) as caught:
        load_catalogue(bad)
    assert len(caught.value.faults) == 3


def test_idle_must_not_exceed_active() -> None:
    figure = "{value: %d, kind: estimate, year: 2026, source: experience}"
    lines = f"\n    idle_watts: {figure % 3}\n    active_watts: {figure % 2}"
    with pytest.raises(InputError, match="idle_watts: must not exceed active_watts"):
        load_catalogue(GOOD.replace("tier: device", "tier: device" + lines))


@given(st.text(max_size=200))
def test_any_text_is_refused_cleanly(text: str) -> None:
    with pytest.raises(InputError) as caught:
        load_catalogue(text)
    assert len(str(caught.value)) < 10_000
