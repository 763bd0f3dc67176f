"""Unlabelled text as a source task: what becomes of a document, and that a batch is a function of its number."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from support.toy import Mpt, write_toy

from mpt.data.build.text_files import write_texts
from mpt.data.fewshot.files import load_examples
from mpt.data.modules.episodes import EpisodeData
from mpt.data.modules.few_shot import FewShotData
from mpt.data.modules.mixture import MixtureData
from mpt.data.modules.streams import MixtureSampler, Placed
from mpt.data.modules.unlabelled import TextRows
from mpt.data.tasks.task import Example, is_text
from mpt.util.errors import UserError

DOCUMENTS = [" ".join(f"d{i}w{j}" for j in range(4 + i)) for i in range(30)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder with the text ``prose`` and the task ``toy``."""
    (tmp_path / "prose.txt").write_text("\n\n".join(DOCUMENTS), encoding="utf-8-sig")
    root = write_toy(tmp_path / "data")
    write_texts(root, "prose", [tmp_path / "prose.txt"], (13, 21))
    return root


def mixture(root: Path, *tasks: str, **options) -> MixtureData:
    return MixtureData(list(tasks), root=str(root), seeds=[13], batch_size=6, **options)


def batches(data: MixtureData, n: int):
    return list(islice(data.train_dataloader(), n))


def test_files_become_a_task_whose_inputs_are_empty(root):
    train, dev = (load_examples(root, "prose", 21, [split]) for split in ("train", "dev"))
    assert sorted(example.targets[0] for example in train + dev) == sorted(DOCUMENTS)
    assert len(dev) == 6 and is_text(train) and not is_text([*train, Example("a", ("b",))])


@pytest.mark.parametrize("window", [3, 8, 200])
def test_a_document_becomes_the_beginning_and_the_rest_of_a_window(root, window):
    words = Counter()
    for batch in batches(mixture(root, "prose", window=window), 40):
        for source, target in zip(batch.inputs, batch.targets, strict=True):
            assert source and target
            text = f"{source} {target}"
            document = DOCUMENTS[int(source[1 : source.index("w")])]
            assert f" {text} " in f" {document} "
            assert len(text.split()) == min(window, len(document.split()))
            words[text] += 1
    assert len(words) > (30 if window < 30 else 20), "windows are drawn anew"


def test_another_draw_of_a_document_is_cut_elsewhere(root):
    seen: dict[str, set[str]] = {}
    for batch in batches(mixture(root, "prose"), 60):
        for source, target in zip(batch.inputs, batch.targets, strict=True):
            seen.setdefault(f"{source} {target}", set()).add(source)
    assert max(map(len, seen.values())) > 3


def test_text_in_a_mixture_is_drawn_in_proportion_and_leaves_the_other_tasks_alone(root):
    data = mixture(root, "toy", "prose", limit=7)
    seen = batches(data, 300)
    tasks = Counter(task for batch in seen for task in batch.tasks)
    assert tasks["prose"] / 1800 == pytest.approx(0.5, abs=0.04)  # 7 of 14: both are limited
    pairs = {(example.input, example.targets[0]) for example in data.pools["toy"]}
    for batch in seen:
        for task, source, target in zip(batch.tasks, batch.inputs, batch.targets, strict=True):
            assert task == "prose" or (source, target) in pairs
    # The rows of the mixture are those it would draw without text among them.
    sizes = [len(pool) for pool in data.pools.values()]
    plain = MixtureSampler(sizes, [0.5, 0.5], 6, data.seed)
    assert [[name < sizes[0] for name in rows] for rows in islice(plain, 300)] == [
        [task == "toy" for task in batch.tasks] for batch in seen
    ]


def test_a_resumed_run_and_several_devices_see_the_batches_of_a_whole_one(root):
    whole = batches(mixture(root, "toy", "prose"), 8)
    resumed = mixture(root, "toy", "prose")
    resumed.load_state_dict({"batches": 5, "step": 5})
    assert batches(resumed, 3) == whole[5:]
    assert batches(mixture(root, "toy", "prose", num_workers=2), 4) == whole[:4]
    assert batches(mixture(root, "toy", "prose", seed=14), 1) != whole[:1]
    data = mixture(root, "toy", "prose")
    data.setup()
    rows = TextRows([(n, e) for n, pool in data.pools.items() for e in pool], ["prose"], data.seed)
    sizes = [len(pool) for pool in data.pools.values()]
    rates = [size / sum(sizes) for size in sizes]
    shares = [Placed(MixtureSampler(sizes, rates, 6, data.seed, 2, rank, 3)) for rank in range(3)]
    parts = [rows[next(iter(share))] for share in shares]
    assert [text for part in parts for text in part.inputs] == list(whole[2].inputs)


def test_a_single_task_of_text_is_learned_anew_each_time_and_scored_on_the_same_pairs(root):
    def data(**options) -> FewShotData:
        return FewShotData("prose", str(root), metric="Rouge-L", batch_size=6, **options)

    pairs = Counter()
    for batch in islice(data().train_dataloader(), 40):
        assert all(batch.inputs) and all(batch.targets)
        pairs.update(zip(batch.inputs, batch.targets, strict=True))
    assert len(pairs) > 60, "24 documents are cut in other places in each of 10 epochs"
    resumed = data()
    resumed.load_state_dict({"batches": 3, "step": 3})
    assert next(iter(resumed.train_dataloader())) == list(islice(data().train_dataloader(), 4))[3]
    dev = [list(module.val_dataloader()) for module in (data(), data(seed=21))]
    dev.append(list(data(objective="span-corruption").val_dataloader()))  # no answer holds sentinels
    assert dev[0] == dev[1] == dev[2] and all(all(batch.inputs) and all(batch.targets) for batch in dev[0])


def test_span_corruption(root):
    (batch,) = batches(mixture(root, "prose", objective="span-corruption"), 1)
    assert all("<extra_id_0>" in source for source in batch.inputs)


def test_what_is_learned_on_is_not_held_out(root):
    with pytest.raises(UserError, match=r"--data.target toy is named by --data.validation too"):
        mixture(root, "prose", validation=["toy"], target="toy").setup()


def test_where_text_is_of_no_use_it_is_refused(root):
    with pytest.raises(UserError, match="prose is unlabelled text, which only MixtureData can learn from"):
        EpisodeData(["prose"], root=str(root), seeds=[13]).setup()
    with pytest.raises(UserError, match="prose is unlabelled text, which has no score"):
        mixture(root, "toy", validation=["prose"]).setup()
    with pytest.raises(UserError, match=r"--data\.objective is one of prefix-lm, span-corruption"):
        mixture(root, "prose", objective="causal")
    with pytest.raises(UserError, match=r"--data\.window must be at least 2"):
        mixture(root, "prose", window=1)
    for option, value in (("objective", "span-corruption"), ("window", 30)):
        given = {"root": str(root), option: value}
        told = rf"--data\.{option} {value} is of unlabelled text, and none is"
        for data in (FewShotData("toy", metric="ACC", **given), MixtureData(["toy"], seeds=[13], **given)):
            with pytest.raises(UserError, match=told):
                data.train_dataloader()


def test_the_size_of_a_draw_of_no_target(root):
    with pytest.raises(UserError, match=r"--data\.target_k 8 is the size of the draw of --data\.target, and none"):
        mixture(root, "toy", target_k=8)


def test_text_of_single_words_only(tmp_path):
    folder = tmp_path / "short"
    folder.mkdir()
    folder.joinpath("short_all_13_train.tsv").write_text("\tone\n\ttwo\n")
    with pytest.raises(UserError, match=r"short .* has no document of two words or more"):
        mixture(tmp_path, "short", splits=["train"]).setup()


def test_mpt_data_text(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mpt = Mpt(capsys)
    lines = [json.dumps({"text": f"a document\tof {i}\nlines", "url": "x"}) for i in range(10)]
    with gzip.open("c4.json.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join([*lines, lines[0], json.dumps({"text": "one"})]))
    ended = mpt("data", "text", "c4", "c4.json.gz", "--root", "root")
    assert ended.code == 0 and "10 documents" in ended.out
    found = load_examples("root", "c4", 87, ["train", "dev"])
    assert sorted(example.targets[0] for example in found) == sorted(f"a document of {i} lines" for i in range(10))
    for arguments, complaint in [
        (["c4", "c4.json.gz"], "is there already"),
        (["new", "none.txt"], "Cannot read none.txt: No such file"),
        (["new", "a.pdf"], "end in .txt, .jsonl or .json"),
        (["new", "bad.jsonl"], "bad.jsonl, line 2 is no JSON object with the key text"),
        (["new", "odd.jsonl"], "odd.jsonl, line 1 is no JSON object"),
        (["new", "few.txt"], "few.txt: 1 documents are too few"),
        (["a/b", "few.txt"], "cannot be the name of a folder"),
        (["new", "null.jsonl"], "null.jsonl, line 1 holds a null byte"),
        (["new", "half.jsonl"], "half.jsonl, line 1 holds a null byte or half a sign"),
        (["new", "null.txt"], "null.txt, line 2 holds a null byte"),
        (["new", "cut.txt.gz"], "Cannot read cut.txt.gz"),
    ]:
        Path("null.jsonl").write_text('{"text": "a \\u0000 b"}\n')
        Path("half.jsonl").write_text('{"text": "a \\ud800 b"}\n')
        Path("null.txt").write_text("a b\nc \0 d\n")
        packed = gzip.compress(b"some words")
        Path("cut.txt.gz").write_bytes(packed[:10] + b"\xff" * 4 + packed[14:])
        Path("bad.jsonl").write_text('{"text": "a b"}\n{"txt": "a b"}\n')
        Path("odd.jsonl").write_text('{"text": 3}\n')
        Path("few.txt").write_text("a b\n")
        ended = mpt("data", "text", *arguments, "--root", "root")
        assert ended.code == 2 and complaint in ended.err and ended.err.count("\n") == 1
    assert [path.name for path in Path("root").glob("[!.]*")] == ["c4"]


def test_what_is_packed_smaller_than_any_text_is_not_unpacked_to_its_end(tmp_path, capsys):
    numbers = "".join(f"document {number}\n\n" for number in range(200_000)).encode()  # as well packed as a text can be
    for name, content in (("good", numbers), ("bomb", b"\n" * 40_000_000)):
        (tmp_path / f"{name}.txt.gz").write_bytes(gzip.compress(content))
    mpt = Mpt(capsys)
    ended = mpt("data", "text", "good", tmp_path / "good.txt.gz", "--root", tmp_path / "root", "--seeds", 13)
    assert ended.code == 0 and "200,000 documents" in ended.out
    ended = mpt("data", "text", "bad", tmp_path / "bomb.txt.gz", "--root", tmp_path / "root")
    assert ended.code == 2 and "bomb.txt.gz unpacks to more than 100 times its size" in ended.err


@pytest.mark.long
def test_a_prompt_is_learned_on_text_and_a_task(root, tmp_path, capsys, model_folder, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    words = {
        "data.root": root, "data.tasks": "[prose,toy]", "data.k": "null", "data.splits": "[train,dev]",
        "data.window": 5, "data.batch_size": 4, "model.backbone": model_folder("t5"), "model.prompt_length": 3,
        "model.backbone_options.max_input_length": 32, "trainer.max_steps": 2, "trainer.accelerator": "cpu",
        "trainer.logger": "false",
    }  # fmt: skip
    options = [word for name, value in words.items() for word in (f"--{name}", value)]
    ended = Mpt(capsys)("fit", "--config", "spot_mixture", *options)
    assert ended.code == 0, ended.err
    assert Path("runs/spot_mixture/prose+toy/prompt/adapter_model.safetensors").is_file()
