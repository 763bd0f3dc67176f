"""Numbers and options that cannot be, on the command line and in a study's file."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.changes import changed_file
from support.toy import small_fit

FIT: dict[str, tuple[object, ...]] = {
    "seed_everything": (-1, 2**32, 1.5, "nan", "x", 10**30, 10**400),
    "trainer.max_steps": (-2, 1.5, "nan", "inf", "x", -1, 10**30),
    "trainer.max_epochs": (-2, 1.5, "nan", "inf"),
    "trainer.val_check_interval": (0, -1, "nan", "inf", 10**30),
    "trainer.accumulate_grad_batches": (0, -1, 1.5, "nan"),
    "trainer.gradient_clip_val": (-1, "nan", "inf", "x"),
    "trainer.gradient_clip_algorithm": ("x",),
    "trainer.log_every_n_steps": (-1, 1.5),
    "trainer.limit_val_batches": (-1, "nan", 1.5),
    "trainer.limit_test_batches": (-1, "nan"),
    "trainer.limit_train_batches": (-1, "nan"),
    "trainer.overfit_batches": (-1, "nan", 1.5),
    "trainer.num_sanity_val_steps": (-2, 1.5),
    "trainer.check_val_every_n_epoch": (0, -1),
    "trainer.accelerator": ("gpus", "tpu", "x", "", 7),
    "trainer.strategy": ("x", "", "fsdp", "deepspeed", 7),
    "trainer.devices": (0, -2, "x", 1.5, 10**6),
    "trainer.num_nodes": (0, -1, "x"),
    "trainer.precision": (7, "x", "8-true", "nan"),
    "trainer.max_time": ("x", -1, "99:99"),
    "trainer.min_steps": (-1, "nan"),
    "trainer.profiler": ("x",),
    "model.prompt_length": (0, -1, 1.5, "nan", "x", 10**9, 10**18, 10**30),
    "model.optimizer.lr": (-0.1, "nan", "inf", "-inf", "x", 1e999),
    "model.optimizer.weight_decay": (-1, "nan", "inf"),
    "model.optimizer.eps": ("[-1,0.001]", "x"),
    "model.backbone_options.max_input_length": (0, -1, 1.5, "nan", 10**30),
    "model.backbone_options.max_target_length": (0, -1, "nan", 10**30),
    "model.backbone_options.num_beams": (0, -1, 1.5, "nan", 10**9, 10**30),
    "model.backbone_options.dtype": ("float8", "int8", "x"),
    "model.backbone_options.quantization": ("int2", "x"),
    "data.batch_size": (0, -1, 1.5, "nan", 10**30),
    "data.eval_batch_size": (0, -1, 1.5, "nan", 10**30),
    "data.num_workers": (-1, 1.5, 10**6),
    "data.seed": (-1, 1.5, "nan", 10**30),
    "model.reparameterisation": ("Mixture",),
    "data.k": (0, -1, 1.5, "nan", "some"),
    "data.metric": ("acc", ""),
    "data.task": ("", "..", "a/b", "x\x1b[2J", "x" * 5000, "\n", "toy.csv"),
    "data.root": ("", "nowhere", "rows.csv", "x" * 5000, "/dev/null", "/dev/zero"),
    "trainer.default_root_dir": ("", "rows.csv", "rows.csv/x", "x" * 300, "/dev/null", "/proc/x"),
    "ckpt_path": ("", "..", "rows.csv", "x" * 5000, "best", "http://x/y", "memory://x", "/dev/zero"),
    "model.backbone": ("", "rows.csv", "..", "x" * 5000, "\x1b[2J", "/dev/zero", "a b/c"),
}


@pytest.mark.parametrize(("option", "value"), [(option, value) for option, values in FIT.items() for value in values])
def test_an_option_of_fit(option, value, here, refused, model_folder):
    words = small_fit(model_folder("t5"), here / "data", here / "fitted", trainer__max_steps=2)
    (at,) = [i for i, word in enumerate(words) if word == f"--{option}"] or [None]
    if at is not None:
        del words[at : at + 2]
    names(refused("fit", "--config", "prompt_tuning", *words, f"--{option}={value}"), option, value)


def names(sentence: str, option: str, value: object) -> None:
    """The sentence is about the option: it has its name or its value."""
    name = option.removeprefix("--").rpartition(".")[2]
    given = repr(str(value))[1:-1]
    tokens = {name, name.replace("_", " "), name.replace("-", "_"), given[:30] or name, Path(given).name[:30] or name}
    tokens |= {given.rpartition(":")[2]} if "library:" in given else set()
    tokens |= {"hub repository"} if given.startswith("hub:") else {"File name too long"} if len(given) > 255 else set()
    assert any(token in sentence for token in tokens), sentence


ADAPT = {
    "--seed": ("-1", "1.5", "x", str(2**32), "9" * 30),
    "--steps": ("0", "-1", "1.5", "x", "nan", "9" * 30),
    "--every": ("0", "-1", "x", "301"),
    "--rate": ("0", "-1", "nan", "inf", "x", "1e999"),
    "--prompt-length": ("0", "-1", "x", "1000000000", "9" * 30),
    "--batch-size": ("0", "-1", "x", "9" * 30),
    "--top": ("0", "-1", "x"),
    "--ensemble": ("0", "-1", "x", "9" * 30),
    "--dev-share": ("0", "1", "-1", "2", "nan", "inf", "x"),
    "--max-input-length": ("0", "-1", "x", "9" * 30),
    "--max-target-length": ("0", "-1", "x", "9" * 30),
    "--metric": ("acc", ""),
    "--by": ("x", ""),
    "--device": ("x", "cuda", "cuda:99", "cpu:1", ""),
    "--precision": ("x", "8"),
    "--dtype": ("x", "int8"),
    "--encoding": ("x", "base64", "rot13", "zlib", "hex", ""),
    "--backbone": ("..", "rows.csv", "/dev/zero", "x" * 5000),
    "--library": ("", "..", "nowhere", "rows.csv", "hub:", "hub:x", "/dev/zero", "x" * 5000),
    "--out": ("", ".", "..", "rows.csv", "rows.csv/x", "/dev/null", "/proc/x", "x" * 300),
    "--dev": ("..", "nowhere.csv", "/dev/zero", "prompt"),
    "--labels": ("yes", ""),
    "--start": ("", "nowhere", "rows.csv", "library", "library:f9"),
    "--input": ("x", "{x}", "0", "99"),
    "--output": ("x", "99"),
    "--exclude": ("x",),
}


@pytest.mark.parametrize(("option", "value"), [(option, value) for option, values in ADAPT.items() for value in values])
def test_an_option_of_adapt(option, value, here, refused, model_folder):
    words = [
        "adapt",
        "rows.csv",
        "--steps",
        "2",
        "--every",
        "1",
        "--prompt-length",
        "2",
        "--out",
        "o",
        "--library",
        "none",
    ]
    words += ["--backbone", str(model_folder("t5"))]
    if option in words:
        del words[words.index(option) : words.index(option) + 2]
    names(refused(*words, f"{option}={value}"), option, value)


PREDICT = {
    "--max-input-length": ("0", "-1", "x", "9" * 30),
    "--max-target-length": ("0", "-1", "x", "9" * 30),
    "--device": ("x", "cuda:99", ""),
    "--dtype": ("x",),
    "--encoding": ("x", "base64", ""),
    "--backbone": ("..", "rows.csv", "/dev/zero", "mpt-tiny"),
    "--out": (
        "",
        ".",
        "..",
        "rows.csv",
        "x.pdf",
        "rows.csv/x.csv",
        "/dev/null/x.csv",
        "/proc/x.csv",
        "x" * 300 + ".csv",
    ),
    "--input": ("x", "{x}", "0", "99"),
    "--labels": ("yes", ""),
    "--prompt-column": ("x", "", "input"),
    "--ensemble": ("x", "vote"),
    "--calibrate": ("nowhere.csv", "/dev/zero", "prompt"),
}


@pytest.mark.parametrize(
    ("option", "value"), [(option, value) for option, values in PREDICT.items() for value in values]
)
def test_an_option_of_predict(option, value, here, refused):
    names(refused("predict", "prompt", "rows.csv", f"{option}={value}"), option, value)


LEARN = {
    "--seeds": ("-1", "x", "1.5", str(2**32), "9" * 30),
    "--start-seed": ("-1", "x", str(2**32)),
    "--steps": ("0", "-1", "x", "9" * 30),
    "--every": ("0", "-1", "x"),
    "--key-steps": ("0", "-1", "x", "9" * 30),
    "--rate": ("0", "-1", "nan", "inf", "x"),
    "--prompt-length": ("0", "-1", "x", "1000000000", "9" * 30),
    "--batch-size": ("0", "-1", "x", "9" * 30),
    "--at-once": ("0", "-1", "x"),
    "--k": ("0", "-1", "x", "nan", "7"),
    "--metric": ("acc", ""),
    "--tasks": ("..", "none", "rows.csv", "/dev/zero"),
    "--root": ("", "nowhere", "rows.csv", "/dev/zero", "x" * 5000),
    "--max-input-length": ("0", "-1", "x", "9" * 30),
    "--device": ("x", "cuda:99", ""),
    "--out": ("rows.csv", "rows.csv/x", "/dev/null", "/proc/x", "x" * 300, "prompt"),
}


@pytest.mark.parametrize(("option", "value"), [(option, value) for option, values in LEARN.items() for value in values])
def test_an_option_of_library_learn(option, value, here, refused, model_folder):
    words = ["library", "learn", "--tasks", "toy", "--root", "data", "--metric", "ACC", "--out", "new"]
    words += ["--backbone", str(model_folder("t5")), "--steps", "2", "--every", "1", "--key-steps", "1"]
    words += ["--prompt-length", "2"]
    if option in words:
        del words[words.index(option) : words.index(option) + 2]
    names(refused(*words, f"{option}={value}"), option, value)


OTHERS = (
    "library search library prompt -k 0", "library search library prompt -k -1",
    "library search library prompt -k x", "library search library nowhere", "library search library rows.csv",
    "library list /dev/zero", "library list rows.csv", "library show library nowhere", "library show library ..",
    "library export library f0 rows.csv", "library export library f0 /proc/x", "library add rows.csv run",
    "library add library rows.csv", "prompt words prompt --top 0", "prompt words prompt --top -1",
    "prompt words rows.csv", "prompt words /dev/zero", "prompt words prompt --out prompt",
    "study run study.yaml --workers 0", "study run study.yaml --workers -1", "study run study.yaml --out rows.csv",
    "study run study.yaml --out /proc/x", "study run study.yaml --gpus-per-run nan",
    "study run study.yaml --gpus-per-run -1", "study run study.yaml --settings x", "study run study.yaml --only x",
    "study answers library --rows 0", "study answers library --rows -1", "study report", "study report library",
    "study report rows.csv", "study report /dev/zero", "study report --scores scores.csv",
    "study report --scores scores.csv --out rows.csv", "study report --scores scores.csv --out /proc/x",
    "study report --scores scores.csv --out o --baseline X", "study report --scores scores.csv --out o --against X",
    "sweep run sweep.yaml --count 0", "sweep run sweep.yaml --count -1", "sweep run sweep.yaml --seed -1",
    "sweep run sweep.yaml --workers 0", "sweep trial study.yaml --method X",
    "sweep trial study.yaml --method PT --seeds -1", "transfer matrix library", "transfer matrix rows.csv",
    "evaluate prompt rows.csv --metric x", "evaluate prompt rows.csv --out x.csv",
    "evaluate prompt rows.csv --out /proc/x.json", "evaluate prompt nowhere.csv", "evaluate nowhere rows.csv",
    "export vllm prompt rows.csv", "export vllm nowhere new", "export tokens rows.csv new", "export x prompt new",
    "push prompt x", "push prompt", "push nowhere a/b", "data build --root o", "data build none --root o",
    "data build trec --root rows.csv --raw raw", "data verify nowhere", "data verify rows.csv",
    "data verify data none", "tasks show none", "tasks --root nowhere", "tasks --root /dev/zero",
    "partitions show none", "mixtures show none", "configs show none", "configs copy none",
    "configs copy prompt_tuning rows.csv/x", "configs copy prompt_tuning /proc/x", "completion fish", "nonesuch",
    "fit --config nowhere", "fit --config", "fit --config /dev/zero", "fit --config prompt",
    "fit --config spot --data.seeds [-1]", "fit --config fomaml --data.seeds [13,-1]",
    "fit --config xgen/sub_prompt --model.before prompt --model.before_parts []",
    "data text new rows.txt --root o --seeds 13 13", "data text new rows.txt --root synthetic",
    "data translate toy made --root synthetic --model mpt-tiny", "data xquad data --root synthetic",
    "prompt words prompt --top 101", "prompt words prompt --top 99999999",
)  # fmt: skip


@pytest.mark.parametrize("words", OTHERS)
def test_words_that_lead_nowhere(words, here, refused):
    refused(*words.split())


STUDY: dict[str, tuple[object, ...]] = {
    "seeds": ([-1], [2**32], [1.5], ["x"], [], [13, 13], [float("nan")], 13, [10**30]),
    "methods.PT.downstream.learning_rates": ([-1], [0], [float("nan")], [float("inf")], ["x"], [0.1, 0.1]),
    "methods.PT.ensemble": (1, 0, -1, 1.5, 10**9, 10**30, float("nan")),
    "methods.PT.downstream.vary": ({"model.prompt_length": [*range(1, 2000)], "trainer.max_steps": [*range(1, 2000)]},
                                   {"model.prompt_length": []}, {"model.prompt_length": ["x"]}, {"data.seed": [1]}),
    "workers": (0, -1, 1.5, 10**30, "x"),
    "side_by_side": (0, -1, 1.5, "x", float("nan")),
    "k": (0, -1, 1.5, "x", float("nan")),
    "overrides": (*({"data.k": k} for k in (0, 1.5, "x", [4])), *({"trainer.fast_dev_run": on} for on in (True, 3)),
                  {"model.prompt_length": 2, "model": {"prompt_length": 3}}),
    "variables": ({f"v{i}": f"${{variables.v{i + 1}}}${{variables.v{i + 1}}}" for i in range(40)} | {"v40": "x" * 10},
                  {f"v{i}": f"${{variables.v{i + 1}}}" for i in range(2000)} | {"v2000": "x"},
                  {"a": "${variables.b}", "b": "${variables.a}"}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in STUDY.items() for value in values])
def test_a_number_of_a_study(name, value, here: Path, refused):
    changed_file(here / "study.yaml", {tuple(name.split(".")): value})
    refused("study", "plan", "study.yaml")


@pytest.mark.long
def test_nothing_is_wrong_with_the_commands(here, refused, model_folder):
    model = model_folder("t5")
    fit = small_fit(model, here / "data", here / "fitted", trainer__max_steps=2)
    learn = "library learn --tasks toy --root data --metric ACC --out new --steps 2 --every 1 --key-steps 1"
    adapt = "adapt rows.csv --steps 2 --every 1 --prompt-length 2 --out o --library none"
    for words in (
        ["fit", "--config", "prompt_tuning", *fit],
        ["predict", "prompt", "rows.csv"],
        ["study", "plan", "study.yaml"],
        [*learn.split(), "--prompt-length", 2, "--backbone", model],
        [*adapt.split(), "--backbone", model],
    ):
        done = refused.finished(*words)
        assert done.code == 0, done.err
