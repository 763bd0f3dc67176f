"""Every shipped experiment goes through the real command line."""

from __future__ import annotations

import json

import pytest
import yaml
from support.paths import ROOT
from support.toy import Mpt

from mpt.fit.configs import called_as, config_root, find_config, shipped_configs
from mpt.util.errors import UserError

RUNS = [name for name in shipped_configs() if name.split("/")[0] not in ("studies", "sweeps", "results")]


@pytest.fixture
def mpt(capsys, tmp_path, monkeypatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    return Mpt(capsys)


@pytest.mark.long
@pytest.mark.parametrize("name", RUNS)
def test_a_shipped_run_is_accepted_and_printed_whole(name, mpt):
    asked = yaml.safe_load(find_config(name).read_text())
    # A few-shot task has no default.
    task = ["--data.task", "some"] if asked["data"]["class_path"].endswith("FewShotData") else []
    printed = mpt("fit", "--config", name, *task, "--print_config")
    assert printed.code == 0, printed.err
    resolved = yaml.safe_load(printed.out)
    _assert_inside(asked, resolved)


def _assert_inside(asked, resolved):
    """Every value of the file is a value of the run: nothing was dropped or replaced on the way."""
    if isinstance(asked, dict):
        for key, value in asked.items():
            _assert_inside(value, resolved[key])
    elif isinstance(asked, list):
        for value, other in zip(asked, resolved, strict=True):
            _assert_inside(value, other)
    else:
        assert asked == resolved


@pytest.mark.parametrize("name", RUNS)
def test_every_shipped_run_says_first_what_it_is_for_and_keeps_the_trainer_settings_that_matter(name):
    text = find_config(name).read_text()
    assert text.startswith("# ")
    assert yaml.safe_load(text)["trainer"]["inference_mode"] is False


def test_a_shipped_file_is_called_by_its_name_and_another_as_it_is(tmp_path):
    assert called_as(str(find_config("studies/paper/table2"))) == "studies/paper/table2"
    assert find_config("paper/table2", "studies") == find_config("studies/paper/table2")
    assert called_as(str(tmp_path / "own.yaml")) == str(tmp_path / "own.yaml")


def test_overrides_reach_nested_values_as_flat_names(mpt):
    """As W&B's sweeps pass them: --name=value, numbers in their scientific form."""
    printed = mpt(
        "fit",
        "--config",
        "prompt_tuning",
        "--data.task=some",
        "--print_config",
        "--model.optimizer.init_args.lr=1e-05",
        "--model.prompt_length=7",
    )
    resolved = yaml.safe_load(printed.out)["model"]["init_args"]
    assert float(resolved["optimizer"]["init_args"]["lr"]) == 1e-5 and resolved["prompt_length"] == 7


def test_adamw_on_request(mpt):
    printed = mpt(
        "fit",
        "--config",
        "prompt_tuning",
        "--data.task=some",
        "--print_config",
        "--model.optimizer=torch.optim.AdamW",
        "--model.optimizer.lr=0.01",
    )
    assert printed.code == 0, printed.err
    optimizer = yaml.safe_load(printed.out)["model"]["init_args"]["optimizer"]
    assert optimizer["class_path"] == "torch.optim.AdamW" and optimizer["init_args"]["lr"] == 0.01


def test_names_are_found_with_and_without_folder_and_suffix():
    expected = config_root() / "prompt_tuning.yaml"
    for name in ("prompt_tuning", "prompt_tuning.yaml", "experiments/prompt_tuning.yaml"):
        assert find_config(name).samefile(expected)
    with pytest.raises(UserError, match="prompt_tuning"):
        find_config("prompt_tunning")


@pytest.mark.parametrize("name", ["", ".", "/", "folder", "folder/."])
def test_a_folder_is_no_config(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for kinds, what in (((), "config"), (("studies",), "study")):
        with pytest.raises(UserError, match=rf"^{what} .* folder; give a file$"):
            find_config(name, *kinds)


@pytest.mark.parametrize(
    ("name", "kinds", "says"),
    [
        ("mine.yml", ("studies",), "study mine.yml: no such file, .*; did you mean mine.yaml\\?$"),
        ("sub/minee.yaml", (), "did you mean sub/mine.yaml\\?$"),
        ("mamll", (), "config mamll: .*; did you mean maml, fomaml(?!.*sweeps)"),
        ("maml_l", ("sweeps",), "sweep maml_l: .* sweeps/maml_lr, sweeps/fomaml_lr"),
        ("quickstar", ("studies",), "did you mean studies/quickstart"),
        ("sweeps/maml_l", (), "did you mean sweeps/maml_lr"),
        ("##", (), "mpt configs list"),
    ],
)
def test_a_name_that_is_nearly_right_is_told_of_its_kind_neighbours_first(name, kinds, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for file in ("mine.yaml", "sub/mine.yaml", "mine.txt", "other.yaml"):
        (tmp_path / file).touch()
    with pytest.raises(UserError, match=says):
        find_config(name, *kinds)


def test_the_file_of_a_study_in_place_of_its_folder(mpt, tmp_path):
    (tmp_path / "mine.yaml").touch()
    assert "is a file, and no study's folder; name the folder" in mpt("study", "report", "mine.yaml").err
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    for action in ("report", "answers"):
        ended = mpt("study", action, "mine.yaml")
        assert ended.code == 2 and "did you mean runs/mine?" in ended.err


def test_list_show_copy(mpt, tmp_path):
    listed = mpt("configs", "list").out
    assert all(name in listed for name in shipped_configs())
    assert mpt("configs", "show", "prompt_tuning").out == find_config("prompt_tuning").read_text()
    assert mpt("configs", "copy", "prompt_tuning", "mine/a.yaml").code == 0
    assert (tmp_path / "mine" / "a.yaml").read_text() == find_config("prompt_tuning").read_text()
    again = mpt("configs", "copy", "prompt_tuning", "mine/a.yaml")
    assert again.code == 2 and "exists" in again.err
    assert mpt("configs", "show", "nothing").code == 2


@pytest.mark.long
def test_schemas_are_written_for_editors(mpt, tmp_path):
    """JSON Schema's own rules, in so far as editors need them: each file's keys, which are required, and no others."""
    assert mpt("configs", "schema", "--out", tmp_path / "new").code == 0
    written = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "new").iterdir()}
    assert set(written) == {"study", "sweep", "task", "own_task", "partition", "mixture", "recipe"}
    assert json.loads(mpt("configs", "schema", "task").out) == written["task"]
    assert "by --out" in mpt("configs", "schema").err
    files = {
        "study": config_root() / "studies",
        "sweep": config_root() / "sweeps",
        "task": ROOT / "mpt" / "data" / "catalogue",
        "partition": ROOT / "mpt" / "data" / "tasks" / "partitions",
        "mixture": ROOT / "mpt" / "data" / "tasks" / "mixtures",
    }
    for kind, folder in files.items():
        schema = written[kind]
        assert schema["additionalProperties"] is False
        for path in folder.rglob("*.yaml"):
            keys = set(yaml.safe_load(path.read_text(encoding="utf-8")))
            assert set(schema.get("required", ())) <= keys <= set(schema["properties"]), path
