"""What CrossFit's loaders do to an example: its task's name in front, and a training target drawn among references."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from scipy import stats

from mpt.data.build.text_files import write_texts
from mpt.data.fewshot.files import write_tsv
from mpt.data.modules.batch import TextBatch
from mpt.data.modules.episodes import EpisodeData
from mpt.data.modules.few_shot import FewShotData
from mpt.data.modules.mixture import MixtureData
from mpt.data.modules.references import drawn
from mpt.data.modules.text_data import TextData
from mpt.data.tasks.task import Example
from mpt.learn.side_by_side import PackedRun, RunProgress
from mpt.util.errors import UserError

TASKS = ["samsum", "boolq"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two tasks: samsum's examples have from one to four references, boolq's one."""
    folder = tmp_path_factory.mktemp("data")
    for task in TASKS:
        for seed in (13, 21):
            for split in ("train", "dev", "test"):
                examples = []
                for i in range(8):
                    name = f"{task} {split} {seed} {i}"
                    answers = tuple(f"{name} answer {j}" for j in range(1 + i % 4)) if task == "samsum" else ("yes",)
                    examples.append(Example(name, answers))
                write_tsv(folder / task / f"{task}_16_{seed}_{split}.tsv", examples)
    return str(folder)


def few(root: str, **options) -> FewShotData:
    return FewShotData("samsum", root, batch_size=5, eval_batch_size=3, **options)


def mixture(root: str, **options) -> MixtureData:
    return MixtureData(TASKS, root=root, seeds=[13, 21], batch_size=6, **options)


def episodes(root: str, **options) -> EpisodeData:
    return EpisodeData(TASKS, root=root, seeds=[13, 21], batch_size=2, support_batches=2, query_batch_size=3, **options)


def train(data: TextData, n: int) -> list[TextBatch]:
    """The first so many batches; of episodes, their support and query batches in turn."""
    made = list(islice(data.train_dataloader(), n))
    if not isinstance(data, EpisodeData):
        return made
    return [batch for each in made for one in each.episodes for batch in (*one.support, one.query)]


def test_each_reference_is_drawn_equally_often_and_all_of_them_are_kept():
    example = Example("q", ("a", "b", "c"))
    found = [drawn(example, 13, place) for place in range(600)]
    assert {(one.input, frozenset(one.targets), len(one.targets)) for one in found} == {("q", frozenset("abc"), 3)}
    assert stats.chisquare(list(Counter(one.targets[0] for one in found).values())).pvalue > 0.01
    assert drawn(Example("q", ("a",)), 13, 0) == Example("q", ("a",))
    blank = {drawn(Example("q", ("a", " ", "", "b")), 13, place).targets[0] for place in range(50)}
    assert blank == {"a", "b"} and drawn(Example("q", (" ", "a")), 13, 0).targets == ("a",)


@pytest.mark.parametrize("make", [few, mixture, episodes])
def test_training_draws_among_the_references_and_nothing_else_changes(make, root):
    first, other = train(make(root), 40), train(make(root, references="drawn"), 40)
    seen: dict[str, set[str]] = {}
    for one, two in zip(first, other, strict=True):
        assert (one.inputs, one.tasks) == (two.inputs, two.tasks)
        assert one.targets == [references[0] for references in one.references]
        for source, target, mine, theirs in zip(two.inputs, two.targets, two.references, one.references, strict=True):
            assert target == mine[0] and sorted(mine) == sorted(theirs)
            seen.setdefault(source, set()).add(target)
    # Another reference from time to time, even for an example that came before.
    assert any(len(targets) > 1 for targets in seen.values())
    assert {len(seen[name]) for name in seen if name.startswith("boolq")} <= {1}


@pytest.mark.parametrize("make", [few, mixture, episodes])
def test_what_is_drawn_is_a_function_of_seed_and_place(make, root):
    whole = train(make(root, references="drawn"), 8)
    assert train(make(root, references="drawn", num_workers=2), 8) == whole
    assert train(make(root, references="drawn", seed=21), 8) != whole
    resumed = make(root, references="drawn")
    resumed.load_state_dict({"batches": 5, "step": 5})
    assert train(resumed, 3) == whole[5 * len(whole) // 8 :]


def test_side_by_side_a_run_sees_its_own_batches(root):
    own = few(root, references="drawn", task_prefix=True)
    packed = PackedRun("a", few(root, references="drawn", task_prefix=True), None, None)
    run = RunProgress(packed)
    assert [run.next_batch() for _ in range(6)] == train(own, 6)
    assert RunProgress(packed, steps=3).next_batch() == train(own, 4)[3]  # as after a kill


def test_what_is_scored_keeps_the_first_reference_in_front(root):
    for name in ("val_dataloader", "test_dataloader"):
        assert list(getattr(few(root, references="drawn"), name)()) == list(getattr(few(root), name)())
    one, two = (
        EpisodeData(["boolq"], root=root, seeds=[13], validation=["samsum"], **options)
        for options in ({}, {"references": "drawn"})
    )
    assert list(one.val_dataloader()) == list(two.val_dataloader())


@pytest.mark.parametrize("make", [few, mixture, episodes])
def test_the_tasks_name_stands_in_front_of_every_input(make, root):
    plain, named = train(make(root), 6), train(make(root, task_prefix=True), 6)
    for one, two in zip(plain, named, strict=True):
        assert two.inputs == [f"[{task}] {text}" for task, text in zip(one.tasks, one.inputs, strict=True)]
        assert (two.targets, two.references, two.tasks) == (one.targets, one.references, one.tasks)


def test_it_stands_there_in_what_is_scored_too(root):
    for name in ("val_dataloader", "test_dataloader", "predict_dataloader"):
        inputs = [text for batch in getattr(few(root, task_prefix=True), name)() for text in batch.inputs]
        split = "dev" if name == "val_dataloader" else "test"
        assert inputs == [f"[samsum] samsum {split} 13 {i}" for i in range(8)]
    data = MixtureData(["boolq"], root=root, seeds=[13], validation=["samsum"], task_prefix=True)
    assert next(iter(data.val_dataloader())).inputs[0] == "[samsum] samsum dev 13 0"
    held_out = EpisodeData(["boolq"], root=root, seeds=[13], validation=["samsum"], task_prefix=True)
    (episode,) = next(iter(held_out.val_dataloader())).episodes
    assert all(text.startswith("[samsum] samsum train 13 ") for text in episode.support[0].inputs)
    assert episode.query.inputs == [f"[samsum] samsum dev 13 {i}" for i in range(8)]


def test_unlabelled_text_is_left_as_it_is(root, tmp_path):
    tmp_path.joinpath("prose.txt").write_text("\n\n".join(f"w{i} x{i} y{i} z{i}" for i in range(20)))
    write_texts(Path(root), "prose", [tmp_path / "prose.txt"], (13,))
    made = [
        MixtureData(["samsum", "prose"], root=root, seeds=[13], splits=["train"], batch_size=9, **options)
        for options in ({}, {"task_prefix": True, "references": "drawn"})
    ]
    for one, two in zip(train(made[0], 5), train(made[1], 5), strict=True):
        for task, before, after in zip(one.tasks, one.inputs, two.inputs, strict=True):
            assert after == (before if task == "prose" else f"[{task}] {before}")
    texts = [FewShotData("prose", root, metric="EM", task_prefix=named) for named in (False, True)]
    assert train(texts[0], 3) == train(texts[1], 3)
    assert list(texts[0].val_dataloader()) == list(texts[1].val_dataloader())


@pytest.mark.parametrize("make", [few, mixture, episodes])
def test_another_word_is_refused(make, root):
    with pytest.raises(UserError, match=r"--data\.references is first or drawn, not 'all'"):
        make(root, references="all")
