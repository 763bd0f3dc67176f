"""Data modules under a Lightning Trainer: what arrives, and that a resumed run sees what an unbroken one
does."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser

from mpt.data.fewshot.files import write_tsv
from mpt.data.modules.batch import TextBatch
from mpt.data.modules.corpus import TextFiles
from mpt.data.modules.few_shot import FewShotData
from mpt.data.modules.mixture import MixtureData
from mpt.data.modules.steps import batches_per_step
from mpt.data.tasks.task import Example
from mpt.util.errors import UserError

SIZES = {"trec": 10, "samsum": 25, "boolq": 7}
LABELLED = ("trec", "boolq")


@pytest.fixture
def root(tmp_path):
    for task, size in SIZES.items():
        for seed in (13, 21):
            for split in ("train", "dev", "test"):
                # The draws of a task overlap: half of its train examples are those of the other draw.
                names = [f"{task} {split} {seed if i % 2 else 'both'} {i}" for i in range(size)]
                answer = f"{task}-{{}}" if task in LABELLED else "free text {}"
                examples = [Example(name, (answer.format(i % 3), "also")) for i, name in enumerate(names)]
                write_tsv(tmp_path / f"data/{task}/{task}_16_{seed}_{split}.tsv", examples)
    return str(tmp_path / "data")


class Recorder(pl.LightningModule):
    """Learns nothing and notes the inputs of every batch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = {"train": [], "val": [], "test": [], "predict": []}

    def note(self, name, batch):
        assert isinstance(batch, TextBatch)
        self.seen[name].append(tuple(batch.inputs))

    def training_step(self, batch, batch_idx):
        self.note("train", batch)
        return self.weight.sum()

    def validation_step(self, batch, batch_idx):
        self.note("val", batch)

    def test_step(self, batch, batch_idx):
        self.note("test", batch)

    def predict_step(self, batch, batch_idx):
        self.note("predict", batch)
        return batch.inputs

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(steps, folder=None, **options):
    saving = [ModelCheckpoint(folder, "{step}", every_n_train_steps=3, save_top_k=-1)] if folder else []
    return pl.Trainer(
        max_steps=steps,
        val_check_interval=options.pop("val_check_interval", 5),
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


def data(kind, root, **options):
    if kind == "few-shot":
        return FewShotData("samsum", root, batch_size=4, **options)
    return MixtureData(list(SIZES), root=root, seeds=[13, 21], batch_size=4, **options)


@pytest.mark.long
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("kind", ["few-shot", "mixture"])
def test_a_run_killed_and_resumed_sees_the_batches_of_an_unbroken_one(root, tmp_path, kind, num_workers):
    whole = Recorder()
    trainer(14).fit(whole, data(kind, root, num_workers=num_workers))
    assert len(whole.seen["train"]) == 14

    class Killed(Recorder):
        def training_step(self, batch, batch_idx):
            if self.global_step == 8:
                raise KeyboardInterrupt
            return super().training_step(batch, batch_idx)

    first = Killed()
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trainer(14, tmp_path / "ckpt").fit(first, data(kind, root, num_workers=num_workers))
    assert first.seen["train"] == whole.seen["train"][:8]

    second = Recorder()
    trainer(14).fit(second, data(kind, root, num_workers=num_workers), ckpt_path=str(tmp_path / "ckpt/step=6.ckpt"))
    assert second.seen["train"] == whole.seen["train"][6:]
    if kind == "few-shot":
        # Validations after steps 5 and 10, and of the second run after step 10 alone.
        assert len(whole.seen["val"]) == 2
        assert second.seen["val"] == whole.seen["val"][1:]


def test_resuming_counts_batches_not_steps_under_accumulation(root, tmp_path):
    whole = Recorder()
    trainer(8, accumulate_grad_batches=3, val_check_interval=6).fit(whole, data("few-shot", root))
    assert len(whole.seen["train"]) == 24
    trainer(3, tmp_path, accumulate_grad_batches=3, val_check_interval=6).fit(Recorder(), data("few-shot", root))
    second = Recorder()
    path = str(tmp_path / "step=3.ckpt")
    trainer(8, accumulate_grad_batches=3, val_check_interval=6).fit(second, data("few-shot", root), ckpt_path=path)
    assert second.seen["train"] == whole.seen["train"][9:]
    # Another accumulation from there on: the place is where the first run was, not steps times the new
    # number.
    third = Recorder()
    trainer(6, accumulate_grad_batches=1).fit(third, data("few-shot", root), ckpt_path=path)
    assert third.seen["train"] == whole.seen["train"][9:12]


def test_a_module_that_accumulates_by_itself_is_counted():
    runner, model = trainer(1, accumulate_grad_batches=3), Recorder()
    assert batches_per_step(runner) == 3
    runner.strategy.connect(model)
    assert batches_per_step(runner) == 3
    model.accumulate_grad_batches = 2
    assert batches_per_step(runner) == 6


def test_a_new_fit_with_the_same_data_starts_from_the_beginning(root, tmp_path):
    module = data("few-shot", root)
    first, second, third = Recorder(), Recorder(), Recorder()
    trainer(6, tmp_path).fit(first, module)
    trainer(9).fit(second, module, ckpt_path=str(tmp_path / "step=6.ckpt"))
    trainer(9).fit(third, module)
    assert third.seen["train"] == first.seen["train"] + second.seen["train"]


def test_evaluation_sees_every_example_once_in_order(root):
    module = FewShotData("samsum", root, seed=21, eval_batch_size=10)
    model, runner = Recorder(), trainer(1)
    runner.validate(model, module, verbose=False)
    runner.test(model, module, verbose=False)
    predicted = runner.predict(model, module)
    for name, split in (("val", "dev"), ("test", "test"), ("predict", "test")):
        batches = model.seen[name]
        assert [len(batch) for batch in batches] == [10, 10, 5]
        assert [text for batch in batches for text in batch] == [
            f"samsum {split} {21 if i % 2 else 'both'} {i}" for i in range(25)
        ]
    assert [text for batch in predicted for text in batch] == [t for b in model.seen["test"] for t in b]


class Ranked(Recorder):
    """Writes what each process saw, for the test to read."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_fit_end(self):
        torch.save(self.seen, self.folder / f"{self.global_rank}.pt")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
@pytest.mark.parametrize("most, expected", [(3, 3), (10_000, 25), (None, 25)])
def test_the_test_list_is_cut_at_its_start_and_dev_is_not(root, most, expected):
    data, recorder = FewShotData("samsum", root, seed=13, test_examples=most), Recorder()
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.test(recorder, datamodule=data, verbose=False)
    seen = [text for batch in recorder.seen["test"] for text in batch]
    assert seen == [f"samsum test {13 if i % 2 else 'both'} {i}" for i in range(expected)]
    assert sum(len(batch.inputs) for batch in data.val_dataloader()) == 25


def test_of_a_long_test_list_some_at_even_distances(root):
    data = FewShotData("samsum", root, seed=13, test_examples=5, test_choice="spread")
    seen = [text for batch in data.test_dataloader() for text in batch.inputs]
    assert [int(text.split()[-1]) for text in seen] == [0, 5, 10, 15, 20]  # of 25
    whole = FewShotData("samsum", root, seed=13, test_examples=26, test_choice="spread")
    assert sum(len(batch.inputs) for batch in whole.test_dataloader()) == 25


def test_two_processes_share_the_batches_of_one(root, tmp_path):
    one = Recorder()
    trainer(6).fit(one, data("few-shot", root, eval_batch_size=4))
    runner = trainer(6, strategy="ddp_fork", devices=2)
    runner.fit(Ranked(tmp_path), data("few-shot", root, eval_batch_size=4))
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    shared = [a + b for a, b in zip(*(rank["train"] for rank in ranks), strict=True)]
    assert shared == one.seen["train"]
    assert sorted(ranks[0]["val"] + ranks[1]["val"]) == sorted(one.seen["val"])


def test_what_the_modules_tell_of_their_data(root):
    module = FewShotData("trec", root)
    module.setup()
    assert (module.task.name, module.task.metric) == ("trec", "Classification-F1")
    assert module.labels == module.task.labels == ("trec-0", "trec-1", "trec-2")
    batch = next(iter(module.train_dataloader()))
    assert batch.tasks == ["trec"] * 8
    assert batch.targets[0] == batch.references[0][0] and batch.references[0][1] == "also"

    mixed = MixtureData(["trec", "samsum"], root=root, seeds=[13, 21], validation=["boolq"])
    mixed.setup()
    assert mixed.task is None
    assert mixed.labels == ("trec-0", "trec-1", "trec-2")
    assert [batch.tasks for batch in mixed.val_dataloader()] == [["boolq"] * 7]


def test_a_mixture_pools_a_tasks_draws_without_repetition(root):
    module = MixtureData(["samsum"], root=root, seeds=[13, 21])
    module.setup()
    # Of 25 examples in each of 4 files, the 13 even ones are in both draws.
    assert len(module.pools["samsum"]) == len(set(module.pools["samsum"])) == 2 * (25 + 12)
    module = MixtureData(["samsum"], root=root, seeds=[13], splits=["train"])
    module.setup()
    assert len(module.pools["samsum"]) == 25


def test_a_mixtures_batches_hold_several_tasks_by_their_rates(root):
    module = MixtureData(list(SIZES), root=root, seeds=[13], splits=["train"], limit=10, batch_size=27)
    batches = iter(module.train_dataloader())
    tasks = [task for _ in range(200) for task in next(batches).tasks]
    for task, expected in zip(SIZES, (10 / 27, 10 / 27, 7 / 27), strict=True):
        assert tasks.count(task) / len(tasks) == pytest.approx(expected, abs=0.035)
    assert len(set(next(batches).tasks)) == 3


def test_a_mixture_takes_a_partitions_source_tasks(root, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("source: [trec, boolq]\ntarget: [samsum]\n")
    module = MixtureData(partition=str(path), root=root, seeds=[13])
    module.setup()
    assert list(module.pools) == ["trec", "boolq"]


def test_a_mixture_without_validation_fits(root):
    model = Recorder()
    trainer(7).fit(model, data("mixture", root))
    assert len(model.seen["train"]) == 7 and model.seen["val"] == []


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: FewShotData("a", batch_size=0), r"--data\.batch_size must be 1 or more, not 0"),
        (lambda: FewShotData("a", eval_batch_size=-1), r"--data\.eval_batch_size must be 1 or more"),
        (lambda: FewShotData("a", num_workers=-1), r"--data\.num_workers must be 0 or more"),
        (lambda: TextFiles(["a.txt"], num_workers=2), r"--data\.num_workers must be 0 or 1 here, not 2"),
        (lambda: FewShotData("a", seed=-1), r"--data\.seed must be 0 or more"),
        (lambda: MixtureData(), r"either --data\.tasks or --data\.partition"),
        (lambda: MixtureData(["a"], "b"), r"either --data\.tasks or --data\.partition"),
        (lambda: MixtureData([]), r"--data\.tasks must name one task or more"),
        (lambda: MixtureData(["a", "b", "a"]), r"each once, not \['a', 'b', 'a'\]"),
        (lambda: MixtureData(["a"], seeds=[]), r"--data\.seeds must name"),
        (lambda: MixtureData(["a"], seeds=[13, 13]), r"each once, not \[13, 13\]"),
        (lambda: MixtureData(["a"], splits=["all"]), r"--data\.splits must name train, dev or test"),
        (lambda: MixtureData(["a"], limit=0), "size limit must be 1 or more"),
        (lambda: MixtureData(["a"], temperature=-1.0), "temperature must be above 0"),
    ],
)
def test_wrong_options_are_said_at_once(make, complaint):
    with pytest.raises(UserError, match=complaint):
        make()


def test_missing_tasks_are_said_in_setup(root):
    with pytest.raises(UserError, match=r"no task 'treck'.*did you mean trec"):
        FewShotData("treck", root).setup("fit")
    with pytest.raises(UserError, match=r"--data\.tasks are not in .*: copa, rte"):
        MixtureData(["trec", "copa", "rte"], root=root).setup("fit")
    with pytest.raises(UserError, match=r"--data\.validation are not in .*: copa"):
        MixtureData(["trec"], root=root, validation=["copa"]).setup("fit")
    with pytest.raises(UserError, match="no draw for seed 42"):
        MixtureData(["trec"], root=root).setup("fit")


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (FewShotData, ["--data.task=trec", "--data.k=16", "--data.metric=EM", "--data.seed=21"]),
        (FewShotData, ["--data.task=trec", "--data.k=all"]),
        (MixtureData, ["--data.tasks=[trec,boolq]", "--data.k=all", "--data.seeds=[13]", "--data.splits=[train]"]),
        (MixtureData, ["--data.partition=mine.yaml", "--data.limit=5", "--data.temperature=2"]),
    ],
)
def test_the_command_lines_parser_takes_and_writes_and_explains_the_options(kind, arguments):
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(kind, "data")
    config = parser.parse_args(arguments)
    again = parser.parse_string(parser.dump(config))
    assert parser.dump(again) == parser.dump(config)
    assert isinstance(parser.instantiate_classes(again).data, kind)
    assert "over all devices" in parser.format_help()
