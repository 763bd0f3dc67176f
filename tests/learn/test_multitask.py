"""A prompt of many tasks with a scale for each: against PEFT's class, and learned through the command line."""

from __future__ import annotations

import pytest
import torch
from peft import MultitaskPromptTuningConfig
from peft.tuners.multitask_prompt_tuning.model import MultitaskPromptEmbedding, MultitaskPromptTuningInit
from support.meta_toy import OPTIONS
from support.toy import small_fit
from support.toy_study import SOURCES

from mpt.data.modules.batch import TextBatch
from mpt.data.modules.mixture import MixtureData
from mpt.learn import MultitaskPromptTuning
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


def test_mistakes_are_told(model_folder):
    from mpt.prompt.residual import Residual

    made = MultitaskPromptTuning(str(model_folder("t5")), backbone_options=OPTIONS)
    with pytest.raises(UserError, match="rows of named tasks"):
        made.prepare()
    made = MultitaskPromptTuning(str(model_folder("t5")), reparameterisation=Residual(), backbone_options=OPTIONS)
    with pytest.raises(UserError, match="is a reparameterisation itself"):
        made.prepare(tasks=("one",))
