"""A study's report, against numbers worked out by hand."""

from __future__ import annotations

import csv
import json
import math
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.by_hand import one_partition, record, run_of, setting, write_folder
from support.toy_study import write_study
from support.wandb_file import read, settle

from mpt.cli.study import run_study_command
from mpt.cli.study_view import print_report
from mpt.data.tasks.partitions import load_partition
from mpt.present.terminal import console
from mpt.study.report.contents import build_report
from mpt.study.report.write import log_report, write_report, write_report_of_scores
from mpt.study.run.results import RunRecord
from mpt.util.errors import UserError
from mpt.util.files import write_json


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def records() -> list[RunRecord]:
    return one_partition()


@pytest.fixture
def of_two() -> list[RunRecord]:
    """Partitions p (targets a, b) and q (targets b, c); PT and FT are shared, MTL is learned for each."""
    scores = {
        ("PT", None): {"a": (0.5, 0.8), "b": (0.4, 0.2), "c": (0.5, 0.5)},
        ("MTL", "p"): {"a": (0.75, 0.6), "b": (0.5, 0.25)},
        ("MTL", "q"): {"b": (0.2, 0.3), "c": (0.5, 0.25)},
        ("FT", None): {"a": (0.55, 0.88), "b": (0.44, 0.22), "c": (1.0, 1.0)},
    }
    return [
        record(method, target, seed, score, partition=partition)
        for (method, partition), of_targets in scores.items()
        for target, both in of_targets.items()
        for seed, score in zip((13, 21), both, strict=True)
    ]


@pytest.fixture
def two(of_two, tmp_path) -> Path:
    write_folder(tmp_path, of_two, settings=[setting("p", "a", "b"), setting("q", "b", "c")])
    return tmp_path


def test_a_partition_that_settings_share_is_named_once(of_two, tmp_path):
    one, two = "p.yaml (2 targets)", "p.yaml (2 targets), p.yaml (2 targets)"
    for targets, said in (("ab", f"partition {one}"), ("bc", f"partitions {two}")):
        other = setting("q", *targets) | {"given": "p.yaml"}
        write_folder(tmp_path, of_two, settings=[setting("p", "a", "b"), other])
        write_report(tmp_path)
        text = (tmp_path / "report/report.md").read_text(encoding="utf-8")
        assert re.findall(r"on the (partitions?.*), backbone", text) == [said]


def test_beside_likeliest_labels_it_judges_by_what_is_written(records, tmp_path):
    free = [replace(row, result=replace(row.result, score_written=1 - row.result.score)) for row in records]
    write_folder(tmp_path, free)
    write_report(tmp_path)
    (found,) = table_of(tmp_path / "report" / "arg.csv")
    (written,) = table_of(tmp_path / "report" / "arg_written.csv")
    # PT 65 and 30 on a and b, MTL 67.5 and 37.5; by what is written 35 and 70, 32.5 and 62.5
    assert float(found["arg"]) == pytest.approx(100 * (2.5 / 65 + 7.5 / 30) / 2, abs=1e-3)
    assert float(written["arg"]) == pytest.approx(-100 * (2.5 / 35 + 7.5 / 70) / 2, abs=1e-3)
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert text.count("## By what the model writes") == 1 and "-8.9" in text
    scores = table_of(tmp_path / "report" / "scores_written.csv")
    assert {(row["method"], row["target"], row["seed"]): float(row["score"]) for row in scores} == {
        (row.method, row.target, str(row.seed)): pytest.approx(1 - row.result.score) for row in records
    }


def test_the_report_of_a_folder(records, tmp_path):
    failed = run_of("FT/a-13", "FT", "downstream", "a", 13, None)
    write_folder(tmp_path, [*records, failed])
    write_json(tmp_path / "FT" / "a-13" / "failed.json", {"reason": "no memory"})
    write_report(tmp_path)
    folder = tmp_path / "report"
    with (folder / "arg.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["partition", "method", "arg", "arg_std"]
    assert [(row["partition"], row["method"]) for row in rows] == [("p", "MTL")]
    # a: 65 to 67.5, b: 30 to 37.5
    assert float(rows[0]["arg"]) == pytest.approx(14.4231, abs=1e-4)
    assert float(rows[0]["arg_std"]) == pytest.approx(30.3693, abs=1e-4)
    assert float(rows[0]["points"]) == 5 and (rows[0]["targets"], rows[0]["draws"]) == ("2", "2")
    with (folder / "scores.csv").open(encoding="utf-8") as file:
        scores = list(csv.DictReader(file))
    assert len(scores) == 8
    assert {(row["method"], row["target"], row["seed"]): float(row["score"]) for row in scores} == {
        (r.method, r.target, str(r.seed)): r.result.score for r in records
    }
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "| b (ACC) | 30.0 ± 14.1 | **37.5 ± 17.7** | missing |" in text
    assert "| ARG (%) | baseline | **+14.4 ± 30.4** | missing |" in text
    assert "| mean difference (points) | baseline | **+5.0** | missing |" in text
    assert "`FT/a-13`: no memory" in text and "synthetic" in text and "mpt study run hand.yaml" in text
    png = (folder / "relative_gain.png").read_bytes()
    assert png.startswith(b"\x89PNG") and len(png) > 10_000


def test_finished_runs_that_the_file_no_longer_plans_are_counted(records, tmp_path, capsys):
    write_folder(tmp_path, records)
    run_study_command(["report", str(tmp_path)])
    assert "stay out" not in capsys.readouterr().out
    content = json.loads((tmp_path / "study.json").read_text())
    content["seeds"] = [13]
    content["runs"] = [run for run in content["runs"] if run["seed"] == 13]
    write_json(tmp_path / "study.json", content)
    run_study_command(["report", str(tmp_path)])
    told = " ".join(capsys.readouterr().out.split())
    assert "4 finished runs of draw 21 are not in this study file and stay out of the report" in told


def test_a_report_before_any_result_says_what_is_missing(tmp_path):
    write_folder(tmp_path, [run_of("PT/a-13", "PT", "downstream", "a", 13, None)])
    report = write_report(tmp_path)
    assert report.missing == [("PT/a-13", "not run yet")]
    assert (tmp_path / "report" / "arg.csv").read_text().count("\n") == 1
    assert not list((tmp_path / "report").glob("*.png"))


def test_real_data_is_not_called_synthetic(records, tmp_path):
    write_folder(tmp_path, records, root="fewshot")
    write_report(tmp_path)
    assert "ynthetic" not in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(UserError, match="no study's folder"):
        write_report(tmp_path)


def test_a_folder_of_an_earlier_version_says_what_to_do(records, tmp_path):
    write_folder(tmp_path, records)
    content = json.loads((tmp_path / "study.json").read_text())
    del content["settings"]
    write_json(tmp_path / "study.json", content)
    with pytest.raises(UserError, match="earlier version; delete it"):
        write_report(tmp_path)


@pytest.mark.long
def test_the_command_line_names_another_method_to_beat(two, capsys):
    run_study_command(["report", str(two), "--against", "FT"])
    told = capsys.readouterr().out
    assert re.search(r"│ MTL +│ FT ", told) and not re.search(r"│ FT +│ MTL ", told)


@pytest.mark.long
def test_arg_of_several_partitions_is_over_the_targets_of_each(two):
    # p: as of one partition. q, MTL: b 30 to 25, c 50 to 37.5. FT: a and b +10 %, c +100 % with every draw, so that p
    # has +10 and q +55.
    write_report(two)
    rows = table_of(two / "report" / "arg.csv")
    found = {(row["partition"], row["method"]): (float(row["arg"]), float(row["points"])) for row in rows}
    assert found.keys() == {("p", "MTL"), ("p", "FT"), ("q", "MTL"), ("q", "FT")}
    assert found["p", "MTL"] == pytest.approx((14.4231, 5), abs=1e-4)
    assert found["p", "FT"] == pytest.approx((10, 4.75), abs=1e-4)
    assert found["q", "MTL"] == pytest.approx((-20.8333, -8.75), abs=1e-4)
    assert found["q", "FT"] == pytest.approx((55, 26.5), abs=1e-4)


@pytest.mark.long
def test_a_shared_run_has_a_row_in_every_partition_that_has_its_target(two):
    write_report(two)
    rows = table_of(two / "report" / "scores.csv")
    assert len(rows) == 2 * 3 * 2 * 2
    folders = {
        (row["partition"], row["method"]): row["folder"] for row in rows if row["target"] == "b" and row["seed"] == "13"
    }
    assert folders["p", "PT"] == folders["q", "PT"] == "PT/b-13-None"
    assert (folders["p", "MTL"], folders["q", "MTL"]) == ("MTL/p/b-13-None", "MTL/q/b-13-None")


@pytest.mark.long
def test_the_page_of_several_partitions_begins_with_methods_by_partitions_the_best_in_bold(two):
    write_report(two)
    text = (two / "report" / "report.md").read_text(encoding="utf-8")
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    head, _, mtl, ft = tables[0].splitlines()
    assert head == "| method | p | q |"
    assert re.fullmatch(r"\| MTL \| \*\*\+14\.4 ± 30\.4\*\* \| -20\.8 ± \d+\.\d \|", mtl)
    # draw by draw FT gains 10 % of the draw's own score, which is not the mean's
    assert re.fullmatch(r"\| FT \| \+10\.0 ± \d\.\d \| \*\*\+55\.0 ± \d\.\d\*\* \|", ft)
    assert (
        text.index("## p")
        < text.index("| b (ACC) | 30.0 ± 14.1 | **37.5 ± 17.7** | 33.0 ± 15.6 |")
        < text.index("## q")
    )
    assert text.index("## q") < text.index("| b (ACC) | 30.0 ± 14.1 | 25.0 ± 7.1 | **33.0 ± 15.6** |")
    assert "p.yaml (2 targets), q.yaml (2 targets)" in text


@pytest.mark.long
def test_the_terminal_shows_the_same_tables(two, capsys):
    print_report(console(), write_report(two), two / "report")
    told = capsys.readouterr().out
    titles = [line.strip().partition(",")[0] for line in told.splitlines() if re.match(r" *(hand|p|q): ", line)]
    assert titles == [
        "hand: average relative gain over PT (%)",
        "p: test scores (%)",
        "p: how sure",
        "q: test scores (%)",
        "q: how sure",
    ]
    ft = next(line for line in told.splitlines() if "FT" in line and "10.0" in line)
    assert [cell.split()[0] for cell in ft.split("│")[1:-1]] == ["FT", "+10.0", "+55.0"]


@pytest.mark.long
def test_a_partition_whose_method_failed_says_so_and_the_other_stays(of_two, tmp_path):
    left = [row for row in of_two if (row.method, row.partition) != ("MTL", "q")]
    failed = run_of("MTL/q/b-13", "MTL", "downstream", "b", 13, None, partition="q")
    write_folder(tmp_path, [*left, failed], settings=[setting("p", "a", "b"), setting("q", "b", "c")])
    report = write_report(tmp_path)
    assert report.missing == [("MTL/q/b-13", "not run yet")]
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "| MTL | **+14.4 ± 30.4** | missing |" in text


@pytest.mark.long
def test_every_setting_has_its_figures_and_all_together_one(records, two, tmp_path_factory):
    def figures(folder: Path) -> dict[str, tuple[int, int]]:
        report = write_report(folder)
        names = [name for name in report.files if name.endswith(".png")]
        assert sorted(names) == sorted(str(path.relative_to(folder / "report")) for path in folder.rglob("*.png"))
        return {
            name: struct.unpack(">II", (folder / "report" / name).read_bytes()[16:24])  # type: ignore[misc]
            for name in names
        }

    one = tmp_path_factory.mktemp("one")
    write_folder(one, records)
    assert set(figures(one)) == {"relative_gain.png", "scores.png"}
    several = figures(two)
    assert set(several) == {"arg.png", *(f"{p}/{kind}.png" for p in "pq" for kind in ("relative_gain", "scores"))}
    assert len({width for width, _ in several.values()}) == 1


def test_a_figure_of_an_earlier_report_goes_with_its_numbers(records, tmp_path):
    write_folder(tmp_path, records)
    assert "relative_gain.png" in write_report(tmp_path).files
    for row in records:
        if row.method == "MTL":
            (tmp_path / row.key / "result.json").unlink()
    assert "relative_gain.png" not in write_report(tmp_path).files
    assert not (tmp_path / "report" / "relative_gain.png").exists()


@pytest.mark.long
@pytest.mark.parametrize(("backbone", "root"), [("mpt-tiny", "data"), ("t5", "data"), ("mpt-tiny", "synthetic")])
def test_only_mpt_tiny_on_other_texts_is_said_to_know_no_english(backbone, root, tmp_path, monkeypatch):
    targets = {row.target for row in one_partition()}  # stand for tasks of the suite, where the root is that
    monkeypatch.setattr("mpt.study.run.results.synthetic_tasks", lambda: dict.fromkeys(targets))
    write_folder(tmp_path, one_partition(), backbone=backbone, root=root)
    write_report(tmp_path)
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert ("not a pre-trained English model" in text) == ((backbone, root) == ("mpt-tiny", "data"))
    # Its file is nowhere, so that nobody knows what it says.
    assert f"mpt study run hand.yaml --root {root} --backbone {backbone} --out {tmp_path}" in text


@pytest.mark.long
def test_every_file_of_a_report_is_told_and_there(two, capsys):
    report = write_report(two)
    print_report(console(), report, two / "report")
    told = " ".join(capsys.readouterr().out.split())
    assert {"report.html", "report.md", "arg.csv", "significance.csv", "arg.tex", "scores.tex"} <= set(report.files)
    for name in report.files:
        assert (two / "report" / name).stat().st_size > 0
        assert all(part in told for part in (Path(name).name, *(f"{folder}/" for folder in Path(name).parts[:-1])))


@pytest.mark.long
def test_differences_are_in_a_sheet_and_on_the_page(tmp_path):
    """FT gains 10 % of PT's mean on every target, give or take a little, MTL as much as it loses."""
    rows, rng = [], np.random.default_rng(0)
    for target in "abcd":
        for seed in (13, 21, 42):
            for method, score in (("PT", 0.5), ("MTL", 0.5), ("FT", 0.55)):
                wiggle = 0.0 if method == "PT" else float(rng.normal(0, 0.003))
                rows.append(record(method, target, seed, score + wiggle))
    write_folder(tmp_path, rows, settings=[setting("p", *"abcd")], seeds=[13, 21, 42])
    write_report(tmp_path)
    found = {(row["method"], row["against"]): row for row in table_of(tmp_path / "report" / "significance.csv")}
    assert set(found) == {("MTL", "PT"), ("FT", "PT"), ("FT", "MTL")}
    for pair in (("FT", "PT"), ("FT", "MTL")):
        sure = {name: float(found[pair][name]) for name in ("difference", "low", "high", "p", "p_holm", "points")}
        assert sure["low"] < sure["difference"] < sure["high"] and sure["difference"] == pytest.approx(10, abs=0.7)
        assert sure["points"] == pytest.approx(sure["difference"] / 2, abs=1e-3) and sure["p"] < 0.001
        # two comparisons with PT, of which this is the surer one; one with MTL
        assert sure["p_holm"] == pytest.approx(sure["p"] * (2 if pair[1] == "PT" else 1), rel=1e-3)
    assert float(found["MTL", "PT"]["p"]) > 0.05
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    told = found["FT", "PT"]
    low, high = (f"{float(told[name]):+.1f}" for name in ("low", "high"))
    assert f"| FT | PT | {float(told['difference']):+.1f} | {low} to {high} | < 0.001 | " in text
    assert "2 comparisons with PT and 1 comparison with MTL" in text


@pytest.mark.long
def test_a_study_too_small_for_a_test_says_so(two, capsys):
    report = write_report(two)
    row = report.sections[0].comparisons[0]
    print_report(console(), report, two / "report")
    assert f"no interval and no p: {row.arg.why}" in capsys.readouterr().out
    assert math.isnan(row.arg.p) and row.arg.why
    assert f"Where there is neither interval nor p: {row.arg.why}." in (two / "report" / "report.md").read_text()


@pytest.mark.long
def test_another_method_may_be_the_one_to_beat(two):
    assert write_report(two).rival == "MTL"
    report = write_report(two, against="FT")
    assert {(row.method, row.other) for row in report.sections[0].comparisons} == {
        ("MTL", "PT"),
        ("FT", "PT"),
        ("MTL", "FT"),
    }
    for wrong, said in (("MTTL", "no method of it; did you mean MTL"), ("PT", "the baseline")):
        with pytest.raises(UserError, match=said):
            write_report(two, against=wrong)


@pytest.mark.long
def test_the_deviation_of_one_upstream_seed_is_said_to_be_missing(records, tmp_path):
    def page(*seeds: int) -> str:
        folder = tmp_path / str(len(seeds))
        upstream = [run_of(f"MTL/upstream-{seed}", "MTL", "upstream", None, seed, None) for seed in seeds]
        write_folder(folder, [*records, *upstream])
        write_report(folder)
        return (folder / "report" / "report.md").read_text(encoding="utf-8")

    assert "MTL learned upstream with one seed: what is said of it is said of this prompt" in page(13)
    assert "upstream with one seed" not in page(13, 21)


@pytest.mark.long
def test_the_papers_numbers_stand_beside_ours_where_it_has_them(tmp_path):
    places = ("nonparaphrase-to-paraphrase", "qa-to-qa")
    settings, rows = [], []
    for place in places:
        partition = load_partition(place)
        settings.append({"name": place, "given": place, "targets": partition.target, "sources": partition.source})
        for target in partition.target:
            for method, score in (("PT", 0.5), ("MTL", 0.6), ("MAML", 0.55)):
                own = place if method != "PT" else None
                rows.append(record(method, target, 13, score, partition=own))
    facts = {"settings": settings, "methods": ["PT", "MTL", "MAML"], "seeds": [13], "root": "fewshot"}
    write_folder(tmp_path / "real", rows, backbone="google/t5-base-lm-adapt", **facts)
    write_report(tmp_path / "real")
    text = (tmp_path / "real" / "report" / "report.md").read_text(encoding="utf-8")
    assert "| MTL | **+20.0** | **+20.0** |\n| MAML | +10.0 | +10.0 |\n" in text
    # Table 5 has T5-Base in the first setting, table 2 only T5-Large in the second.
    # without the paper's deviations, of which it does not say what they are
    assert "| MTL, Qin et al. | +1.6 | **+25.6** |\n| MAML, Qin et al. | **+9.2** | -16.6 |\n" in text
    assert "Qin et al., T5-Base |" in text and "Qin et al., T5-Large |" in text and "tables 2, 5" in text
    tex = (tmp_path / "real" / "report" / "arg.tex").read_text(encoding="utf-8")
    assert r"MAML, Qin et al. & $\mathbf{+9.2}$ & $-16.6$ \\" in tex

    write_folder(tmp_path / "synthetic", rows, **{**facts, "root": "synthetic"})
    write_report(tmp_path / "synthetic")
    text = (tmp_path / "synthetic" / "report" / "report.md").read_text(encoding="utf-8")
    assert "T5-Large" not in text and ", Qin et al." not in text


@pytest.mark.parametrize("nested", [True, False])
def test_what_the_runs_were_made_with_is_told(nested, records, tmp_path):
    facts = {"versions": {"torch": "2.9", "numpy": "1.5"}, "device": "cuda:7"}
    write_folder(tmp_path, records)
    for i, row in enumerate(records):
        path = tmp_path / row.key / "result.json"
        result = json.loads(path.read_text())
        del result["environment"]
        result |= {"environment": {**facts, "commit": f"abc{i % 2}", "host": "h"}} if nested else facts
        write_json(path, result)
    write_report(tmp_path)
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    told = "on: cuda:7. Versions: torch 2.9, numpy 1.5" + ("; commits abc0, abc1." if nested else ".")
    assert told in text


@pytest.mark.long
def test_wandb_gets_arg_the_tables_and_the_figures(two, tmp_path, monkeypatch):
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    report = write_report(two)
    settle()
    mine = wandb.init(mode="offline", dir=tmp_path)
    assert log_report(report, two) is None
    assert wandb.run is mine  # a run that the process has is neither logged into nor ended
    settle()
    head, config, values = read(two / "report")
    assert (head.run_group, head.job_type, head.display_name) == ("hand", "report", "hand/report")
    assert [json.loads(values[f"ARG/{name}"]) for name in ("p/MTL", "q/FT")] == pytest.approx([14.423077, 55])
    assert json.loads(config["study"])["methods"] == ["PT", "MTL", "FT"]
    # setting, target, method: two settings of two targets, two methods beside the baseline
    assert json.loads(values["relative_gains.nrows"]) == 8 and json.loads(values["significance.nrows"]) == 6
    logged = {name.removeprefix("figures/").removesuffix("._type") for name in values if name.startswith("figures/")}
    assert {f"{name}.png" for name in logged if "." not in name} == {
        name for name in report.files if name.endswith(".png")
    }
    (path,) = (two / "report" / "wandb").glob("offline-run-*/files/media/table/relative_gains_*.table.json")
    table = json.loads(path.read_text())
    assert table["columns"] == ["partition", "target", "method", "gain_mean", "gain_std"]
    found = {tuple(row[:3]): row[3] for row in table["data"]}
    assert found["p", "a", "MTL"] == pytest.approx(3.846154) and found["q", "c", "FT"] == pytest.approx(100)


def test_an_outage_of_wandb_is_told_and_stops_nothing(records, tmp_path, monkeypatch):
    import wandb

    def broken(**_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(wandb, "init", broken)
    write_folder(tmp_path, records)
    assert log_report(write_report(tmp_path), tmp_path) == "OSError: no space left on device"


def test_a_report_of_some_draws_is_that_of_their_runs_alone(records, tmp_path, capsys):
    upstream = [run_of(f"MTL/upstream-{seed}", "MTL", "upstream", None, seed) for seed in (13, 21)]
    write_folder(tmp_path / "both", [*upstream, *records])
    own = [row for row in records if row.seed == 21]
    write_folder(tmp_path / "one", [upstream[1], *own], seeds=[21])
    with pytest.raises(SystemExit):  # upstream runs without a result are missing
        run_study_command(["report", str(tmp_path / "both"), "--seeds", "21"])
    assert "upstream-13" not in capsys.readouterr().out
    write_report(tmp_path / "one")
    for name in ("scores.csv", "arg.csv", "relative_gain.csv", "costs.csv"):
        one, two = (tmp_path / folder / "report" / name for folder in ("one", "both"))
        assert one.read_text() == two.read_text(), name
    report = write_report(tmp_path / "both", seeds=(13, 21))
    assert len(report.sections[0].scores) == len(records)
    with pytest.raises(UserError, match="no such draw; its draws are 13, 21"):
        run_study_command(["report", str(tmp_path / "both"), "--seeds", "14"])


def test_a_report_of_some_draws_has_what_they_start_from_and_nothing_else(records, tmp_path):
    shared = [replace(row, upstream_seed=7) if row.method == "MTL" else row for row in records if row.method != "FT"]
    own = [
        replace(row, key=row.key.replace("MTL", "FT"), method="FT", upstream_seed=row.seed)
        for row in records
        if row.method == "MTL"
    ]
    above = [run_of(f"{method}/up-{seed}", method, "upstream", None, seed) for method, seed in
             (("MTL", 7), ("MTL", 8), ("FT", 13), ("FT", 21))]  # fmt: skip
    keys = [run_of(f"embedding/a-{seed}", "embedding", "upstream", "a", seed) for seed in (13, 21)]
    write_folder(tmp_path, [*keys, *above, *shared, *own])
    found = build_report(tmp_path, seeds=(13,)).records
    kept = {record.key for record in found if record.stage == "upstream"}
    assert kept == {"MTL/up-7", "FT/up-13", "embedding/a-13"}


def test_files_that_a_report_no_longer_has_go(records, tmp_path):
    write_folder(tmp_path, records)
    (tmp_path / "report").mkdir()
    for name in ("other_tasks.csv", "scores_written.csv", "languages.html", "mine.csv"):
        (tmp_path / "report" / name).write_text("old")
    write_report(tmp_path)
    assert {path.name for path in (tmp_path / "report").iterdir() if path.read_bytes() == b"old"} == {"mine.csv"}


def test_it_says_how_to_have_it_again_as_it_was(records, tmp_path, monkeypatch):
    """What the command line said over the file, and which draws and rival were asked for."""
    file = write_study(tmp_path / "of two", "mpt-tiny")
    root = str(tmp_path / "of two/data")
    one = [{"name": "toys", "given": "toys", "targets": ["a", "b"], "sources": ["s"]}]
    facts = {"file": str(file), "root": root, "settings": one}
    write_folder(tmp_path / "x y", records, **facts)

    def commands(**facts: object) -> list[str]:
        write_folder(tmp_path / "x y", records, **facts)
        write_report(tmp_path / "x y", *asked)
        page = (tmp_path / "x y/report/report.md").read_text("utf-8")
        return page.partition("## How to have it again")[2].partition("```")[2].partition("```")[0].split("\n")[1:-1]

    asked: tuple[object, ...] = ()
    run = f"mpt study run '{file}'"
    out = f"--out '{tmp_path / 'x y'}'"
    assert commands(**facts) == [f"{run} {out}"]
    assert commands(**facts, backbone="tiny") == [f"{run} --backbone tiny {out}"]
    assert commands(**{**facts, "root": "synthetic"}) == [f"{run} --root synthetic {out}"]
    asked = ("FT", (21,))
    assert commands(**facts)[1:] == [f"mpt study report '{tmp_path / 'x y'}' --seeds 21 --against FT"]


def test_what_is_undefined_by_writing_is_told(tmp_path):
    rows = [replace(row, result=replace(row.result, score_written=0.0 if row.target == "b" else 0.5))
            for row in one_partition()]  # fmt: skip
    write_folder(tmp_path, rows)
    write_report(tmp_path)
    page = (tmp_path / "report/report.md").read_text("utf-8")
    assert "The mean score of PT by what is written is zero or less on b" in page


def test_a_report_of_scores_takes_nothing_away_from_the_folder_that_it_is_written_to(tmp_path):
    rows = [f"p,{m},{t},{s},0.{i + 3}" for i, m in enumerate(("PT", "MTL")) for t in "ab" for s in (13, 21)]
    (tmp_path / "scores_written.csv").write_text("\n".join(["partition,method,target,draw,test_score", *rows]) + "\n")
    write_report_of_scores(tmp_path / "scores_written.csv", "PT", tmp_path)
    assert (tmp_path / "scores_written.csv").is_file() and (tmp_path / "report.md").is_file()


def test_a_report_of_scores_leaves_pictures_that_it_did_not_draw(tmp_path):
    rows = [f"p,{m},{t},{s},0.{i + 3}" for i, m in enumerate(("PT", "MTL")) for t in "ab" for s in (13, 21)]
    (tmp_path / "scores.csv").write_text("\n".join(["partition,method,target,draw,test_score", *rows]) + "\n")
    (tmp_path / "convergence.png").write_bytes(b"mine")
    write_report_of_scores(tmp_path / "scores.csv", "PT", tmp_path)
    assert (tmp_path / "convergence.png").read_bytes() == b"mine"
