"""Factorised prompts: rows of a batch against one by one, recombination against concatenation by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.toy import Finished, Mpt, json_lines, small_fit, write_toy
from torch import Tensor

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone, token_mean
from mpt.data.fewshot.files import load_fewshot
from mpt.data.modules.batch import TextBatch
from mpt.data.modules.combined import CombinedData
from mpt.learn import FactorisedPromptTuning, SubPromptTuning
from mpt.metrics.generation import sp_rouge
from mpt.prompt.files import load_prompt, save_prompt
from mpt.prompt.initialisers import InitContext, Parts
from mpt.prompt.parts import load_parts
from mpt.util.errors import UserError

OBJECTIVES = ("prefix-lm", "span-corruption")


def write_texts(root: Path) -> Path:
    write_toy(root)
    for language in ("en", "th"):
        folder = root / f"text-{language}"
        folder.mkdir()
        for split in ("train", "dev", "test"):
            lines = [f"\ta {language} big dog and a small cat {number}\n" for number in range(9)]
            (folder / f"text-{language}_16_13_{split}.tsv").write_text("".join(lines))
    return root


def learner_on(backbone: FrozenBackbone) -> FactorisedPromptTuning:
    learner = FactorisedPromptTuning(language_length=2, task_length=3)
    learner.tasks = tuple(f"{language}/{objective}" for language in ("en", "th") for objective in OBJECTIVES)
    learner.build_on(backbone, ())
    return learner


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_a_batch_of_combinations_is_its_rows_one_by_one(kind, model_folder):
    backbone = FrozenBackbone(str(model_folder(kind)), BackboneOptions(max_input_length=32, max_target_length=8))
    learner = learner_on(backbone)
    assert learner.prompt.weight.shape == (2 * 2 + 2 * 3, backbone.hidden_size)
    names = ["th/span-corruption", "en/prefix-lm", "en/span-corruption", "th/prefix-lm", "th/span-corruption"]
    inputs, targets = [f"a big dog {n}" for n in range(5)], ["yes", "no", "a cat", "yes", "no"]
    text = TextBatch(inputs, targets, [(target,) for target in targets], names)
    batch = backbone.encode(inputs, targets)
    loss = backbone.loss(learner.prompt_for(text), batch)
    token_mean(loss, batch).backward()
    together = learner.prompt.weight.grad.clone()

    table = learner.prompt.weight.detach().clone().requires_grad_()
    first = {"language/en": 0, "language/th": 2, "task/prefix-lm": 4, "task/span-corruption": 7}
    losses = []
    for name, source, target in zip(names, inputs, targets, strict=True):
        language, task = name.split("/")
        by_hand = torch.cat(
            [table[(at := first[f"language/{language}"]) : at + 2], table[(at := first[f"task/{task}"]) : at + 3]]
        )
        losses.append(backbone.loss(by_hand, backbone.encode([source], [target]))[0])
    torch.testing.assert_close(loss, torch.stack(losses), atol=1e-4, rtol=1e-4)
    token_mean(torch.stack(losses), batch).backward()
    torch.testing.assert_close(together, table.grad, atol=1e-4, rtol=1e-3)


def test_each_row_has_its_language_and_its_task(tmp_path):
    data = CombinedData({"en": "text-en", "th": "text-th"}, str(write_texts(tmp_path)), [*OBJECTIVES, "language-model"])
    loader = data.train_dataloader()
    rows = [
        row
        for _, text in zip(range(60), loader, strict=False)
        for row in zip(text.tasks, text.inputs, text.targets, strict=True)
    ]
    counts = {name: sum(task == name for task, *_ in rows) for name in data.task_names}
    assert len(counts) == 6 and all(abs(count / len(rows) - 1 / 6) < 0.03 for count in counts.values())
    for name, source, target in rows:
        language, objective = name.split("/")
        assert f"{language}" in f"{source} {target}".split()
        assert ("<extra_id_0>" in source) == (objective == "span-corruption")
        assert (source == "") == (objective == "language-model")


def parts_on(backbone: FrozenBackbone, folder: Path) -> Tensor:
    """A stored prompt of two languages' parts, of two rows each, and a task's, of three; its rows."""
    rows = torch.arange(7.0)[:, None] + torch.zeros(7, backbone.hidden_size)
    places = {"language/en": [0, 2], "language/th": [2, 4], "task/x": [4, 7]}
    save_prompt(folder, rows, backbone.name, backbone.decoder_only, {"parts": places})
    return rows


def test_each_row_of_a_training_batch_stands_behind_one_of_several_languages(tmp_path, model_folder):
    backbone = FrozenBackbone(str(model_folder("t5")), BackboneOptions(max_input_length=32, max_target_length=8))
    rows = parts_on(backbone, tmp_path / "parts")
    either = ["language/en", "language/th"]
    own = {"before": str(tmp_path / "parts"), "before_parts": ["language/en"], "backbone": backbone.name}
    learner = SubPromptTuning(**own, prompt_length=3, before_any=either)
    learner.build_on(backbone, ())
    text = TextBatch(["a"] * 40, ["b"] * 40, [("b",)] * 40, ["t"] * 40)

    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return learner.train().prompt_for(text)

    prompts = drawn(1)
    assert prompts.shape == (40, 5, backbone.hidden_size)
    assert all(torch.equal(prompt[2:], learner.prompt.weight) for prompt in prompts)
    behind = [next(n for n in (0, 2) if torch.equal(prompt[:2], rows[n : n + 2])) for prompt in prompts]
    assert 10 < behind.count(2) < 30
    assert torch.equal(prompts, drawn(1)) and not torch.equal(prompts, drawn(2))
    prompts.sum().backward()
    assert torch.equal(learner.prompt.weight.grad, torch.full_like(learner.prompt.weight, 40.0))
    assert torch.equal(learner.eval().prompt_for(text), torch.cat([rows[:2], learner.prompt.weight]))

    for wrong, told in (
        (["language/en"], "two or more parts"),
        ([*either, "language/en"], "each named once"),
        (["language/en", "task/x"], "task/x has not as many rows as language/en"),
    ):
        with pytest.raises(UserError, match=told):
            SubPromptTuning(**own, before_any=wrong).build_on(backbone, ())


@pytest.mark.long
def test_a_run_that_goes_on_stands_behind_the_same_languages(tmp_path, capsys, monkeypatch, model_folder):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    mpt, root, model = Mpt(capsys), write_toy(tmp_path / "data"), model_folder("t5")
    parts_on(FrozenBackbone(str(model), BackboneOptions()), tmp_path / "parts")

    def fit(run: str, steps: int, *more: object, either: tuple[str, str] = ("language/en", "language/th")) -> Finished:
        learner = ["--model", "SubPromptTuning", "--model.before", tmp_path / "parts"]
        learner += ["--model.before_parts", '["language/en"]', "--model.before_any", json.dumps(either)]
        options = small_fit(model, root, tmp_path / run, trainer__max_steps=steps)
        return mpt("fit", "--config", "prompt_tuning", *learner, *options, *more)

    assert fit("whole", 6).code == fit("cut", 2).code == 0
    other = fit("cut", 6, "--ckpt_path", "last", either=("language/th", "language/en"))
    assert other.code == 2 and "fixed rows" in other.err
    assert fit("cut", 6, "--ckpt_path", "last").code == 0
    assert json_lines(tmp_path / "cut" / "metrics.jsonl")[-1] == json_lines(tmp_path / "whole" / "metrics.jsonl")[-1]
    whole, cut = (torch.load(tmp_path / run / "last.ckpt")["state_dict"] for run in ("whole", "cut"))
    assert torch.equal(whole["prompt.weight"], cut["prompt.weight"])


@pytest.mark.long
def test_learned_recombined_and_answered(tmp_path, capsys, monkeypatch, model_folder):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    mpt, root, model = Mpt(capsys), write_texts(tmp_path / "data"), model_folder("t5")
    write_toy(root, "andere")
    lengths = ["--model.backbone_options.max_input_length", 32, "--model.backbone_options.max_target_length", 4]
    done = mpt(
        *("fit", "--config", "spot", "--model", "FactorisedPromptTuning", "--model.backbone", model, *lengths),
        *("--model.language_length", 2, "--model.task_length", 3, "--model.optimizer.lr", 0.3),
        *("--data", "CombinedData", "--data.languages", '{"en": "text-en", "de": "text-th"}', "--data.root", root),
        *("--data.seeds", "[13]", "--data.batch_size", 4, "--trainer.max_steps", 3, "--trainer.accelerator", "cpu"),
        *("--trainer.default_root_dir", tmp_path / "parts"),
    )
    assert done.code == 0, done.err
    parts = tmp_path / "parts" / "prompt"
    stored = load_prompt(parts)
    assert stored.weight.shape == (2 * 2 + 7 * 3, 32) and list(stored.facts["parts"])[:3] == [
        "language/en", "language/de", "task/prefix-lm",
    ]  # fmt: skip

    fit = small_fit(model, root, tmp_path / "run", data__metric="SP-ROUGE", trainer__max_steps=2)
    recombine = ["--trainer.callbacks.recombine=true", "--trainer.callbacks.kept=true"]
    sub = ["--model", "SubPromptTuning", "--model.before", parts, "--model.before_parts", '["language/en"]']
    watch = ["--trainer.callbacks+=OtherLanguages", '--trainer.callbacks.tasks={"andere": "de"}']
    options = ["--config", "prompt_tuning", *sub, *fit, *watch, *recombine]
    assert (done := mpt("fit", *options)).code == 0, done.err
    learned = load_prompt(tmp_path / "run" / "prompt")
    assert learned.facts["parts"] == {"before": [0, 2], "learned": [2, 6]}
    assert torch.equal(learned.weight[:2], stored.weight[:2])  # English stays as it was
    other = [word if word != '["language/en"]' else '["language/de"]' for word in map(str, options)]
    ended = mpt("test", *other)
    assert ended.code == 2 and "was learned behind other rows than those of language/de" in ended.err
    assert (done := mpt("test", *options)).code == 0, done.err

    backbone = FrozenBackbone(str(model), BackboneOptions(max_input_length=32, max_target_length=4))
    examples = load_fewshot(root, "andere", 13, metric="SP-ROUGE").test
    row, answers = (json_lines(tmp_path / "run" / name) for name in ("metrics.jsonl", "languages.jsonl"))
    for name, part in (("andere", stored.weight[2:4]), ("andere/kept", stored.weight[:2])):
        with torch.no_grad():
            by_hand = torch.cat([part, learned.weight[2:]])
            said = backbone.answer(by_hand, backbone.encode([one.input for one in examples])).texts
        wanted = sp_rouge(said, [one.targets for one in examples], backbone.pieces)
        assert row[-1][f"test/{name}/SP-ROUGE"] == pytest.approx(wanted, abs=1e-5)
        kept = [line["prediction"] for line in answers if (line["split"], line["task"]) == ("test", name)]
        assert kept == said[:3]

    vocabulary = InitContext.of(backbone, 13)
    names = ["language/de", "task/span-corruption"]
    joined = Parts(str(parts), names)(5, vocabulary)
    assert torch.equal(joined, load_parts(parts, names)[0])
    assert Parts(str(parts), names)(9, vocabulary).shape == (9, 32)
    for wrong, told in ((["language/xx"], "has no part language/xx"), ([*names, *names], "more than 5")):
        with pytest.raises(UserError, match=told):
            Parts(str(parts), wrong)(5, vocabulary)
    with pytest.raises(UserError, match="has no parts"):
        load_parts(save_prompt(tmp_path / "plain", learned.weight, "model", False, {}), names)
