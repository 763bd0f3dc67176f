"""What an adaptation leaves: the folder of its prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mpt.adapt.examples import Examples
from mpt.adapt.result import AdaptResult, TriedStart
from mpt.backbone.model import FrozenBackbone
from mpt.library.card import prompt_card
from mpt.library.entry import KEY
from mpt.library.recipe import KeyRecipe
from mpt.prompt.files import backbone_facts, save_prompt
from mpt.record.folder import ENSEMBLE, PREDICTIONS, TRIED
from mpt.record.rows import write_predictions
from mpt.util.files import new_folder, write_json

_OF_THE_CHOSEN = ("tried", "init", "init_options", "test_score", "test_score_from_sampled_vocabulary")


def save(
    found: AdaptResult,
    examples: Examples,
    backbone: FrozenBackbone,
    recipe: KeyRecipe,
    how: Mapping[str, Any],
    out: Path,
) -> None:
    """Write the folder of the chosen prompt, which PEFT loads, whole or not at all: the task's key in ``key``, the
    members of a vote in ``ensemble``, what was answered on dev and test, and the evaluations of every start.

    Args:
        recipe: of the key.
        how: further facts of all prompts in it: ``seed``, ``steps``, ``learning_rate`` and ``library``.
        out: new.
    """
    chosen = found.chosen
    assert chosen.tuned.value is not None
    known = backbone_facts(backbone.config)
    facts = known | {
        "fingerprint": backbone.fingerprint,
        "method": "adapt",
        "task": examples.task.name,
        "metric": examples.task.metric,
        "labels": list(examples.task.labels),
        "answers": "labels" if found.labels else "free",
        **how,
        "step": chosen.tuned.best_step,
        "dev_score": chosen.tuned.dev_score,
        "start": chosen.start,
        **_init(chosen),
        "similarity": chosen.similarity,
        "examples": {"train": len(examples.train), "dev": len(examples.dev), "test": len(examples.test)},
        **backbone.options.remembered,
        "tried": [
            {
                "start": one.start,
                "task": one.task,
                "similarity": one.similarity,
                "dev_score": one.tuned.dev_score,
                "dev_loss": one.tuned.dev_loss,
                "step": one.tuned.best_step,
            }
            for one in found.tries
        ],
    }
    if examples.template:
        facts["template"] = examples.template
    if found.test is not None:
        facts |= {"test_score": found.test[0]}
        facts |= {} if found.test[1] is None else {"test_score_from_sampled_vocabulary": found.test[1]}
    out.parent.mkdir(parents=True, exist_ok=True)
    with new_folder(out) as fresh:
        save_prompt(fresh, chosen.tuned.value, backbone.name, backbone.decoder_only, facts, prompt_card)
        if found.key is not None:
            of_key = {name: facts[name] for name in ("fingerprint", "task", "seed")} | known
            of_key["recipe"] = asdict(recipe)
            save_prompt(fresh / KEY, found.key, backbone.name, backbone.decoder_only, of_key)
        for number, one in enumerate(found.together.members if found.together else (), start=1):
            assert one.tuned.value is not None
            own = {name: value for name, value in facts.items() if name not in _OF_THE_CHOSEN}
            own |= {"start": one.start, **_init(one), "similarity": one.similarity, "step": one.tuned.best_step}
            own["dev_score"] = one.tuned.dev_score
            save_prompt(fresh / ENSEMBLE / str(number), one.tuned.value, backbone.name, backbone.decoder_only, own)
        for split, rows in found.outputs.items():
            write_predictions(fresh / f"{split}_{PREDICTIONS}", rows)
        write_json(fresh / TRIED, {one.start: one.tuned.history for one in found.tries})


def _init(tried: TriedStart) -> dict[str, Any]:
    """How the start was made, as a run of ``mpt fit`` says it; nothing of a prompt that was learned."""
    return {"init": tried.made["model.init"], "init_options": dict(tried.made)} if tried.made else {}
