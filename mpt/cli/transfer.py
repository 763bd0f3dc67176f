"""``mpt transfer matrix | clusters``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mpt.cli.options import Parser, at_least, run_action
from mpt.library.pooling import MEASURES
from mpt.util.errors import UserError
from mpt.util.made_files import filling
from mpt.util.places import expanded

if TYPE_CHECKING:
    from mpt.analysis.remeasure import TaskKeys
    from mpt.analysis.transfers import Transfers
    from mpt.library.library import Library

_USAGE = """usage: mpt transfer ACTION …

Which source prompts help which target, and whether task embeddings tell it beforehand.

  matrix STUDY       of a finished study that tried every source prompt on every target: relative error reduction,
                     its correlation with similarity, and how much of the search retrieval saves
  clusters LIBRARY   which tasks of a prompt library are alike: a clustered heatmap of their keys

`mpt transfer ACTION --help` tells more.
"""


def run_transfer_command(arguments: list[str]) -> None:
    """Analyse a study's transfers, or a library's keys."""
    run_action("transfer", _USAGE, {"matrix": _matrix, "clusters": _clusters}, arguments)


def _matrix(words: Sequence[str]) -> None:
    parser = Parser(
        prog="mpt transfer matrix", description="Every source prompt to every target, from a study's result files."
    )
    parser.add_argument("study", type=expanded, help="folder of a study")
    parser.add_argument(
        "--method",
        metavar="METHOD",
        help="the method that tried every source prompt (default: the one that tried most)",
    )
    parser.add_argument("--baseline", metavar="METHOD", help="the method without transfer (default: the study's)")
    parser.add_argument("--library", metavar="WHERE", help="the study's prompt library, if it has moved")
    parser.add_argument("--by", choices=MEASURES, help="similarity to rank and cluster by (default: the study's)")
    parser.add_argument(
        "--k", type=at_least(1), nargs="+", help="how many of the most similar are tried (default: 1 3 6 …)"
    )
    parser.add_argument(
        "--on-examples",
        action="store_true",
        help="also measure each source prompt on the target's train examples: its loss, LEEP, and the neurons it wakes",
    )
    parser.add_argument("--out", type=expanded, help="folder to write to (default: report/transfer in the study's)")
    options = parser.parse_args(list(words))

    from mpt.study.run.results import REPORT, read_study

    read_study(options.study)  # one that is none is told of before torch is imported
    from mpt.analysis.analysis import analyse, write_analysis
    from mpt.analysis.correlation import summary
    from mpt.analysis.on_examples import measured_on_examples
    from mpt.analysis.transfers import read_transfers
    from mpt.present.progress import CountProgress
    from mpt.present.terminal import console, print_table
    from mpt.util.quiet import quiet_libraries

    quiet_libraries()
    terminal = console()

    def on_examples(transfers: Transfers, library: Library, keys: TaskKeys) -> dict[str, Transfers]:
        with CountProgress(terminal, "prompts on targets") as progress:
            return measured_on_examples(transfers, library, keys, progress.told)

    found = read_transfers(options.study, options.method, options.baseline)
    for transfers in found:
        more = on_examples if options.on_examples else None
        analysis = analyse(transfers, options.library, options.by, options.k, more)
        folder = options.out or options.study / REPORT / "transfer"
        if len(found) > 1:
            folder = folder / transfers.setting
        with filling(folder, ("clusters.png", "clusters.csv"), options.out is None) as fresh:
            files = write_analysis(analysis, fresh)
        place = f"{transfers.study}, {transfers.setting}: " if len(found) > 1 else f"{transfers.study}: "
        for title, table in analysis.tables():
            print_table(terminal, table, place + title)
        for rows in analysis.correlations.values():
            terminal.print(summary(rows), markup=False)
        terminal.print(analysis.ranking, markup=False)
        for note in analysis.notes:
            terminal.print(note, markup=False)
        terminal.print(f"in {folder}: {', '.join(files)}", markup=False)


def _clusters(words: Sequence[str]) -> None:
    parser = Parser(
        prog="mpt transfer clusters", description="Which tasks of a prompt library are alike, by their keys."
    )
    parser.add_argument("library", help="a folder, the name of a shipped library, or hub:owner/name")
    parser.add_argument("--backbone", metavar="NAME", help="of a library of several backbones, the one to look at")
    parser.add_argument("--by", choices=MEASURES, default="centred", help="similarity (default: centred)")
    parser.add_argument("--out", type=expanded, help="folder to write to (default: runs/clusters/<library's name>)")
    options = parser.parse_args(list(words))

    from mpt.library.library import Library

    library = Library.open(options.library)
    entries = [entry for entry in library.entries() if options.backbone in (None, entry.backbone)]
    backbones = sorted({entry.backbone for entry in entries})
    if not entries:
        known = ", ".join(sorted({entry.backbone for entry in library.entries()})) or "none"
        raise UserError(
            f"the library {options.library} has no prompts of {options.backbone or 'any backbone'} ({known})"
        )
    if len({entry.fingerprint for entry in entries}) > 1:
        raise UserError(
            f"the library {options.library} has prompts of several backbones ({', '.join(backbones)}), which cannot be "
            "compared; choose one by --backbone"
        )
    from mpt.analysis.clusters import cluster, clusters_csv, draw_clusters, nearest_tasks
    from mpt.present.table import Table
    from mpt.present.terminal import console, print_table
    from mpt.util.files import write_text

    name = library.folder.resolve().name
    folder = options.out or Path("runs") / "clusters" / name
    clusters = cluster(library.keys(entries), [entry.task for entry in entries], options.by)
    title = f"{name}: similarity of task embeddings on {Path(backbones[0]).name}"
    with filling(folder, private=options.out is None) as fresh:
        draw_clusters(fresh / "clusters.png", clusters, title)
        write_text(fresh / "clusters.csv", clusters_csv(clusters))
    terminal = console()
    if len(clusters.tasks) > 1:
        rows = [
            [task, ", ".join(f"{other} {value:.3f}" for other, value in near)] for task, near in nearest_tasks(clusters)
        ]
        print_table(terminal, Table(["task", "most similar"], rows, texts=2), f"{name}: {options.by}")  # type: ignore[arg-type]
    terminal.print(f"in {folder}: clusters.csv, clusters.png", markup=False)
