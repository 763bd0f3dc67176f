"""How much of the search can be saved: best of top-k by similarity against trying every source (SPoT, table 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from mpt.analysis.transfers import SourceTrial, Transfers, error_reduction, mean
from mpt.present.figure_style import BASELINE, COLOURS, bare, new_figure, save
from mpt.present.table import Measured, Table, TableCell
from mpt.study.scores.scores import mean_std


@dataclass(frozen=True)
class SearchSpaceCut:
    """What is left if only the k most similar source prompts are tried.

    Scores are in percent, means over the targets; a deviation is over the seeds. Where several of those that are tried
    are equally good on dev, which a small dev set often has, the mean of their test scores counts: in :attr:`score`,
    with all of them and by chance alike, so that all of them by chance are all of them. A study's own tables take the
    first of equals, a single run.

    Attributes:
        k: how many are tried.
        removed: share of the source prompts that need not be tried, 1 - k / n.
        score, std: of the best of the k, chosen on dev.
        gain: its difference to the baseline's score.
        reduction: mean over the targets of the relative error reduction.
        kept: the gain's share of the gain of all, chosen on dev too; NaN where all gain nothing.
        by_chance: the same share for k prompts drawn at random, as is to be expected over all draws.
        possible: the gain of the best of the k if it were chosen on test, in place of dev, as by an oracle: more than
            can be had.
        possible_kept: its share of the same for all.
    """

    k: int
    removed: float
    score: float
    std: float
    gain: float
    reduction: float
    kept: float
    by_chance: float
    possible: float
    possible_kept: float


def default_ks(count: int) -> list[int]:
    """SPoT's 1, 3, 6, 9, 12, 15, then doubled, as far as there are sources; all of them last."""
    ks = [1, 3, 6, 9, 12, 15]
    while ks[-1] * 2 < count:
        ks.append(24 if ks[-1] == 15 else ks[-1] * 2)
    return [k for k in ks if k < count] + [count]


def rankings(transfers: Transfers) -> dict[tuple[str, int], list[SourceTrial]]:
    """By target and seed all source prompts, the most similar first; those of equal similarity by name.

    Targets and seeds that lack a source which others have are left out.
    """
    found: dict[tuple[str, int], list[SourceTrial]] = {}
    for trial in sorted(transfers.trials, key=lambda trial: (-trial.similarity, trial.source)):
        found.setdefault((trial.target, trial.seed), []).append(trial)
    most = max(map(len, found.values()), default=0)
    return {place: ranked for place, ranked in found.items() if len(ranked) == most}


def search_space(transfers: Transfers, ks: Sequence[int] | None = None) -> list[SearchSpaceCut]:
    """One for each k, and for all sources last.

    Raises:
        ValueError: a k below 1.
    """
    ranked = rankings(transfers)
    count = len(next(iter(ranked.values()), []))
    if not count:
        return []
    if ks is not None and min(ks) < 1:
        raise ValueError(f"k must be at least 1, not {min(ks)}")
    ks = sorted({k for k in ks if k < count} | {count}) if ks is not None else default_ks(count)
    base = _percent({place: transfers.base[place] for place in ranked})

    def gain(k: int, choice: str) -> float:
        return _percent({place: _best(trials[:k], choice) for place, trials in ranked.items()}) - base

    whole, possible = gain(count, "dev_score"), gain(count, "score")
    found = []
    for k in ks:
        scores = {place: _best(trials[:k], "dev_score") for place, trials in ranked.items()}
        chance = _percent({place: _by_chance(trials, k) for place, trials in ranked.items()}) - base
        own = _percent(scores) - base
        found.append(
            SearchSpaceCut(
                k=k,
                removed=1 - k / count,
                score=_percent(scores),
                std=_deviation(scores),
                gain=own,
                reduction=_reduction(scores, transfers),
                kept=_share(own, whole),
                by_chance=_share(chance, whole),
                possible=gain(k, "score"),
                possible_kept=_share(gain(k, "score"), possible),
            )
        )
    return found


def search_table(transfers: Transfers, cuts: Sequence[SearchSpaceCut]) -> Table:
    """Table 3 of SPoT for best of top-k: the baseline, then a row per k, all last."""
    ranked = rankings(transfers)
    base = {place: transfers.base[place] for place in ranked}
    score = Measured(_percent(base), _deviation(base))
    rows: list[list[TableCell]] = [[transfers.baseline, "", score, "", "", "", "", "", ""]]
    for cut in cuts:
        name = f"top {cut.k}" if cut.removed else f"all {cut.k}"
        changes = [f"{cut.gain:+.1f}", _signed(cut.reduction)]
        shares = [_whole(cut.kept), _whole(cut.by_chance), f"{cut.possible:+.1f}", _whole(cut.possible_kept)]
        rows.append([name, f"{100 * cut.removed:.0f}%", Measured(cut.score, cut.std), *changes, *shares])
    head = ["tried", "search removed", "score (%)", "gain", "error reduction (%)", "gain of all kept"]
    head += ["kept at random", "best possible gain", "of it kept"]
    return Table(head, rows, rules=frozenset({1}))


def draw_search_space(path: Path, transfers: Transfers, cuts: Sequence[SearchSpaceCut]) -> None:
    """Share of the gain of all against share of the search that is saved, by similarity and by chance."""
    figure = new_figure(6.4, 4.2)
    axes = figure.subplots()
    bare(axes, "both")
    x = [100 * cut.removed for cut in cuts]
    for values, colour, name in (
        ([cut.kept for cut in cuts], COLOURS[0], f"most similar ({transfers.by})"),
        ([cut.by_chance for cut in cuts], BASELINE, "drawn at random"),
    ):
        axes.plot(x, [100 * value for value in values], color=colour, marker="o", markersize=5, label=name)
    for cut, place in zip(cuts, x, strict=True):
        if not math.isnan(cut.kept):
            axes.annotate(
                f"{cut.k}" if cut is not cuts[-1] else f"k = {cut.k}",
                (place, 100 * cut.kept),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
    axes.axhline(100, color="#888888", linewidth=0.8, linestyle="--")
    axes.margins(x=0.07, y=0.15)
    axes.set_xlabel("source prompts that are not tried (%)")
    axes.set_ylabel(f"share of the gain of all {cuts[-1].k} (%)")
    axes.set_title(f"{transfers.study}\nbest of the k most similar source prompts, chosen on dev", fontsize=11)
    axes.legend(fontsize=9)
    save(figure, path)


def _best(trials: Sequence[SourceTrial], choice: str) -> float:
    """Test score of the best by dev or test score; of equals the mean."""
    highest = max(getattr(trial, choice) for trial in trials)
    return mean([trial.score for trial in trials if getattr(trial, choice) == highest])


def _by_chance(trials: Sequence[SourceTrial], k: int) -> float:
    """The test score to be expected of the best on dev of k trials drawn without order or return.

    The best of k is the i-th of all n, from the best on, if it is drawn and the k - 1 others come from those behind it:
    with probability C(n - 1 - i, k - 1) / C(n, k). Of equals on dev each is as likely: it counts by their mean.
    """
    in_order = sorted(trials, key=lambda trial: -trial.dev_score)
    scores: list[float] = []
    for _, group in groupby(in_order, key=lambda trial: trial.dev_score):
        equals = [trial.score for trial in group]
        scores += [mean(equals)] * len(equals)
    count = len(scores)
    # From one place to the next by their ratio: the binomials themselves are beyond floats from about 1,000 trials on.
    shares = [k / count]
    for i in range(count - k):
        shares.append(shares[-1] * (count - k - i) / (count - 1 - i))
    return math.fsum(score * share for score, share in zip(scores, shares, strict=False))


def _percent(scores: dict[tuple[str, int], float]) -> float:
    """The mean over the targets of the mean over their seeds, in percent."""
    groups: dict[str, list[float]] = {}
    for (target, _), score in scores.items():
        groups.setdefault(target, []).append(100 * score)
    return mean([mean(values) for values in groups.values()])


def _deviation(scores: dict[tuple[str, int], float]) -> float:
    """Over the seeds that have all targets, of the mean over the targets, in percent."""
    targets = {target for target, _ in scores}
    seeds = {seed for _, seed in scores if all((target, seed) in scores for target in targets)}
    return mean_std([mean([100 * scores[target, seed] for target in sorted(targets)]) for seed in sorted(seeds)])[1]


def _reduction(scores: dict[tuple[str, int], float], transfers: Transfers) -> float:
    found = []
    for target in dict.fromkeys(target for target, _ in scores):
        own, base = (
            mean([table[place] for place in scores if place[0] == target]) for table in (scores, transfers.base)
        )
        found.append(error_reduction(own, base))
    return mean([value for value in found if not math.isnan(value)])


def _share(gain: float, whole: float) -> float:
    return gain / whole if whole > 1e-9 else math.nan


def _signed(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:+.1f}"


def _whole(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{100 * value:.0f}%"
