"""The shipped study across languages, made small: every method learns and is asked, on a small random mT5."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from support.small_models import t5_of_kind
from support.study_command import results, study

from mpt.fit.configs import find_config

ASKED = ("fr", "ru", "th", "vi")
TEXT = {"th": "\t{}เมืองหลวง{}ของฝรั่งเศส{}เป็นเมือง{}ที่ใหญ่มาก\n"}


def write_data(root: Path) -> Path:
    for language in ("en", *ASKED):
        for name, line in (
            (f"wikilingua-{language}", "{} {} {}\t{}\n"),
            ("c4" if language == "en" else f"text-{language}", TEXT.get(language, "\t{} {} {} {} b c d\n")),
        ):
            (root / name).mkdir(parents=True)
            for split in ("train", "dev", "test"):
                rows = [line.format(language, split, number, number) for number in range(6)]
                (root / name / f"{name}_all_13_{split}.tsv").write_text("".join(rows))
    return root


@pytest.mark.slow
def test_every_method_learns_and_is_asked(tmp_path):
    content = yaml.safe_load(find_config("studies/xgen_wikilingua").read_text(encoding="utf-8"))
    model = t5_of_kind("mt5", tmp_path / "mt5", tie_word_embeddings=False, feed_forward_proj="gated-gelu")
    content |= {
        "backbone": str(model),
        "settings": {"Base": {}},
        "seeds": [13],
        "root": str(write_data(tmp_path / "d")),
    }
    content["overrides"] |= {
        "model.backbone_options.max_input_length": 24,
        "model.backbone_options.max_target_length": 4,
        "data.batch_size": 2,
        "trainer.max_steps": 2,
        "trainer.val_check_interval": 2,
    }
    methods = content["methods"]
    methods["PT"]["downstream"]["vary"] = {"model.prompt_length": [1, 100]}
    for name in ("FT", "FT-mix"):
        methods[name]["downstream"]["learning_rates"] = [0.001]
    methods["Factorised"]["upstream"]["overrides"] |= {"trainer.max_steps": 2, "data.window": 4}
    file, out = tmp_path / "small.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    code, _, err = study("run", file, "--out", out, "--workers", "1")
    assert code == 0, err
    done = results(out)
    learned = {key for key in done if "upstream" not in key}
    names = {"PT-1", "PT-100", *methods} - {"PT"}
    assert {key.split("/")[-2] if "/" in key else key for key in learned} >= names, sorted(learned)
    for key in learned:
        measures = json.loads((out / key / "result.json").read_text())["measures"]
        wanted = {
            f"wikilingua-{code}/{name}" for code in ASKED for name in ("SP-ROUGE", f"LID_{code}", "LID_en", "ASCII")
        }
        assert wanted <= set(measures)
    for name in ("languages.csv", "languages.png", "languages.html", "language_curves.csv"):
        assert (out / "report" / name).is_file()
