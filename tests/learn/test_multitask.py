"""A prompt of many tasks with a scale for each: against PEFT's class, and learned through the command line."""

from __future__ import annotations

import pytest
import torch
from peft import MultitaskPromptTuningConfig
from peft.tuners.multitask_prompt_tuning.model import MultitaskPromptEmbedding, MultitaskPromptTuningInit
from support.meta_toy import OPTIONS, fit, sgd
from support.toy import small_fit
from support.toy_study import SOURCES

from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.batch import TextBatch
from mpt.data.modules.mixture import MixtureData
from mpt.learn import MultitaskPromptTuning
from mpt.library.library import Library
from mpt.library.recipe import KeyRecipe
from mpt.prompt.files import load_prompt
from mpt.util.errors import UserError


@pytest.fixture
def learner(model_folder, root):
    made = MultitaskPromptTuning(str(model_folder("t5")), prompt_length=4, backbone_options=OPTIONS)
    made.prepare(tasks=("one", "two", "three"))
    with torch.no_grad():
        for seed, part in enumerate((made.rows, made.columns)):
            part.copy_(torch.randn(part.shape, generator=torch.Generator().manual_seed(seed)))
    return made


def test_each_tasks_prompt_and_the_start_of_a_new_one_are_pefts(learner, tmp_path):
    width = learner.backbone.hidden_size
    known = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 4, "num_tasks": 3, "num_ranks": 1, "token_dim": width}
    config = MultitaskPromptTuningConfig(**known, num_transformer_submodules=1, prompt_tuning_init="RANDOM")
    theirs = MultitaskPromptEmbedding(config, torch.nn.Embedding(2, width))
    with torch.no_grad():
        theirs.embedding.weight.copy_(learner.prompt.weight)
        theirs.prefix_task_cols.copy_(learner.rows[:, :, None])
        theirs.prefix_task_rows.copy_(learner.columns[:, None, :])
    tasks = ("three", "one", "three", "two")
    batch = TextBatch(["a"] * 4, ["b"] * 4, [["b"]] * 4, list(tasks))
    with torch.no_grad():
        wanted = theirs(torch.arange(4).expand(4, -1), torch.tensor([2, 0, 2, 1]))
        torch.testing.assert_close(learner.prompt_for(batch), wanted)
    state = tmp_path / "state.pt"
    torch.save(
        {
            "prompt_embeddings": learner.prompt.weight.detach(),
            "prefix_task_cols": theirs.prefix_task_cols.detach(),
            "prefix_task_rows": theirs.prefix_task_rows.detach(),
        },
        state,
    )
    new = MultitaskPromptTuningConfig(
        **{**known, "num_tasks": 1},
        num_transformer_submodules=1,
        prompt_tuning_init=MultitaskPromptTuningInit.AVERAGE_SOURCE_TASKS,
        prompt_tuning_init_state_dict_path=str(state),
    )
    with torch.no_grad():
        begun = MultitaskPromptEmbedding(new, torch.nn.Embedding(2, width))(torch.arange(4)[None], torch.tensor([0]))
        torch.testing.assert_close(learner.whole[None], begun)


def test_it_begins_with_one_prompt_for_all(model_folder):
    made = MultitaskPromptTuning(str(model_folder("t5")), prompt_length=4, backbone_options=OPTIONS)
    made.prepare(tasks=("one", "two"))
    batch = TextBatch(["a"] * 2, ["b"] * 2, [["b"]] * 2, ["one", "two"])
    assert torch.equal(made.prompt_for(batch), made.prompt.weight.expand(2, -1, -1))
    assert torch.equal(made.whole, made.prompt.weight)


def test_a_task_of_no_scale_has_the_start_of_a_new_one(learner):
    batch = TextBatch(["a"] * 2, ["b"] * 2, [["b"]] * 2, ["four", "four"])
    assert torch.equal(learner.prompt_for(batch), learner.whole)


@pytest.mark.long
def test_what_a_run_stores_is_a_start(mpt, model_folder, root, tmp_path):
    words = small_fit(
        model_folder("t5"), root, tmp_path / "run", data__task=None, data__metric=None, trainer__val_check_interval=None
    )
    given = ["--config", "multitask", *words, "--data.partition", "null"]
    ended = mpt("fit", *given, f"--data.tasks={list(SOURCES)}", "--data.seeds=[13]")
    assert ended.code == 0, ended.err
    stored = load_prompt(tmp_path / "run" / "prompt")
    assert stored.weight.shape[0] == 4 and stored.facts["method"] == "MultitaskPromptTuning"
    data = MixtureData(tasks=list(SOURCES), root=str(root), seeds=[13])
    made = MultitaskPromptTuning(str(model_folder("t5")), prompt_length=4, backbone_options=OPTIONS)
    data.setup()
    made.prepare(tasks=tuple(data.task_names))
    made.load_learned(tmp_path / "run" / "prompt")
    torch.testing.assert_close(made.whole, stored.weight)


def test_distillation_is_the_divergence_of_each_target_token(model_folder, root, tmp_path):
    made, library = taught(model_folder("t5"), tmp_path)
    text = TextBatch(["a b", "c"], ["g", "b c"], [("g",), ("b c",)], ["two", "one"])
    batch = made.backbone.encode(text.inputs, text.targets)
    made.backbone.eval()
    total, count = 0.0, 0
    for row, task in enumerate(text.tasks):
        one = made.backbone.encode([text.inputs[row]], [text.targets[row]])
        length = int(one.target_lengths[0])
        with torch.no_grad():
            ours = made.backbone.log_probabilities(made.prompt(), one)[0, :length]
            theirs = made.backbone.log_probabilities(library[task], one)[0, :length]
            # What is summed is what the loss is of.
            gold = ours.gather(1, one.labels[0, :length, None]).sum()
            assert float(made.backbone.loss(made.prompt(), one)) == pytest.approx(-float(gold), rel=1e-5)
        total += float(torch.nn.functional.kl_div(ours, theirs, log_target=True, reduction="sum"))
        count += length
    assert float(made.divergence(text, batch).detach()) == pytest.approx(total / count, rel=1e-4)
    with torch.no_grad():
        made.prompt.weight.copy_(library["two"])
    alone = TextBatch(["a b"], ["g"], [("g",)], ["two"])
    nothing = made.divergence(alone, made.backbone.encode(alone.inputs, alone.targets))
    assert float(nothing.detach()) == pytest.approx(0, abs=1e-6), "a student like its teacher has nothing to learn"


def test_the_best_on_dev_teaches_and_a_task_without_a_teacher_is_named(model_folder, tmp_path):
    made, library = taught(model_folder("t5"), tmp_path)
    assert torch.equal(made.taught, torch.stack([library["one"], library["two"]]))
    other = MultitaskPromptTuning(str(model_folder("t5")), 4, str(tmp_path / "library"), backbone_options=OPTIONS)
    with pytest.raises(UserError, match="has no prompt of three on"):
        other.prepare(tasks=("one", "three"))
    with pytest.raises(UserError, match="distil must be above 0, not 0"):
        MultitaskPromptTuning(distil=0)


@pytest.mark.long
def test_a_distilled_run_differs_by_the_gradient_of_the_divergence(model_folder, root, tmp_path):
    """One step of plain descent from the same batch: what is added to the loss is added to the gradient."""
    data = MixtureData(tasks=list(SOURCES), root=str(root), seeds=[13], batch_size=4)
    data.setup()
    names = tuple(data.task_names)
    shelf = tmp_path / "library"
    fill(shelf, model_folder("t5"), names)
    moved = {}
    for name, where in (("plain", None), ("taught", str(shelf))):
        made = MultitaskPromptTuning(
            str(model_folder("t5")), 4, where, 0.5, optimizer=sgd(1.0), backbone_options=OPTIONS
        )
        made.seed = 5
        made.on_fit_start = made.eval  # without dropout
        fit(
            made,
            MixtureData(tasks=list(SOURCES), root=str(root), seeds=[13], batch_size=4),
            tmp_path / name,
            max_steps=1,
        )
        moved[name] = made
    assert (moved["plain"].examples, moved["taught"].examples) == (4, 3 * 4)
    fresh = MultitaskPromptTuning(str(model_folder("t5")), 4, str(shelf), backbone_options=OPTIONS)
    fresh.seed = 5
    fresh.prepare(tasks=names)
    text = next(iter(data.train_dataloader()))
    divergence = fresh.divergence(text, fresh.backbone.encode(text.inputs, text.targets))
    gradient = torch.autograd.grad(divergence, fresh.prompt.weight)[0]
    difference = moved["plain"].prompt.weight - moved["taught"].prompt.weight
    torch.testing.assert_close(difference.detach(), 0.5 * gradient, rtol=1e-3, atol=1e-6)


def fill(folder, model, tasks, score=0.5):
    backbone = FrozenBackbone(str(model), OPTIONS)
    shelf = Library.create(folder, KeyRecipe(str(model), 4, 20, 0.3, 8, 13))
    values = {}
    for seed, task in enumerate(tasks):
        generator = torch.Generator().manual_seed(seed)
        value = torch.randn(4, backbone.hidden_size, generator=generator)
        facts = {"fingerprint": backbone.fingerprint, "task": task, "seed": seed, "dev_score": score}
        shelf.add(f"{task}-{seed}-{score}", value, value, facts, decoder_only=False)
        values[task] = value
    return values


def taught(model, folder):
    """A learner of two tasks with a teacher each, and the teachers."""
    values = fill(folder / "library", model, ("one", "two"))
    fill(folder / "library", model, ("two", "one"), 0.1)
    made = MultitaskPromptTuning(str(model), 4, str(folder / "library"), backbone_options=OPTIONS)
    made.prepare(tasks=("one", "two"))
    return made, values


def test_mistakes_are_told(model_folder):
    made = MultitaskPromptTuning(str(model_folder("t5")), backbone_options=OPTIONS)
    with pytest.raises(UserError, match="rows of named tasks"):
        made.prepare()
