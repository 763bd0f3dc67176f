"""A misspelt option, class or value of a run is told in one sentence with the nearest right one."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.toy import Mpt

from mpt.fit.mistakes import sentence

CONFIG = ["--config", "prompt_tuning"]
EARLY = ("--trainer.callbacks+=mpt.callbacks.KeepEarly",)

MISTAKES = {
    "group": ([*CONFIG, "--modle.backbone", "x"], "--modle.backbone is not an option; did you mean --model.backbone"),
    "option": ([*CONFIG, "--model.prompt_lenght", "5"], "of PromptTuning; did you mean prompt_length?"),
    "class": (["--model", "PromptTunning"], "--model PromptTunning: there is no class of that name; did you mean Pro"),
    "class below": ([*CONFIG, "--model.init", "SampledVocab"], "did you mean SampledVocabulary?"),
    "value": ([*CONFIG, "--model.prompt_length", "ten"], "--model.prompt_length takes a whole number, not ten"),
    "short": ([*CONFIG, "--trainer.max_step", "5"], "is not an option; did you mean --trainer.max_steps"),
    "number": ([*CONFIG, "--trainer.max_steps", "five"], "--trainer.max_steps takes a whole number, not five"),
    "accelerator": ([*CONFIG, "--data.task", "x", "--trainer.accelerator", "gpuu"], "'gpuu'"),
    "strategy": ([*CONFIG, "--data.task", "x", "--trainer.strategy", "fsdp"], "trainer.strategy fsdp shares a model's"),
    "deepspeed": ([*CONFIG, "--data.task", "x", "--trainer.strategy", "deepspeed_stage_2"], "use ddp, and for a model"),
    "data": ([*CONFIG, "--data", "FewShot"], "there is no class of that name; did you mean FewShotData?"),
    "abbreviated": ([*CONFIG, "--data.tas", "x"], "--data.tas is not an option of FewShotData; did you mean task?"),
    "config": (["--config", "promt_tuning"], "config promt_tuning: no such file, and no shipped one of that name; did"),
    "import": ([*CONFIG, "--model", "my_methods.Mine"], "my_methods.Mine cannot be imported: No module named 'my_me"),
    "number below": ([*CONFIG, "--model.init.init_args.most_common", "x"], "most_common takes a whole number, not x"),
    "option below": ([*CONFIG, "--model.init.most_comon", "4"], "is not an option; did you mean most_common"),
    "deeper": (["--config", "maml", "--model.inner_lr", "1"], "; did you mean --model.algorithm.inner_lr?"),
    "no group": ([*CONFIG, "--lr", "1"], "--lr is not an option; did you mean --model.optimizer.lr?"),
    "a word of the field": (["--config", "maml", "--outer_lr", "1"], "; did you mean --model.optimizer.lr?"),
    "other class": ([*CONFIG, "--model.optimizer", "Adam", "--model.optimizer.lrr", "1"], "lrr is not an option; did"),
    "text by name": (
        [*CONFIG, "--model.init", "FromText", "--model.init.text", "{emo: {Which: x}}"],
        "--model.init.text takes a text, not {'Which': 'x'}",
    ),
    "no text": ([*CONFIG, "--model.init", "FromText"], "--model.init.text is missing"),
    "logger": ([*CONFIG, "--trainer.logger.projct", "x"], "--trainer.logger.projct is not an option"),
    "backbone": ([*CONFIG, "--model.backbone_options.max_inputlength", "4"], "did you mean max_input_length"),
    "choice": ([*CONFIG, "--model.backbone_options.dtype", "float17"], "takes float32, bfloat16, float16, not float17"),
    "callback": ([*CONFIG, "--trainer.callbacks", "KeepBst"], "did you mean KeepBest?"),
    "callback's value": ([*CONFIG, *EARLY, "--trainer.callbacks.steps=10"], "steps takes a list, not 10"),
    "callback's need": ([*CONFIG, *EARLY], "--trainer.callbacks.steps is missing"),
    "of another callback": ([*CONFIG, "--trainer.callbacks.tasks", "x"], "named before it: --trainer.callbacks+=Other"),
    "a number or a tensor": (["--config", "lora", "--model.optimizer.lr", "nan"], "lr takes a number, not nan"),
    "no class": ([*CONFIG, "--model.reparameterisation", "{}"], "takes the name of a class; known are Mixture, Res"),
    "algorithm": (["--model", "MetaPromptTuning", "--model.algorithm", "MALM"], "did you mean MAML or FoMAML?"),
    "word": ([*CONFIG, "extra"], "extra belongs to no option"),
    "no value": ([*CONFIG, "--data.k"], "--data.k has no value"),
    "no classes": (["--seed_everything", "3"], "--data and --model are missing: give a config"),
    "no task": (CONFIG, "--data.task is missing: mpt tasks lists the tasks"),
    "unknown task": ([*CONFIG, "--data.task", "syn-sentimen-review", "--trainer.logger", "false"], "syn-sentiment-r"),
}  # fmt: skip


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    return Mpt(capsys)


def _told(ended) -> str:
    lines = [line for line in ended.err.splitlines() if line.startswith("mpt: error: ")]
    assert ended.code == 2 and len(lines) == 1 and "Traceback" not in ended.err and "NestedArg" not in ended.err
    return lines[0]


@pytest.mark.parametrize(("words", "says"), MISTAKES.values(), ids=MISTAKES)
def test_one_sentence_names_the_nearest(words, says, mpt, tmp_path):
    assert says in _told(mpt("fit", *words))
    assert not list(tmp_path.iterdir())


TWO_CALLBACKS = """trainer:
  callbacks:
    - class_path: mpt.callbacks.KeepBest
      init_args:
        folder: best
    - class_path: mpt.callbacks.KeepEarly
      init_args:
        steps: [1]
        folder: [7]
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model:\n  class_path: PromptTuning\n  init_args:\n    prompt_lenght: 5\n", "line 4: --model.prompt_l"),
        ("modle:\n  class_path: PromptTuning\n", "line 1: modle is not an option; did you mean model?"),
        ("trainer:\n  max_steps: [\n", "line 3 is not YAML"),
        ("trainer:\n  max_steps: 1\n  max_steps: 2\n", "line 3: the key trainer.max_steps stands in line 2 already"),
        ("trainer: !!python/object/apply:os.getcwd []\n", "line 1: trainer: the tag !!python/object/apply"),
        ("# lrr\nmodel:\n  init_args:\n    lrr: 5\n", "line 4: --model.lrr is not an option of PromptTuning"),
        ("trainer:\n  # 10 max_steps\n  max_steps: 1e1\n", "line 3: --trainer.max_steps takes a whole number, not 10"),
        ("trainer:\n  max_step: 5\n", "line 2: trainer.max_step is not an option; did you mean --trainer.max_steps"),
        ("data:\n  init_args:\n    promt: x\n", "line 3: --data.promt is not an option of FewShotData"),
        (TWO_CALLBACKS, "mine.yaml: --trainer.callbacks.folder"),
        ("", "must be a mapping of options (model, data, trainer), not nothing"),
        ("- a\n", "must be a mapping of options (model, data, trainer), not a list"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_named_with_the_file(text, says, mpt, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    told = _told(mpt("fit", *CONFIG, "--config", "mine.yaml"))
    assert "mine.yaml" in told and says in told


def test_the_innermost_reason_is_told():
    text = """Parser key "model":
  Does not validate against any of the Union subtypes
  Errors:
    - Problem with given class_path 'mpt.learn.PromptTuning':
        Parser key "init":
          Problem with given class_path 'mpt.prompt.initialisers.SavedPrompt':
            Option 'pth' is not accepted
    - Expected a <class 'NoneType'>
"""
    assert "--model.init.pth is not an option" in sentence(text, [], [])
    assert "did you mean path" in sentence(text, [], [])


def test_an_option_below_an_option_is_named_in_its_order():
    text = """Parser key "model":
  Errors:
    - Parser key "text":
        Errors:
          - Expected a <class 'str'>. Got value: {'Which': 'x'}
        Given value: NestedArg(key='emo', val={'Which': 'x'})
  Given value: NestedArg(key='init.text.emo', val={'Which': 'x'})
"""
    assert sentence(text, [], []) == "--model.init.text.emo takes a text, not {'Which': 'x'}"
