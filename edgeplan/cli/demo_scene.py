"""What the demo plans: the shop, its machines and its streams, as an instance file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeplan.model.profile import Profile

INSTANCE, PLAN, REPORT = "instance.yaml", "plan.json", "run.json"
HERE, HERE_PLAN = "here.yaml", "here.plan.json"
PROFILES, PARTS = "profiles", "parts"


@dataclass(frozen=True)
class DemoNetwork:
    """A network of the demo.

    Parameters
    ----------
    name
        In the instance.
    file
        In the zoo (squeezenet and resnet50 have seeded random weights there).
    cuts
        Cuts on the shortlist.
    shapes
        Pinned inputs.
    """

    name: str
    file: str
    cuts: int
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()


NETWORKS = (
    DemoNetwork("squeezenet", "squeezenet.onnx", 5),
    DemoNetwork("resnet50", "resnet50.onnx", 5),
    DemoNetwork("text-detection", "ppocr_det.onnx", 5, (("x", (1, 3, 320, 320)),)),
)

BOARDS = {
    "door-camera": "raspberry-pi-4",
    "shelf-camera": "raspberry-pi-5",
    "gateway": "mini-pc-n100",
    "cloud": "aws-c6i-xlarge",
}
"""Catalogue entry of each machine of the shop."""

_DEVICES = """\
devices:
  # The memory is what recorder and till software leave. resnet50 has 102 MB of weights: it
  # fits no machine of the site, and no single cut makes both halves fit either.
  door-camera: {{{door}tier: device, zone: site, memory: 24 MB}}
  shelf-camera: {{{shelf}tier: device, zone: site, memory: 60 MB}}
  gateway: {{{gateway}tier: edge, zone: site, memory: 60 MB}}
  cloud: {{{cloud}tier: cloud, zone: cloud}}
"""

_LINKS = """\
links:
  - {from: door-camera, to: gateway, both: true, catalog: wifi}
  - {from: shelf-camera, to: gateway, both: true, catalog: wifi}
  - {from: door-camera, to: shelf-camera, both: true, catalog: wifi}
  - {from: gateway, to: cloud, catalog: wan-to-cloud}
  - {from: cloud, to: gateway, catalog: wan-from-cloud}
  # Through the access point and then the internet.
  - {from: door-camera, to: cloud, catalog: wan-to-cloud, latency: 12 ms}
  - {from: cloud, to: door-camera, catalog: wan-from-cloud, latency: 12 ms}
  - {from: shelf-camera, to: cloud, catalog: wan-to-cloud, latency: 12 ms}
  - {from: cloud, to: shelf-camera, catalog: wan-from-cloud, latency: 12 ms}
"""

_STREAMS = """\
streams:
  # Who comes in: neither the picture nor what the first layers make of it leaves the site.
  doors:
    network: squeezenet
    origin: door-camera
    rate: 4 /s
    deadline: 150 ms
    privacy: {{zones: site, before: {squeezenet}}}
  # What lies on the shelf; customers are in the picture.
  shelves:
    network: resnet50
    origin: shelf-camera
    rate: 2 /s
    deadline: 400 ms
    privacy: {{zones: site, before: {resnet50}}}
  # Price labels: nothing private, nothing urgent.
  labels:
    network: text-detection
    origin: door-camera
    rate: 1 /s
    deadline: 1 s
objective:
  # 100 ms weigh as much as 2 J and as 20 millionths of a dollar.
  latency: 1
  energy: 1
  cost: 1
  denominators: {{latency: 100 ms, energy: 2 J, cost: 0.00002 USD}}
"""


def instance_text(profiles: Mapping[str, Profile]) -> str:
    """Return the shop with the times predicted for its machines."""
    entries = {name.partition("-")[0]: f"catalog: {entry}, " for name, entry in BOARDS.items()}
    networks = "".join(
        f"  {name}:\n    onnx: {name}.onnx\n    profiles:\n"
        + "".join(
            f"      {device}: {PROFILES}/{name}.{entry}.json\n" for device, entry in BOARDS.items()
        )
        for name in profiles
    )
    return _text(
        "The shop of the demo: predicted times, figures of the catalogue.",
        "shop",
        networks,
        _DEVICES.format(**entries),
        profiles,
    )


def here_text(profiles: Mapping[str, Profile]) -> str:
    """Return the same shop with every machine played by this one: measured times."""
    networks = "".join(
        f"  {name}:\n    onnx: {name}.onnx\n    profiles:\n"
        f"      - file: {PROFILES}/{name}.here.json\n"
        f"        devices: [{', '.join(BOARDS)}]\n"
        for name in profiles
    )
    return _text(
        "The shop of the demo with every machine played by the one that ran it.",
        "shop-here",
        networks,
        _DEVICES.format(door="", shelf="", gateway="", cloud=""),
        profiles,
    )


def _text(
    comment: str, name: str, networks: str, devices: str, profiles: Mapping[str, Profile]
) -> str:
    second = {network: profile.layers[1].name for network, profile in profiles.items()}
    return (
        f"# {comment}\nformat: edgeplan-instance\nversion: 1\nname: {name}\n"
        f"networks:\n{networks}{devices}{_LINKS}"
        + _STREAMS.format(**{key: _quoted(value) for key, value in second.items()})
    )


def _quoted(text: str) -> str:
    """Return a name as YAML's double-quoted scalar, whatever an ONNX file calls its layers."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
