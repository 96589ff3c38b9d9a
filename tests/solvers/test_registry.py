"""One list of solvers, loaded when used."""

import subprocess
import sys

import pytest

from edgeplan.instances.generators import random_problem
from edgeplan.model.errors import InputError, SolverUnavailableError
from edgeplan.solvers import registry
from edgeplan.solvers.baselines import Greedy
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.result import Availability


def test_importing_the_registry_loads_no_solver():
    code = (
        "import sys, edgeplan.solvers.registry as r; list(r.solvers()); "
        "heavy = {'pyomo', 'highspy', 'numpy', 'pandas', 'onnx'} & set(sys.modules); "
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_choosing_loads_neither_pyomo_nor_highspy():
    code = (
        "import sys; from edgeplan.solvers import registry; "
        "from edgeplan.instances.generators import random_problem; "
        "registry.choose(random_problem(0)); registry.get('enumerate'); "
        "print(sorted({'pyomo', 'highspy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_list():
    assert list(registry.solvers()) == [
        *("highs", "enumerate", "chain", "mincut", "ideals", "cp-sat", "scip", "cbc", "gurobi"),
        *("queueing", "greedy"),
    ]
    assert len(registry.solvers()) == 11
    assert registry.solvers()["enumerate"] is Enumerator
    assert registry.solvers()["greedy"] is Greedy
    with pytest.raises(KeyError):
        registry.solvers()["oracle"]


def test_each_solver_is_filed_under_its_own_name():
    assert {"enumerate", "greedy"} <= set(registry.available())
    for name in registry.available():
        assert registry.solvers()[name].name == name


def test_options_are_the_fields():
    assert registry.get("enumerate", limit=7, time_limit=1.5) == Enumerator(limit=7, time_limit=1.5)


def test_common_options_that_a_solver_has_no_use_for_are_left_out():
    assert registry.get("greedy", gap=0.1, threads=2, seed=3, time_limit=4.0) == Greedy(
        time_limit=4.0
    )


def test_other_unknown_options_are_all_named():
    with pytest.raises(InputError) as error:
        registry.get("enumerate", cleverness=3, luck=1)
    assert [fault.message for fault in error.value.faults] == [
        "'enumerate' has no option 'cleverness'; known: limit, route_limit, time_limit",
        "'enumerate' has no option 'luck'; known: limit, route_limit, time_limit",
    ]


@pytest.mark.parametrize("name", ["oracle", "", "auto", "x" * 1000])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(InputError, match="known: highs, enumerate, chain") as error:
        registry.get(name)
    assert len(str(error.value)) < 250


def test_a_solver_that_is_not_installed_says_how_to_install_it(monkeypatch):
    gone = Availability(available=False, version="", install="pip install it")
    monkeypatch.setattr(Greedy, "availability", classmethod(lambda cls: gone))
    with pytest.raises(SolverUnavailableError, match=r"'greedy' is not available.*pip install it"):
        registry.get("greedy")
    assert "greedy" not in registry.available()


def test_a_solver_whose_module_lacks_a_package_says_which(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError("No module named 'pyomo'", name="pyomo.environ")

    monkeypatch.setattr(registry.importlib, "import_module", fail)
    with pytest.raises(SolverUnavailableError, match="pip install pyomo"):
        registry.get("highs")
    assert registry.available() == ()


def test_small_discrete_problems_are_enumerated():
    name, why = registry.choose(random_problem(1, layers=3, devices=3, streams=2))
    assert name == "enumerate"
    assert "plans can be tried" in why


def test_large_or_split_problems_go_to_highs():
    name, why = registry.choose(random_problem(1, kind="dag", layers=30, devices=4, tight=False))
    assert name == "highs"
    assert "too many plans" in why
    name, why = registry.choose(random_problem(1, splittable=True))
    assert name == "highs"
    assert "split" in why


@pytest.mark.parametrize("seed", range(10))
def test_what_is_chosen_supports_the_problem(seed):
    problem = random_problem(seed, splittable=seed % 2 == 0)
    name, _ = registry.choose(problem)
    if name in registry.available():
        assert registry.get(name).unsupported(problem) == ()
