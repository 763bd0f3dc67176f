"""What docs/results.md says of the paper's own scores, against the files it comes from."""

from __future__ import annotations

from support.committed import committed
from support.paths import ROOT

RESULTS = (ROOT / "docs/results.md").read_text(encoding="utf-8")


def test_what_is_said_of_the_papers_table_is_in_the_committed_results():
    """The counts in the page beside the re-analysis."""
    page = (ROOT / "experiments/results/qin2023/README.md").read_text(encoding="utf-8")
    rows = committed("qin2023", "significance.csv")
    pt = [row for row in rows if row["against"] == "PT"]
    mtl = [row for row in rows if row["against"] == "MTL"]
    assert (len(pt), len(mtl)) == (45, 35)

    def below(rows: list[dict[str, str]], column: str) -> list[dict[str, str]]:
        return [row for row in rows if float(row[column]) < 0.05]

    corrected = {(row["partition"], row["method"], row["difference"][0]) for row in below(pt, "p_holm")}
    assert "no gain and two losses of 45" in page and corrected == {
        ("qa-to-qa", "FT", "-"),
        ("classification-to-nonclassification", "FT", "-"),
    }
    (edge,) = [row for row in pt if (row["partition"], row["method"]) == ("nonqa-to-qa", "FoMAML")]
    assert f"p = {float(edge['p']):.3f}, corrected {float(edge['p_holm']):.3f}" in page
    assert "14 of 45 have p < 0.05" in page and len(below(pt, "p")) == 14
    gained = [row["method"] for row in below(pt, "p") if float(row["difference"]) > 0]
    assert "Eleven are gains" in page and "MTL in all five, FoMAML in four, MAML in two" in page
    assert (len(gained), *map(gained.count, ("MTL", "FoMAML", "MAML"))) == (11, 5, 4, 2)
    meta = [row for row in mtl if row["method"] != "FT"]
    assert all(float(row["difference"]) < 0 for row in below(meta, "p")) and "eleven cells" in page
    assert len(below(meta, "p")) == 11 and [row["method"] for row in below(meta, "p_holm")] == ["MAML"]
