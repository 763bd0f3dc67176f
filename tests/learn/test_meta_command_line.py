"""Meta-learning as typed: how options are spelled, what a run leaves, what is told where there is nothing to do."""

from __future__ import annotations

import pytest
import torch
import yaml
from support.meta_toy import OPTIONS, last_checkpoint, meta_fit, saved_prompt, write_callbacks
from support.toy import small_fit, write_toy

from mpt.backbone.model import FrozenBackbone
from mpt.fit.configs import find_config
from mpt.learn import PromptTuning
from mpt.prompt.files import load_prompt
from mpt.prompt.initialisers import SavedPrompt

pytestmark = pytest.mark.long

PAPER = {"maml": ("MAML", 2, 1, 1), "fomaml": ("FoMAML", 4, 1, 1), "reptile": ("Reptile", 4, 10, 10)}


@pytest.fixture
def run(mpt, root, model_folder, tmp_path):
    """A fit of two steps; its command's end and the model part of its resolved configuration."""

    def start(*words, config="maml", **changes):
        options = meta_fit(model_folder("t5"), root, tmp_path / "run", **{"trainer__max_steps": 2, **changes})
        ended = mpt("fit", "--config", config, *options, *words)
        resolved = tmp_path / "run" / "config.yaml"
        return ended, yaml.safe_load(resolved.read_text())["model"]["init_args"] if ended.code == 0 else None

    return start


def assert_one_sentence(ended, *words):
    assert ended.code == 2, ended.err
    (told,) = [line for line in ended.err.splitlines() if line.startswith("mpt: error: ")]
    assert "Traceback" not in ended.err
    for word in words:
        assert word in told


# Configs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "values"), PAPER.items(), ids=PAPER)
def test_the_shipped_configs_have_the_papers_values(name, values, mpt):
    """Qin et al. 2023, section 5.3: 3e-5, 0.5, 5,000 steps, inner batch 2/4/4, inner steps 1/1/10, 100 rows."""
    config = yaml.safe_load(find_config(name).read_text())
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    algorithm, batch_size, steps, batches = values
    assert model["algorithm"]["class_path"] == f"mpt.learn.meta.{algorithm}"
    assert model["algorithm"]["init_args"]["inner_lr"] == 3e-5
    assert model["algorithm"]["init_args"]["inner_steps"] == steps and data["support_batches"] == batches
    assert model["optimizer"]["init_args"]["lr"] == 0.5 and model["prompt_length"] == 100
    assert config["trainer"]["max_steps"] == 5000 and data["batch_size"] == batch_size
    assert f"{name} " in mpt("configs", "list").out


@pytest.mark.parametrize(
    "words",
    [
        ("--model.algorithm.init_args.inner_lr=1e-3", "--model.optimizer.init_args.lr=0.3"),
        ("--model.algorithm.inner_lr=1e-3", "--model.optimizer.lr=0.3"),
        ("--model.algorithm.inner_lr=0.001", "--model.optimizer.lr=0.3", "--model.algorithm.inner_steps=1"),
    ],
    ids=["nested", "flat", "flat, as W&B writes numbers"],
)
def test_rates_on_the_command_line_reach_the_run(words, run, tmp_path):
    ended, model = run(*words)
    assert ended.code == 0, ended.err
    assert model["algorithm"]["init_args"] == {"inner_lr": 1e-3, "inner_steps": 1, "hessian": "finite_difference"}
    assert model["optimizer"]["init_args"]["lr"] == 0.3
    assert load_prompt(tmp_path / "run" / "prompt").facts["inner_lr"] == 1e-3


@pytest.mark.parametrize(
    ("words", "algorithm", "steps"),
    [
        (("--model.algorithm=FoMAML",), "FoMAML", 1),
        (("--model.algorithm", "mpt.learn.meta.Reptile", "--model.algorithm.inner_steps", "3"), "Reptile", 3),
        (("--model.algorithm=MAML", "--model.algorithm.hessian=exact"), "MAML", 1),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_another_algorithm_by_name(words, algorithm, steps, run, tmp_path):
    ended, model = run(*words)
    assert ended.code == 0, ended.err
    assert model["algorithm"]["class_path"] == f"mpt.learn.meta.{algorithm}"
    facts = load_prompt(tmp_path / "run" / "prompt").facts
    assert (facts["algorithm"], facts["inner_steps"], facts["method"]) == (algorithm, steps, "MetaPromptTuning")


@pytest.mark.parametrize("optimizer", ["PromptAdafactor", "torch.optim.AdamW", "torch.optim.SGD"])
def test_any_outer_optimiser_by_name_with_a_schedule(optimizer, run, tmp_path):
    words = ("--model.lr_scheduler=torch.optim.lr_scheduler.ExponentialLR", "--model.lr_scheduler.gamma=0.5")
    ended, model = run(f"--model.optimizer={optimizer}", "--model.optimizer.lr=0.25", *words)
    assert ended.code == 0, ended.err
    assert model["optimizer"]["class_path"].endswith(optimizer) and model["optimizer"]["init_args"]["lr"] == 0.25
    assert saved_prompt(tmp_path / "run").isfinite().all()


def test_an_unknown_algorithm_option_is_named(run):
    ended, _ = run("--model.algorithm.inner_rate=0.1")
    assert ended.code == 2 and "inner_rate" in ended.err and "Traceback" not in ended.err


# What a run leaves -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "rows"), [("scalar", 1), ("token", 4)])
def test_learned_inner_rates_are_in_the_checkpoint_and_in_the_prompts_facts(kind, rows, run, tmp_path):
    callbacks = write_callbacks(tmp_path / "callbacks.yaml")
    ended, _ = run(f"--config={callbacks}", model__learn_inner_lr=kind, model__inner_lr_lr=0.5)
    assert ended.code == 0, ended.err
    learned = last_checkpoint(tmp_path / "run")["log_inner_lr"]
    facts = load_prompt(tmp_path / "run" / "prompt").facts
    assert learned.shape == (rows,) and facts["inner_lr"] == pytest.approx(learned.exp().tolist())
    assert all(rate > 0 and rate != pytest.approx(0.002, rel=1e-3) for rate in facts["inner_lr"])


def test_prompt_tuning_starts_from_a_meta_learned_prompt(run, mpt, model_folder, tmp_path):
    run()
    learned = tmp_path / "run" / "prompt"
    start = PromptTuning(
        str(model_folder("t5")), prompt_length=4, init=SavedPrompt(str(learned)), backbone_options=OPTIONS
    )
    start.prepare()
    assert torch.equal(start.prompt.weight, load_prompt(learned).weight)

    options = small_fit(model_folder("t5"), write_toy(tmp_path / "toys"), tmp_path / "downstream")
    words = ("--config", "prompt_tuning", *options, "--model.init", "SavedPrompt", "--model.init.path", learned)
    assert mpt("fit", *words).code == 0 and mpt("test", *words).code == 0
    assert load_prompt(tmp_path / "downstream" / "prompt").facts["init"] == "SavedPrompt"


def test_the_prompt_folder_is_one_that_peft_loads(run, model_folder, tmp_path):
    peft = pytest.importorskip("peft")
    run()
    backbone = FrozenBackbone(str(model_folder("t5")), OPTIONS)
    model = peft.PeftModel.from_pretrained(backbone.model, str(tmp_path / "run" / "prompt"))
    loaded = model.prompt_encoder["default"].embedding.weight
    assert torch.equal(loaded[:4], saved_prompt(tmp_path / "run"))


def test_no_logging_leaves_no_lines(run, tmp_path):
    ended, _ = run(trainer__log_every_n_steps=0)
    assert ended.code == 0, ended.err
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


# What is refused, in one sentence -----------------------------------------------------------------------------------

MISTAKES = {
    "trainer's clipping": ({"trainer__gradient_clip_val": 1.0}, ["trainer.gradient_clip_val", "model.gradient_clip"]),
    "trainer's way of clipping": (
        {"trainer__gradient_clip_algorithm": "value"},
        ["trainer.gradient_clip_algorithm", "meta-gradients"],
    ),
    "a schedule that follows a score": (
        {"model__lr_scheduler": "torch.optim.lr_scheduler.ReduceLROnPlateau"},
        ["model.lr_scheduler ReduceLROnPlateau", "WarmupLinear"],
    ),
    "trainer's accumulation": (
        {"trainer__accumulate_grad_batches": 2},
        ["trainer.accumulate_grad_batches", "model.accumulate_grad_batches"],
    ),
    "float16": ({"trainer__precision": "16-mixed"}, ["16-mixed", "bf16-mixed"]),
    "bfloat16 weights": ({"model__backbone_options__dtype": "bfloat16"}, ["bfloat16", "model.algorithm.hessian exact"]),
    "Reptile's rates": (
        {"model__algorithm": "Reptile", "model__algorithm__inner_lr": None, "model__learn_inner_lr": "scalar"},
        ["learn_inner_lr", "Reptile"],
    ),
    "an outer rate that goes the wrong way": (
        {"model__learn_inner_lr": "scalar", "model__optimizer__lr": -0.3},
        ["model.optimizer"],
    ),
    "no inner rate": ({"model__algorithm__inner_lr": 0}, ["model.algorithm.inner_lr", "above 0"]),
    "no inner step": ({"model__algorithm__inner_steps": 0}, ["model.algorithm.inner_steps", "at least 1"]),
    "a meta-batch that two devices cannot share": (
        {"data__meta_batch_size": 3, "trainer__devices": 2, "trainer__strategy": "ddp"},
        ["--data.meta_batch_size", "3", "2"],
    ),
    "validation that would never come": (
        {"data__validation": "[ag_news]", "trainer__val_check_interval": None},
        ["--data.validation", "trainer.val_check_interval"],
    ),
    "validation on a source task": (
        {"data__validation": "[emo]", "trainer__val_check_interval": 2},
        ["--data.validation", "source tasks", "emo"],
    ),
    "data without episodes": (
        {"data": "MixtureData", "data__meta_batch_size": None},
        ["MetaPromptTuning", "MixtureData", "--data EpisodeData"],
    ),
    "unknown source task": ({"data__tasks": "[emmo]"}, ["emmo", "--data.tasks"]),
}


@pytest.mark.parametrize(("changes", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_one_sentence_before_an_earlier_run_is_touched(changes, words, run, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("an earlier run's")
    ended, _ = run(**changes)
    assert_one_sentence(ended, *words)
    assert [path.name for path in tmp_path.glob("run*")] == ["run"]


@pytest.mark.parametrize("config", ["maml", "spot"])
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("test", ["nothing to test", "prompt_tuning", "SavedPrompt", "runs/x/prompt"]),
        ("predict", ["nothing to predict", "prompt_tuning", "SavedPrompt", "runs/x/prompt"]),
        ("validate", ["nothing to validate", "--data.validation"]),
    ],
)
def test_what_has_no_target_task_says_where_to_go_on(config, command, words, mpt, root, model_folder):
    options = ["--model.backbone", model_folder("t5"), "--data.root", root, "--data.partition", "null"]
    options += ["--data.tasks", "[emo,trec]", "--data.seeds", "[13]", "--trainer.default_root_dir", "runs/x"]
    assert_one_sentence(mpt(command, "--config", config, *options, "--trainer.accelerator", "cpu"), *words)
