"""What ``mpt fit --help`` says: the options that matter, told without importing what has them."""

from __future__ import annotations

OPTIONS: dict[str, tuple[tuple[str, str | None, str], ...]] = {
    "what": (
        ("--config", None, "a method's file, or the name of a shipped one (mpt configs list); several go over another"),
        ("--model", None, "the learner: PromptTuning, MetaPromptTuning, FineTuning, LoRA, LanguageModeling, or yours"),
        ("--data", None, "its data: FewShotData, MixtureData, EpisodeData, or one of yours"),
    ),
    "--data FewShotData": (
        ("--data.task", None, "the task (mpt tasks; mpt tasks --root synthetic), or one of your own: a YAML file"),
        ("--data.root", "synthetic", "folder of CrossFit's few-shot files, or the word synthetic"),
        ("--data.seed", "13", "which few-shot draw: CrossFit's are 13 21 42 87 100"),
        ("--data.k", "null", "size of the draw, where there are several, or all"),
        ("--data.batch_size", "8", "examples a step"),
    ),
    "--model PromptTuning": (
        ("--model.backbone", "mpt-tiny", "hub name, folder, GGUF file, mpt-tiny or smollm2-135m"),
        ("--model.prompt_length", "100", "rows of the prompt"),
        ("--model.init", "SampledVocabulary", "start: Uniform, SampledVocabulary, ClassLabels, FromText, SavedPrompt"),
        ("--model.optimizer.lr", "0.3", "learning rate"),
    ),
    "trainer": (
        ("--trainer.max_steps", "-1", "optimiser steps; the shipped methods have their own"),
        ("--trainer.precision", "null", "32-true, bf16-mixed, … (null: 32-true)"),
        ("--trainer.accelerator", "auto", "cpu, gpu, auto"),
        ("--trainer.default_root_dir", "null", "the run's folder (null: runs/<config>/<task>-<seed>)"),
        ("--ckpt_path", "null", "last goes on with the run of that folder"),
        ("--seed_everything", "13", "of the prompt's start, of dropout and of the order of the batches"),
    ),
}  # fmt: skip
"""By group: name, default of the class (none: it has none), and what it is."""


def fit_help(word: str) -> str:
    """The help of ``mpt fit``, ``validate``, ``test`` or ``predict``."""
    parts = [f"usage: mpt {word} --config NAME [--option value …]\n\n{_WHAT[word]}\n"]
    for group, options in OPTIONS.items():
        parts.append(f"\n{group}:\n")
        for name, default, what in options:
            parts.append(f"  {name:<27} {what}{'' if default is None else f' (default: {default})'}\n")
    parts.append(_END.replace("mpt fit", f"mpt {word}"))
    return "".join(parts)


_WHAT = {
    "fit": "One run of one method: learn, and keep what was best on dev.",
    "validate": "The score on dev of what a run learned; give the options of its fit.",
    "test": "The score on test of what a run learned; give the options of its fit.",
    "predict": "The answers to the test inputs by what a run learned; give the options of its fit.",
}

_END = """
examples:
  mpt fit --config prompt_tuning --data.task syn-sentiment-review
  mpt fit --config prompt_tuning --data.root data --data.task superglue-cb --data.seed 21 --model.optimizer.lr 0.5
  mpt fit --config maml --model.algorithm.inner_steps 8 --print_config

A config's values go over these defaults, and what is typed over both; --print_config prints what comes of it.
  mpt fit --help all               every option of the trainer
  mpt fit --help MetaPromptTuning  the options of a class: of a learner, a data module, or a part of one such as MAML
"""
