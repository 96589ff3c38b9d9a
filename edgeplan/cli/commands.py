"""The commands by name, and the group that finds them."""

from __future__ import annotations

from edgeplan.cli.group import LazyGroup

# The help of the whole is answered from this table: no command's module is imported for it.
COMMANDS = {
    "init": "Write a commented starter instance that solves as it stands.",
    "import": "Make an instance of a file in another format.",
    "profile": "Measure a network on this machine, or predict it for a catalogue device.",
    "solve": "Find the best plan of an instance and say how good it is.",
    "pareto": "Find the front of an instance: the plans none of which is better in everything.",
    "compare": "Compare fronts with each other, with baselines or with another planner's points.",
    "choose": "Choose one plan of a front, and say what a little more of each would cost.",
    "sweep": "Plan an instance over ranges of its parameters.",
    "baselines": "Compare the plan with the plans to beat, predicted and simulated.",
    "explain": "Say why there is no plan and what would mend it, or why a plan is as it is.",
    "evaluate": "Price a plan and name every limit that it breaks.",
    "simulate": "Let random requests run through a plan and compare it with its prediction.",
    "verify": "Check a plan, and the bound that its file claims, without any solver.",
    "run": "Run a plan with ONNX Runtime and compare it with its prediction.",
    "split": "Write the parts of each network as ONNX files, one per stage.",
    "worker": "Serve stages on this machine to a run that is started elsewhere.",
    "measure-link": "Measure latency and bandwidth between two workers.",
    "report": "Make a page of a front, a plan, a run, …: one file for any browser.",
    "export-overlay": "Write where a plan runs each ONNX node, for a graph viewer.",
    "show": "Print what edgeplan wrote, or an ONNX file, as tables and small pictures.",
    "catalog": "List the devices and links of the catalogue, with their sources.",
    "schema": "Print the JSON Schema of a file format.",
    "doctor": "Say what is installed here, what is not, and what each lack costs.",
    "demo": "Profile, plan and run three real networks on three tiers.",
}

app = LazyGroup(
    name="edgeplan",
    commands_help=COMMANDS,
    help="Plan where the layers of neural networks run across edge and cloud, prove how good "
    "the plan is, and run it to check.",
)
"""The group, for tests (``click.testing.CliRunner``) and for embedding."""
