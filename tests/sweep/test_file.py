"""Sweep files: W&B takes those that are shipped, and says the same of them as we do."""

from __future__ import annotations

import pytest
from support.changes import replaced
from wandb.sdk.launch.sweeps import utils

from mpt.cli.sweep_words import read_trial, setup_of
from mpt.fit.configs import find_config, shipped_configs
from mpt.study.plan.grid import plan
from mpt.study.run.worker import check
from mpt.sweep.distributions import Choice
from mpt.sweep.file import is_sweep, load_sweep
from mpt.sweep.sampling import grid
from mpt.util.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file")  # W&B does not close the sweep's file that it reads

SHIPPED = [name for name in shipped_configs() if name.startswith("sweeps/")]
GOOD = """
method: grid
metric: {name: ARG, goal: maximize}
command: ["${env}", mpt, sweep, trial, quickstart, --method, MAML, "${args}"]
parameters:
  model.optimizer.lr: {values: [0.1, 0.3]}
"""


def test_the_three_meta_learners_have_a_sweep():
    assert SHIPPED == ["sweeps/fomaml_lr", "sweeps/maml_lr", "sweeps/reptile_lr"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_sweep_passes_the_check_of_wandb(name):
    """That of ``wandb sweep``, in W&B's package ``sweeps``, which `make install` brings."""
    checks = pytest.importorskip("sweeps", reason="pip install --no-deps sweeps==0.3.0 jsonref")
    config = utils.load_sweep_config(str(find_config(name)))
    assert checks.schema_violations_from_proposed_config(config) == []
    broken = {**config, "metric": {"name": "ARG", "goal": "maximise"}}
    assert len(checks.schema_violations_from_proposed_config(broken)) == 1


@pytest.mark.long
@pytest.mark.parametrize("name", SHIPPED)
def test_the_trials_of_wandb_are_ours(name, tmp_path):
    """What W&B's agent would start, for each combination that W&B's server would think of, is a trial of ours."""
    config = utils.load_sweep_config(str(find_config(name)))
    sweep = load_sweep(find_config(name))
    assert config["command"][:4] == ["${env}", "mpt", "sweep", "trial"] and config["command"][-1] == "${args}"
    for values in grid(sweep.parameters, sweep.file):
        told = {option: {"value": value} for option, value in values.items()}
        words = [*config["command"][4:-1], *utils.create_sweep_command_args({"args": told})["args"]]
        options, read = read_trial(words)
        assert read == values
    options.out = tmp_path
    bench = setup_of(options)
    first = plan(bench.with_trials([values]), bench.out)[0]
    assert first.stage == "upstream" and check([first]) is None  # the command line takes them
    assert set(sweep.parameters) == {"model.algorithm.inner_lr", "model.optimizer.lr"}
    assert bench.method.name.lower() == name.removeprefix("sweeps/").removesuffix("_lr")


def test_the_combinations_are_those_of_wandb(tmp_path):
    searches = pytest.importorskip("sweeps.grid_search", reason="pip install --no-deps sweeps==0.3.0 jsonref")
    config = utils.load_sweep_config(str(find_config("sweeps/fomaml_lr")))
    runs = searches.grid_search_next_runs([], config, n=9)
    theirs = [{name: entry["value"] for name, entry in run.config.items()} for run in runs]
    ours = grid(load_sweep(find_config("sweeps/fomaml_lr")).parameters, "")
    assert len(theirs) == len(ours) == 9
    assert all(values in theirs for values in ours)


def test_a_file_says_what_it_is(tmp_path):
    path = tmp_path / "rates.yaml"
    path.write_text(GOOD + "run_cap: 7\nearly_terminate: {type: hyperband, min_iter: 3}\n")
    sweep = load_sweep(path)
    assert is_sweep(path) and not is_sweep(find_config("studies/quickstart"))
    assert (sweep.name, sweep.method, sweep.cap, sweep.stops_early) == ("rates", "grid", 7, True)
    path.write_text(GOOD + "name: rates-of-MAML\n")
    assert load_sweep(path).name == "rates-of-MAML"
    assert sweep.words == ("quickstart", "--method", "MAML")
    assert sweep.parameters == {"model.optimizer.lr": Choice((0.1, 0.3))}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("method: grid", "method: [", "not YAML"),
        ("method: grid", "method: custom", "method is one of grid, random, bayes, not 'custom'"),
        ("goal: maximize", "goal: minimize", "goal: maximize"),
        (", goal: maximize", "", "W&B minimises if nothing is said"),
        ("name: ARG", "name: loss", "ARG is what a trial logs"),
        ("sweep, trial", "fit", "command must run mpt sweep trial"),
        (', "${args}"', "", "end with ${args}"),
        ("quickstart", "'${program}'", "${program} after mpt sweep trial"),
        ("model.optimizer.lr: {values: [0.1, 0.3]}", "", "parameters must name at least one option"),
        ("{values: [0.1, 0.3]}", "{parameters: {a: {value: 1}}}", "is nested"),
        ("{values: [0.1, 0.3]}", "{values: [1e-5]}", "wants a point in a number"),
        ("{values: [0.1, 0.3]}", "{min: 1e-5, max: 1.0}", "must be a number, not '1e-5'"),
        ("{values: [0.1, 0.3]}", "{values: []}", "at least one value"),
        ("{values: [0.1, 0.3]}", "{values: [null]}", "cannot be given as an option's value"),
        ("{values: [0.1, 0.3]}", "{distribution: beta}", "distribution is one of categorical, constant, uniform"),
        ("{values: [0.1, 0.3]}", "{min: 3, max: 1}", "min 3 must be below max 1"),
        ("{values: [0.1, 0.3]}", "{distribution: log_uniform_values, min: 0, max: 1}", "min must be above 0"),
        ("{values: [0.1, 0.3]}", "{probabilities: [1]}", "model.optimizer.lr has the unknown key probabilities"),
        ("model.optimizer.lr:", "inner_lr:", ": inner_lr cannot be tried; options that can have dots"),
        ("method: grid", "method: grid\nname: a/b", "name must be a name that a folder can have, not 'a/b'"),
        ("method: grid", "methd: grid", "it has the unknown key methd; did you mean method?"),
        ("method: grid", "method: grid\nrun_cap: 0", "run_cap must be a whole number of at least 1"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_file(tmp_path, old, new, said):
    path = tmp_path / "rates.yaml"
    path.write_text(replaced(GOOD, old, new))
    with pytest.raises(UserError) as error:
        load_sweep(path)
    assert said in str(error.value) and str(path) in str(error.value)
