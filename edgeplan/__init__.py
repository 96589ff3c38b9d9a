"""edgeplan: placement of neural-network layers and requests across edge and cloud.

The names below load on first use, so that ``import edgeplan`` stays fast.
"""

from __future__ import annotations

import importlib
import os

__version__ = "0.1.0"

# ONNX Runtime 1.29 and later report what they load to their maker, and leave an identifier in
# the home folder and files in the temporary one, unless this is set before they are imported
# (microsoft/onnxruntime#27379). Who wants that sets it to 0 beforehand.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Type checkers know the name. Nothing more is imported here, typing neither, so that a program
# that begins can soon be interrupted in peace.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from edgeplan.instances.instance import Instance
    from edgeplan.instances.plans import read_plan, write_plan
    from edgeplan.instances.read import read_instance
    from edgeplan.instances.write import write_instance
    from edgeplan.model.errors import EdgeplanError, InputError
    from edgeplan.model.evaluate import Evaluation, evaluate
    from edgeplan.model.network import Layer, LayerCosts, Network, SpanCosts, Tensor
    from edgeplan.model.plan import Plan, Route
    from edgeplan.model.problem import (
        Budgets,
        Device,
        LayerRule,
        Link,
        Objective,
        Privacy,
        Problem,
        Stream,
    )
    from edgeplan.pareto.files import read_front
    from edgeplan.pareto.front import Front
    from edgeplan.planner import plan
    from edgeplan.result import Result

_HOMES = {
    "edgeplan.instances.instance": ("Instance",),
    "edgeplan.instances.plans": ("read_plan", "write_plan"),
    "edgeplan.instances.read": ("read_instance",),
    "edgeplan.instances.write": ("write_instance",),
    "edgeplan.model.errors": ("EdgeplanError", "InputError"),
    "edgeplan.model.evaluate": ("Evaluation", "evaluate"),
    "edgeplan.model.network": ("Layer", "LayerCosts", "Network", "SpanCosts", "Tensor"),
    "edgeplan.model.plan": ("Plan", "Route"),
    "edgeplan.model.problem": (
        "Budgets",
        "Device",
        "LayerRule",
        "Link",
        "Objective",
        "Privacy",
        "Problem",
        "Stream",
    ),
    "edgeplan.pareto.files": ("read_front",),
    "edgeplan.pareto.front": ("Front",),
    "edgeplan.planner": ("plan",),
    "edgeplan.result": ("Result",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Budgets",
    "Device",
    "EdgeplanError",
    "Evaluation",
    "Front",
    "InputError",
    "Instance",
    "Layer",
    "LayerCosts",
    "LayerRule",
    "Link",
    "Network",
    "Objective",
    "Plan",
    "Privacy",
    "Problem",
    "Result",
    "Route",
    "SpanCosts",
    "Stream",
    "Tensor",
    "__version__",
    "evaluate",
    "plan",
    "read_front",
    "read_instance",
    "read_plan",
    "write_instance",
    "write_plan",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'edgeplan' has no attribute '{name}'")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
