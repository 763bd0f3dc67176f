"""Episodes: what is in them and in which order they come, alone, shared out, with workers, and resumed."""

from itertools import islice

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser
from support.toy import ROWS, write_toy

from mpt.data.fewshot import files as fewshot
from mpt.data.fewshot.files import write_tsv
from mpt.data.modules.batch import EpisodeBatch
from mpt.data.modules.episodes import EpisodeData
from mpt.data.modules.mixture import MixtureData
from mpt.data.tasks.task import Example
from mpt.util.errors import UserError

SEEDS = (13, 21, 42)
TASKS = ["trec", "samsum", "boolq", "anli"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Texts that say what they are: ``<task> <split> <seed> <number>``, 12 of each."""
    folder = tmp_path_factory.mktemp("data")
    for task in TASKS:
        for seed in SEEDS:
            for split in ("train", "dev"):
                examples = [Example(f"{task} {split} {seed} {i}", (f"{task}-{i % 3}", "also")) for i in range(12)]
                write_tsv(folder / task / f"{task}_16_{seed}_{split}.tsv", examples)
    return str(folder)


def data(root, **options):
    return EpisodeData(**{"tasks": TASKS, "root": root, "seeds": SEEDS, "batch_size": 2, **options})


def first(module, n):
    """The first so many meta-batches."""
    return list(islice(module.train_dataloader(), n))


def episodes_of(module, n):
    return [episode for batch in first(module, n) for episode in batch.episodes]


def drawn_from(episode):
    """The (split, seed) pairs of an episode's support and of its query."""
    support = [text for batch in episode.support for text in batch.inputs]
    return tuple({tuple(text.split()[1:3]) for text in texts} for texts in (support, episode.query.inputs))


def test_an_episode_has_one_draw_with_support_from_train_and_query_from_dev(root):
    for number, episode in enumerate(episodes_of(data(root, support_batches=3, query_batch_size=5), 60)):
        assert episode.number == number
        assert [len(batch) for batch in episode.support] == [2, 2, 2] and len(episode.query) == 5
        ((split, seed),), ((query_split, query_seed),) = drawn_from(episode)
        assert (split, query_split) == ("train", "dev") and seed == query_seed
        support = [text for batch in episode.support for text in batch.inputs]
        assert len(set(support)) == 6 and len(set(episode.query.inputs)) == 5
        for batch in [*episode.support, episode.query]:
            assert set(batch.tasks) == {episode.task} == {text.split()[0] for text in batch.inputs}
            answers = [f"{episode.task}-{int(text.split()[3]) % 3}" for text in batch.inputs]
            assert batch.targets == answers and batch.references == [(answer, "also") for answer in answers]


def test_every_task_comes_once_an_epoch_and_every_draw_once_in_as_many_epochs_as_there_are(root):
    episodes = episodes_of(data(root), 4 * 3 * 5)
    orders = [tuple(episode.task for episode in episodes[i : i + 4]) for i in range(0, 60, 4)]
    assert all(sorted(order) == sorted(TASKS) for order in orders) and len(set(orders)) > 5
    for i in range(0, 60, 12):
        used = {(episode.task, *drawn_from(episode)[0]) for episode in episodes[i : i + 12]}
        assert used == {(task, ("train", str(seed))) for task in TASKS for seed in SEEDS}


def test_the_query_is_as_large_as_an_inner_batch_unless_said(root):
    (episode,) = episodes_of(data(root, batch_size=3), 1)
    assert len(episode.query) == len(episode.support[0]) == 3


def test_too_many_rows_for_a_split_start_over(root):
    (episode,) = episodes_of(data(root, batch_size=8, support_batches=3, query_batch_size=20), 1)
    support = [text for batch in episode.support for text in batch.inputs]
    assert len(set(support[:12])) == len(set(support[12:])) == 12
    assert len(set(episode.query.inputs[:12])) == 12 and len(episode.query) == 20


@pytest.mark.parametrize(
    ("support_splits", "query_splits"),
    [(["train", "dev"], ["train", "dev"]), (["train"], ["train"]), (["train", "dev"], ["dev"])],
)
def test_no_example_is_in_both_parts_where_the_splits_overlap(root, support_splits, query_splits):
    module = data(root, support_splits=support_splits, query_splits=query_splits, batch_size=4, query_batch_size=8)
    seen = set()
    for episode in episodes_of(module, 40):
        support, query = set(episode.support[0].inputs), set(episode.query.inputs)
        assert len(support) == 4 and len(query) == 8 and not support & query
        seen |= {("support", text.split()[1]) for text in support} | {("query", text.split()[1]) for text in query}
    expected = {("support", split) for split in support_splits} | {("query", split) for split in query_splits}
    assert seen == expected


def test_an_example_that_two_files_hold_is_in_one_part_of_an_episode(tmp_path):
    for split in ("train", "dev"):
        examples = [Example(name, ("yes",)) for name in ("both", split, split)]
        write_tsv(tmp_path / f"trec/trec_16_13_{split}.tsv", examples)
    for episode in episodes_of(EpisodeData(["trec"], root=str(tmp_path), seeds=[13], batch_size=1), 50):
        assert episode.support[0].inputs != episode.query.inputs


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_stream_is_a_function_of_the_seed_whatever_the_workers(root, num_workers):
    options = {"meta_batch_size": 3, "support_batches": 2}
    whole = first(data(root, **options), 20)
    assert first(data(root, num_workers=num_workers, **options), 20) == whole
    assert first(data(root, seed=14, **options), 20) != whole
    assert [[e.number for e in batch.episodes] for batch in whole] == [[n, n + 1, n + 2] for n in range(0, 60, 3)]
    assert {batch.size for batch in whole} == {3}


def test_meta_batches_only_group_the_episodes(root):
    assert episodes_of(data(root, meta_batch_size=3), 20) == episodes_of(data(root), 60)


class Recorder(pl.LightningModule):
    """Learns nothing by manual optimisation, and notes the episodes of every batch."""

    automatic_optimization = False

    def __init__(self, accumulate=None, kill_at=None, folder=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        if accumulate is not None:
            self.accumulate_grad_batches = accumulate
        self.accumulated, self.kill_at, self.folder = 0, kill_at, folder
        self.seen, self.validated = [], []

    def training_step(self, batch, batch_idx):
        if self.global_step == self.kill_at:
            raise KeyboardInterrupt
        assert isinstance(batch, EpisodeBatch)
        self.seen.append(batch)
        self.manual_backward(self.weight.sum())
        self.accumulated += 1
        if self.accumulated == getattr(self, "accumulate_grad_batches", 1):
            self.optimizers().step()
            self.accumulated = 0

    def validation_step(self, batch, batch_idx):
        self.validated.append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_fit_end(self):
        if self.folder is not None:
            torch.save({"seen": self.seen, "validated": self.validated}, self.folder / f"{self.global_rank}.pt")


def trainer(steps, folder=None, **options):
    saving = [ModelCheckpoint(folder, "{step}", every_n_train_steps=3, save_top_k=-1)] if folder else []
    return pl.Trainer(
        max_steps=steps,
        val_check_interval=4,
        check_val_every_n_epoch=None,
        accelerator="cpu",
        logger=False,
        callbacks=saving,
        enable_checkpointing=bool(saving),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


@pytest.mark.long
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("accumulate", [None, 1, 2])
def test_a_run_killed_and_resumed_sees_the_episodes_of_an_unbroken_one(root, tmp_path, accumulate, num_workers):
    options = {"meta_batch_size": 2, "num_workers": num_workers}
    per_step = accumulate or 1
    whole = Recorder(accumulate)
    trainer(11).fit(whole, data(root, **options))
    assert len(whole.seen) == 11 * per_step
    assert whole.seen == first(data(root, **options), 11 * per_step)

    broken = Recorder(accumulate, kill_at=8)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trainer(11, tmp_path).fit(broken, data(root, **options))
    assert broken.seen == whole.seen[: 8 * per_step]

    resumed = Recorder(accumulate)
    trainer(11).fit(resumed, data(root, **options), ckpt_path=str(tmp_path / "step=6.ckpt"))
    assert resumed.seen == whole.seen[6 * per_step :]


def test_resumed_with_another_accumulation_it_goes_on_where_it_was(root, tmp_path):
    trainer(3, tmp_path).fit(Recorder(4), data(root))
    resumed = Recorder(2)
    trainer(5).fit(resumed, data(root), ckpt_path=str(tmp_path / "step=3.ckpt"))
    assert resumed.seen == first(data(root), 16)[12:]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_two_processes_share_the_episodes_of_one(root, tmp_path):
    options = {"meta_batch_size": 4, "tasks": ["samsum"], "validation": ["boolq", "anli", "trec"]}
    one = Recorder()
    trainer(4).fit(one, data(root, **options))
    trainer(4, strategy="ddp_fork", devices=2).fit(Recorder(folder=tmp_path), data(root, **options))
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in range(2)]
    for whole, *shares in zip(one.seen, *(rank["seen"] for rank in ranks), strict=True):
        assert [len(share) for share in shares] == [2, 2]
        assert shares[0].episodes + shares[1].episodes == whole.episodes
        assert {share.size for share in shares} == {whole.size} == {4}
    tasks = [[batch.episodes[0].task for batch in rank["validated"]] for rank in ranks]
    assert tasks == [["boolq", "trec"], ["anli"]]
    assert sum(len(rank["validated"]) for rank in ranks) == len(one.validated)


def test_episodes_that_cannot_be_shared_equally_are_refused(root):
    module = data(root, meta_batch_size=3, batch_size=4)
    runner = trainer(1)
    runner.fit(Recorder(), module)
    module._device = lambda: (0, 2)
    with pytest.raises(UserError, match=r"--data\.meta_batch_size counts the episodes .* 3 cannot .* equally by 2"):
        module.train_dataloader()
    module._device = lambda: (0, 3)
    assert [len(batch) for batch in first(module, 2)] == [1, 1]


def test_a_validation_episode_adapts_on_fixed_train_rows_and_is_judged_on_all_of_dev(root):
    module = data(root, tasks=["trec"], validation=["samsum", "boolq"], support_batches=2, seed=7)
    module.setup()
    batches = list(module.val_dataloader())
    assert list(module.val_dataloader()) == batches
    assert [batch.episodes[0].task for batch in batches] == ["samsum", "boolq"]
    for batch in batches:
        (episode,) = batch.episodes
        assert batch.size == 1
        assert [len(part) for part in episode.support] == [2, 2]
        assert drawn_from(episode)[0] == {("train", "13")}
        assert len({text for part in episode.support for text in part.inputs}) == 4
        assert episode.query.inputs == [f"{episode.task} dev 13 {i}" for i in range(12)]
    numbers = [[text.split()[3] for part in b.episodes[0].support for text in part.inputs] for b in batches]
    assert numbers[0] != numbers[1]
    other = data(root, tasks=["trec"], validation=["samsum", "boolq"], support_batches=2, seed=8)
    assert list(other.val_dataloader()) != batches


def test_a_validation_episode_may_adapt_on_larger_batches(root):
    module = data(root, tasks=["trec"], validation=["boolq"], support_batches=2, validation_batch_size=3)
    (batch,) = module.val_dataloader()
    assert [len(part) for part in batch.episodes[0].support] == [3, 3]


def test_what_the_module_tells_of_its_data(root):
    module = data(root, tasks=["trec", "anli"], validation=["boolq", "samsum"])
    module.setup()
    assert module.task is None
    mixed = MixtureData(["trec", "anli"], root=root, seeds=SEEDS)
    mixed.setup()
    assert module.labels == mixed.labels != ()
    assert list(module.validation_tasks) == ["boolq", "samsum"]
    boolq, samsum = module.validation_tasks.values()
    assert (boolq.name, boolq.metric, boolq.labels) == ("boolq", "ACC", ("boolq-0", "boolq-1", "boolq-2"))
    assert (samsum.metric, samsum.labels) == ("Rouge-L", ())


def test_without_validation_tasks_there_is_none(root):
    assert data(root).val_dataloader() == []
    model = Recorder()
    trainer(6).fit(model, data(root))
    assert len(model.seen) == 6 and model.validated == []


def test_each_file_is_read_once(root, monkeypatch):
    read = []
    whole = fewshot.read_tsv
    monkeypatch.setattr(fewshot, "read_tsv", lambda path, **options: read.append(path) or whole(path, **options))
    module = data(root, support_splits=["train", "dev"], query_splits=["dev"])
    module.setup("fit")
    module.setup("validate")
    first(module, 20)
    assert len(read) == len(set(read)) == len(TASKS) * len(SEEDS) * 2


def test_crossfits_folders_serve(tmp_path):
    for task in ("glue-rte", "mine"):
        write_toy(tmp_path, task, seeds=(13, 21))
    options = {"root": str(tmp_path), "seeds": (13, 21), "batch_size": 2, "validation": ["mine"]}
    with pytest.raises(UserError, match=r"mine is not in the catalogue.*--data\.metric"):
        EpisodeData(["glue-rte"], **options).setup()
    module = EpisodeData(["glue-rte"], metric="ACC", **options)
    for episode in episodes_of(module, 4):
        assert set(zip(episode.support[0].inputs, episode.support[0].targets, strict=True)) <= set(ROWS["train"])
        assert set(zip(episode.query.inputs, episode.query.targets, strict=True)) <= set(ROWS["dev"])
    assert module.labels == ("yes", "no")
    (batch,) = module.val_dataloader()
    assert batch.episodes[0].query.inputs == [text for text, _ in ROWS["dev"]]
    assert module.validation_tasks["mine"].metric == "ACC"


@pytest.mark.long
def test_the_embedded_suite_and_a_partition_serve():
    module = EpisodeData(partition="synthetic-random-to-random", seeds=(13,))
    module.setup()
    episodes = episodes_of(module, len(module._draws))
    assert len({episode.task for episode in episodes}) == len(episodes) > 5
    assert {len(episode.query) for episode in episodes} == {4}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, r"either --data\.tasks or --data\.partition"),
        ({"tasks": ["a"], "partition": "b"}, r"either --data\.tasks or --data\.partition"),
        ({"tasks": []}, r"--data\.tasks must name one task or more"),
        ({"tasks": ["a", "a"]}, r"--data\.tasks .* each once"),
        ({"tasks": ["a"], "seeds": []}, r"--data\.seeds must name"),
        ({"tasks": ["a"], "seeds": [13, 13]}, r"--data\.seeds .* each once"),
        ({"tasks": ["a"], "validation": ["b", "b"]}, r"--data\.validation must name each task once"),
        ({"tasks": ["a"], "support_splits": []}, r"--data\.support_splits must name train, dev or test"),
        ({"tasks": ["a"], "query_splits": ["all"]}, r"--data\.query_splits must name train, dev or test"),
        ({"tasks": ["a"], "batch_size": 0}, r"--data\.batch_size must be 1 or more, not 0"),
        ({"tasks": ["a"], "query_batch_size": 0}, r"--data\.query_batch_size must be 1 or more, not 0"),
        ({"tasks": ["a"], "support_batches": 0}, r"--data\.support_batches must be 1 or more, not 0"),
        ({"tasks": ["a"], "meta_batch_size": 0}, r"--data\.meta_batch_size must be 1 or more, not 0"),
        ({"tasks": ["a"], "seed": -1}, r"--data\.seed must be 0 or more"),
    ],
)
def test_wrong_options_are_said_at_once(options, complaint):
    with pytest.raises(UserError, match=complaint):
        EpisodeData(**options)


def test_what_is_missing_is_said_in_setup(root, tmp_path):
    with pytest.raises(UserError, match=r"--data\.tasks are not in .*: copa, rte"):
        data(root, tasks=["trec", "copa", "rte"]).setup("fit")
    (tmp_path / "mine.yaml").write_text("source: [trec, copa]\ntarget: [samsum]\n")
    with pytest.raises(UserError, match=r"--data\.partition are not in .*: copa"):
        data(root, tasks=None, partition=str(tmp_path / "mine.yaml")).setup("fit")
    with pytest.raises(UserError, match=r"--data\.validation are not in .*: copa"):
        data(root, validation=["copa"]).setup("fit")
    with pytest.raises(UserError, match="no draw for seed 87"):
        data(root, seeds=[13, 87]).setup("fit")
    write_tsv(tmp_path / "trec/trec_16_13_train.tsv", [Example("a", ("b",))] * 2)
    with pytest.raises(UserError, match=r"Draw 13 of trec .* --data\.support_splits and --data\.query_splits"):
        EpisodeData(["trec"], root=str(tmp_path), seeds=[13], query_splits=["train"]).setup("fit")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data.tasks=[trec,boolq]", "--data.seeds=[13]", "--data.support_splits=[train,dev]"],
        ["--data.partition=mine.yaml", "--data.query_batch_size=8", "--data.validation=[trec]"],
    ],
)
def test_the_command_lines_parser_takes_and_writes_and_explains_the_options(arguments):
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(EpisodeData, "data")
    config = parser.parse_args(arguments)
    again = parser.parse_string(parser.dump(config))
    assert parser.dump(again) == parser.dump(config)
    assert isinstance(parser.instantiate_classes(again).data, EpisodeData)
    assert "over all devices" in parser.format_help()
