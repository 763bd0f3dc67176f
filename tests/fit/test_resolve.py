"""A run is resolved as LightningCLI resolves it, however its options are spelt and whatever its classes were called."""

from __future__ import annotations

import sys

import pytest
import yaml

from mpt.data.modules.mixture import MixtureData
from mpt.fit.command import run_lightning
from mpt.fit.configs import find_config, shipped_configs
from mpt.fit.parse import make_run, parse_run
from mpt.fit.renamed import renamed
from mpt.fit.resolve import resolve_run
from mpt.prompt.initialisers import SavedPrompt
from mpt.util.errors import UserError

CONFIGS = [name for name in shipped_configs() if "/" not in name]


def number(value):
    """YAML takes 3e-05 for a text, where jsonargparse knows that a number is wanted."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", CONFIGS)
def test_every_option_has_the_value_that_lightnings_parser_gives_it(name):
    text = find_config(name).read_text(encoding="utf-8")
    task = {"data.task": "syn-sentiment-review"} if "FewShotData" in text else {}  # which has no default
    run = resolve_run(text, task)
    parsed = parse_run(["fit", f"--config={name}", *(f"--{option}={value}" for option, value in task.items())])
    assert len(parsed.given) > 60
    # Of callbacks the parser writes every option out; the plan asks them one by one.
    asked = [option for option in parsed.given if option not in ("trainer.callbacks", "ckpt_path", "weights_only")]
    wrong = {
        option: (run.get(option), parsed[option])
        for option in asked
        if number(run.get(option)) != number(parsed[option])
    }
    assert not wrong
    for part in parsed["trainer.callbacks"]:
        name = part["class_path"].rpartition(".")[2]
        own = run.callback(name)
        assert {f"callback.{option}": own[f"callback.{option}"] for option in part.get("init_args", {})} == {
            f"callback.{option}": value for option, value in part.get("init_args", {}).items()
        }


WORDS = {
    "of the data": {"data.batch_size": 3, "data.k": 4},
    "of a class in a class": {"model.optimizer.lr": 0.25, "model.backbone_options.max_target_length": 7},
    "of another class": {"model.init": "mpt.prompt.initialisers.SavedPrompt", "model.init.path": "there"},
    "another learner": {"model": "mpt.learn.FineTuning", "model.optimizer.lr": 0.5},
    "no logger": {"trainer.logger": False},
    "more callbacks": {"trainer.callbacks+": "mpt.callbacks.KeepEarly", "trainer.callbacks.steps": [2]},
}


@pytest.mark.parametrize("options", WORDS.values(), ids=WORDS)
def test_what_is_given_beside_a_config_goes_over_it(options):
    words = [
        f"--{name}={value if isinstance(value, str) else yaml.safe_dump(value).split(chr(10))[0]}"
        for name, value in options.items()
    ]
    parsed = parse_run(["fit", "--config=prompt_tuning", "--data.task=syn-sentiment-review", *words])
    run = resolve_run(find_config("prompt_tuning").read_text(encoding="utf-8"), options)
    for name in ("model", "data", "trainer.logger", "trainer.logger.project", "model.optimizer.lr"):
        assert run.get(name) == parsed.get(name), name
    for name in options:
        if "callbacks" not in name:
            assert run[name] == parsed[name] == options[name]
    assert (run.callback("KeepEarly") is None) == (parsed.callback("KeepEarly") is None)


def test_init_args_spelt_out_or_not_are_the_same_option():
    long = """
    model:
      class_path: mpt.learn.PromptTuning
      init_args: {prompt_length: 7, optimizer: {class_path: torch.optim.SGD, init_args: {lr: 2}}}
    data: {class_path: mpt.data.modules.mixture.MixtureData, init_args: {splits: [dev]}}
    """
    short = (
        "{model: {class_path: mpt.learn.PromptTuning, prompt_length: 7}, data: mpt.data.modules.mixture.MixtureData}"
    )
    beside = {"model.optimizer": "torch.optim.SGD", "model.init_args.optimizer.init_args.lr": 2, "data.splits": ["dev"]}
    once, twice = resolve_run(long), resolve_run(short, beside)
    assert once.given == twice.given
    assert twice["model.prompt_length"] == 7 and once["data.splits"] == ["dev"]
    for name in ("data.k", "data.init_args.k"):
        assert resolve_run(long, {name: 8})["data.k"] == 8
    last = resolve_run(long, {"data.k": 8, "data.init_args.k": 4})
    assert last["data.k"] == 4


def test_a_default_is_that_of_the_class():
    run = resolve_run("data: {class_path: mpt.data.modules.mixture.MixtureData}")
    own = MixtureData(tasks=["emo"])
    assert tuple(run["data.seeds"]) == tuple(own.given.seeds) and run["data.batch_size"] == own.batch_size
    assert resolve_run("data: MixtureData")["data.limit"] == run["data.limit"]  # a bare name
    with pytest.raises(
        UserError, match=r"^model\.x is not given, and no default of it is known; say it in the config$"
    ):
        run["model.x"]


def test_no_code_of_another_package_is_run(tmp_path, monkeypatch):
    (tmp_path / "bait.py").write_text("raise SystemExit('sprung')\n")
    monkeypatch.syspath_prepend(tmp_path)
    run = resolve_run("{data: {class_path: bait.Data}, model: bait.Model, trainer: {callbacks: [bait.Callback]}}")
    with pytest.raises(UserError, match=r"data\.k is not given, and no default of bait\.Data is known"):
        run["data.k"]
    assert run.get("model.prompt_length") is None and run.callback("Callback") is not None
    assert "bait" not in sys.modules


BEFORE = {
    "mpt.initialisers.SavedPrompt": "mpt.prompt.initialisers.SavedPrompt",
    "mpt.initialisers.SampledVocabulary": "mpt.prompt.initialisers.SampledVocabulary",
    "mpt.initialisers.Retrieved": "mpt.library.retrieved.Retrieved",
    "mpt.data.modules.FewShotData": "mpt.data.modules.few_shot.FewShotData",
    "mpt.data.modules.MixtureData": "mpt.data.modules.mixture.MixtureData",
    "mpt.data.episodes.EpisodeData": "mpt.data.modules.episodes.EpisodeData",
    "mpt.data.corpus.TextFiles": "mpt.data.modules.corpus.TextFiles",
    "mpt.tracking.Tracker": "mpt.callbacks.tracker.Tracker",
}


def test_a_class_that_was_moved_is_found():
    assert {before: renamed(before) for before in BEFORE} == BEFORE
    for now in (*BEFORE.values(), "mpt.learn.PromptTuning", "a text on mpt.initialisers.X", 3, None):
        assert renamed(now) == now
    assert renamed({"a": ["mpt.tracking.Tracker"]}) == {"a": ["mpt.callbacks.tracker.Tracker"]}


@pytest.fixture
def config_from_before(tmp_path):
    """A config with the paths that its classes had before they moved."""
    text = find_config("prompt_tuning").read_text(encoding="utf-8")
    for before, now in BEFORE.items():
        text = text.replace(now, before)
    assert "mpt.tracking.Tracker" in text and "mpt.data.modules.FewShotData" in text
    assert "class_path: mpt.initialisers.SampledVocabulary\n" in text
    path = tmp_path / "before.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.long
def test_configs_and_words_from_before_are_understood(config_from_before, tmp_path):
    part = tmp_path / "init.yaml"
    part.write_text("class_path: mpt.initialisers.SavedPrompt\ninit_args: {path: there}\n")
    fit = [
        "fit",
        f"--config={config_from_before}",
        "--data.task=syn-sentiment-review",
        "--trainer.logger=false",
        f"--trainer.default_root_dir={tmp_path}/run",
    ]
    for words in (
        ["--model.init=mpt.initialisers.SavedPrompt", "--model.init.path=there"],
        ["--model.init", "mpt.initialisers.SavedPrompt", "--model.init.path", "there"],
        ['--model.init={"class_path": "mpt.initialisers.SavedPrompt", "init_args": {"path": "there"}}'],
        [f"--model.init={part}"],
    ):
        made = make_run([*fit, *words])
        assert type(made.learner.init) is SavedPrompt and made.learner.init.path == "there"
        assert "class_path: mpt.prompt.initialisers.SavedPrompt\n" in made.text
        assert not any(f"class_path: {before}\n" in made.text for before in BEFORE)
    assert parse_run([*fit[:3]])["trainer.logger"] == "mpt.callbacks.tracker.Tracker"


@pytest.mark.long
def test_a_run_from_before_is_resumed_and_tested(config_from_before, model_folder, tmp_path):
    short = [
        "--data.task=syn-sentiment-review",
        "--trainer.max_steps=2",
        "--trainer.val_check_interval=2",
        "--model.prompt_length=3",
    ]
    short += [
        f"--model.backbone={model_folder('t5')}",
        "--data.test_examples=4",
        "--data.k=4",
        "--trainer.logger=false",
    ]
    run = tmp_path / "run"
    run_lightning(["fit", f"--config={config_from_before}", f"--trainer.default_root_dir={run}", *short])
    config = run / "config.yaml"
    text = config.read_text(encoding="utf-8")
    for before, now in BEFORE.items():
        text = text.replace(now, before)
    config.write_text(text, encoding="utf-8")
    assert "class_path: mpt.initialisers.SampledVocabulary\n" in text
    cli = run_lightning(["fit", f"--config={config}", "--ckpt_path=last", "--trainer.max_steps=4"])
    assert cli.trainer.global_step == 4
    run_lightning(["test", f"--config={config}"])
    assert (run / "predictions.jsonl").is_file()
