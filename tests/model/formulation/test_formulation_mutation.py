"""The checks notice a broken formulation: a sample here, all of it in the long suite."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import mutate
import pytest
from witnesses import witnesses

from edgeplan.model.formulation import EQUATIONS, TERMS

SAMPLE = 30


def test_a_sample_of_mutants_is_caught():
    every = list(mutate.mutants())
    assert len(every) > 500
    assert {mutant.function for mutant in every} >= {*EQUATIONS, *TERMS}
    problems, golden = witnesses(), mutate.read_golden()
    verdicts = {
        str(mutant): mutate.judge(mutant, problems, golden)
        for mutant in random.Random(0).sample(every, SAMPLE)
    }
    assert [name for name, verdict in verdicts.items() if verdict == "survived"] == []
    assert sum(verdict == "oracle" for verdict in verdicts.values()) > SAMPLE / 2


def test_the_formulation_itself_survives():
    def nothing(parents, target):
        pass

    whole = mutate.Mutant(mutate.constraints, "placed", 0, "nothing", 0, 0, nothing)
    problems = {name: item for name, item in witnesses().items() if name in ("spans", "split")}
    assert mutate.judge(whole, problems, mutate.read_golden()) == "survived"


@pytest.mark.long
def test_every_mutant_is_caught():
    tool = Path(mutate.__file__)
    done = subprocess.run([sys.executable, str(tool)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
