"""``mpt data build | text | xquad | translate | verify``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mpt.cli.options import Distinct, Parser, at_least, seed, shots
from mpt.data.build.build import SEEDS, BuildJob
from mpt.data.build.raw import raw_tasks
from mpt.data.build.translated import Side
from mpt.data.fewshot.files import SYNTHETIC
from mpt.data.tasks.known import catalogue, read_task
from mpt.data.tasks.mixtures import load_mixture
from mpt.data.tasks.partitions import load_partition
from mpt.data.tasks.task import Task
from mpt.util.errors import UserError
from mpt.util.files import LOCK, clear_left, only_one
from mpt.util.machine import cores
from mpt.util.names import nearest
from mpt.util.places import expanded
from mpt.util.yaml_file import is_yaml


def run_data_command(arguments: list[str]) -> None:
    """Make few-shot files, or compare them with CrossFit's sums; exits with 1 if one of several tasks
    failed or a file differs."""
    options = parser().parse_args(arguments)
    if other := {"text": _text, "xquad": _xquad, "translate": _translate}.get(options.action):
        other(options)
        return
    if _build(options) if options.action == "build" else _verify(options):
        sys.exit(1)


def parser() -> argparse.ArgumentParser:
    """The options of all of them."""
    options = Parser(prog="mpt data", description="CrossFit's few-shot files: made, and verified.")
    actions = options.add_subparsers(dest="action", required=True)
    build = actions.add_parser(
        "build",
        help="make tasks' few-shot files from the Hugging Face hub, or from raw files",
        description="Make <root>/<task>/<task>_<k>_<seed>_{train,dev,test}.tsv, byte for byte CrossFit's. Tasks whose "
        "files are there are skipped, so a build that was stopped goes on with the same command.",
    )
    build.add_argument("tasks", metavar="TASK", nargs="*", help="name in the catalogue, or a task's own .yaml file")
    build.add_argument("--partition", metavar="NAME", help="all tasks of a partition, by its name or .yaml file")
    build.add_argument("--mixture", metavar="NAME", help="all tasks of a mixture, by its name or .yaml file")
    build.add_argument("--source", action="store_true", help="of the partition, the source tasks alone")
    build.add_argument("--target", action="store_true", help="of the partition, the target tasks alone")
    build.add_argument("--all", action="store_true", help="CrossFit's 160 tasks")
    build.add_argument(
        "--root", type=expanded, metavar="DIR", required=True, help="data folder to write to, one folder per task"
    )
    build.add_argument(
        "--raw",
        type=expanded,
        metavar="DIR",
        help="folder of whole files <task>.train.tsv and <task>.test.tsv, in place of the hub; all tasks in it, unless "
        "some are named",
    )
    build.add_argument(
        "--k",
        type=shots,
        nargs="+",
        action=Distinct,
        default=[],
        metavar="K",
        help="examples per label for tasks sampled by label (default: 16), in all for others (default: 32), or all",
    )
    _add_seeds(build, f"draws (default: {' '.join(map(str, SEEDS))})")
    build.add_argument("--workers", type=at_least(1), metavar="N", help="processes, a task each (default: one a core)")
    build.add_argument("--overwrite", action="store_true", help="make files anew that are there")
    text = actions.add_parser(
        "text",
        help="make a source task of unlabelled text",
        description="Make <root>/<name>/<name>_all_<seed>_{train,dev,test}.tsv, a document a line, of which the data "
        "modules make examples of prefix LM (or span corruption in MixtureData), alone or mixed with other tasks.",
    )
    text.add_argument("name", help="of the task")
    text.add_argument("files", metavar="FILE", nargs="+", type=expanded, help=".txt, .jsonl or .json, perhaps with .gz")
    text.add_argument("--root", type=expanded, metavar="DIR", required=True, help="data folder to write to")
    _add_seeds(text, "draws, all the same")
    xquad = actions.add_parser(
        "xquad",
        help="make tasks of questions in twelve languages",
        description="Make of XQuAD's parallel paragraphs, a file FOLDER/<language>.jsonl each, the tasks "
        "xquad-questions-<language> (from an answer and its sentence to the question) and xquad-text-<language> (the "
        "training paragraphs, unlabelled). A draw's articles for train, dev and test are the same in each language.",
    )
    xquad.add_argument("folder", type=expanded, metavar="FOLDER", help="of the paragraphs")
    xquad.add_argument("--root", type=expanded, metavar="DIR", required=True, help="data folder to write to")
    xquad.add_argument("--languages", nargs="+", default=[], metavar="LANGUAGE", help="such as en th (default: all)")
    _add_seeds(xquad, "draws")
    translate = actions.add_parser(
        "translate",
        help="make a task in another language of one, by a translation model",
        description="Make the task NAME of a task's files, every text translated: for the baselines TRANS-TRAIN (learn "
        "on it) and, with --only inputs, TRANS-TEST (have the learned language asked). Stopped, it goes on with the "
        "same command.",
    )
    translate.add_argument("task", metavar="TASK", help="a folder in the data folder")
    translate.add_argument("name", metavar="NAME", help="of the task that is made")
    translate.add_argument("--root", type=expanded, metavar="DIR", required=True, help="data folder of both")
    translate.add_argument("--model", required=True, help="such as Helsinki-NLP/opus-mt-en-vi; hub name or folder")
    translate.add_argument("--ask", default="", help='before each text, such as "translate English to German: "')
    translate.add_argument("--chat", action="store_true", help="a text is a user's turn (chat models)")
    translate.add_argument("--only", choices=("inputs", "outputs"), help="what is translated (default: both)")
    translate.add_argument("--batch-size", type=at_least(1), default=16, metavar="N", help="texts at a time")
    translate.add_argument("--longest", type=at_least(1), default=512, metavar="N", help="tokens of a text at most")
    translate.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    verify = actions.add_parser("verify", help="compare few-shot files with CrossFit's published MD5 sums")
    verify.add_argument("folder", type=expanded, metavar="DIR", help="data folder, one folder per task")
    verify.add_argument("tasks", metavar="TASK", nargs="*", help="tasks in it (default: all)")
    verify.add_argument("--only-differing", action="store_true", help="leave out tasks in which nothing differs")
    return options


def _add_seeds(parser: argparse.ArgumentParser, told: str) -> None:
    parser.add_argument(
        "--seeds", type=seed, nargs="+", action=Distinct, default=list(SEEDS), metavar="SEED", help=told
    )


def _build(options: argparse.Namespace) -> bool:
    from mpt.cli.data_view import print_outcomes, watched
    from mpt.data.build.workers import build_all
    from mpt.present.terminal import console

    _check(options)
    terminal = console()
    tasks, unknown = _tasks(options)
    jobs = [
        BuildJob(task, options.root, tuple(options.k), tuple(options.seeds), options.raw, options.overwrite)
        for task in tasks
    ]
    if unknown:
        terminal.print(f"left out, for the catalogue does not know them: {', '.join(unknown)}", markup=False)
    workers = options.workers or cores()
    with _alone(options.root):
        outcomes = list(watched(build_all(jobs, workers), len(jobs), terminal))
    failed = [outcome for outcome in outcomes if outcome.result == "failed"]
    if failed and len(jobs) == 1:
        raise UserError(f"{failed[0].job.task.name}: {failed[0].reason}")
    print_outcomes(terminal, outcomes, options.root)
    return bool(failed)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Be the only one that writes tasks to a data folder; one that is made for it goes if nothing was made in it."""
    if str(root) == SYNTHETIC:
        raise UserError(
            f"--root {root} means the tasks that ship with the package; name another folder, or ./{root} if one is "
            "called so"
        )
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    with only_one(root, f"another mpt data is at work in {root}; wait for it."):
        clear_left(root)
        try:
            yield
        finally:
            clear_left(root)
            if made:
                _leave_nothing(made)


def _leave_nothing(made: Sequence[Path]) -> None:
    """Remove the folders that were made for the build, the inner one first, if nothing was built into them."""
    if {path.name for path in made[0].iterdir()} <= {LOCK}:
        (made[0] / LOCK).unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()


def _text(options: argparse.Namespace) -> None:
    from mpt.data.build.text_files import write_texts

    with _alone(options.root):
        count = write_texts(options.root, options.name, options.files, options.seeds)
    print(f"{options.root / options.name}: {count:,} documents")


def _xquad(options: argparse.Namespace) -> None:
    from mpt.data.build.xquad import write_questions

    with _alone(options.root):
        tasks = write_questions(options.folder, options.root, options.languages, options.seeds)
    for task in tasks:
        print(options.root / task)


def _translate(options: argparse.Namespace) -> None:
    from mpt.backbone.device import device_of, device_words
    from mpt.backbone.translator import Translator
    from mpt.data.build.translated import write_translated
    from mpt.present.progress import CountProgress
    from mpt.present.terminal import console
    from mpt.util.quiet import quiet_libraries

    quiet_libraries()
    names = ("model", "ask", "chat", "batch_size", "longest", "device")
    translator = Translator(**{name: getattr(options, name) for name in names})
    sides: tuple[Side, ...] = (options.only,) if options.only else ("inputs", "outputs")
    where = f" on {device_words(device_of(options.device))}"
    with _alone(options.root), CountProgress(console(stderr=True), "texts", where=where) as progress:
        count = write_translated(
            options.root, options.task, options.name, translator, sides, repr((translator, sides)), progress.told
        )
    print(f"{options.root / options.name}: {count:,} texts")


def _verify(options: argparse.Namespace) -> bool:
    from mpt.cli.data_view import print_verdicts
    from mpt.data.build.verify import verify
    from mpt.present.terminal import console

    verdicts = list(verify(options.folder, options.tasks))
    print_verdicts(console(), verdicts, options.only_differing)
    return any(verdict.differs for verdict in verdicts)


def _check(options: argparse.Namespace) -> None:
    """Complain of options that cannot be right, before anything is read or written."""
    ways = [bool(options.tasks), options.partition is not None, options.mixture is not None, options.all]
    if sum(ways) > 1:
        raise UserError("Name tasks, or give --partition, --mixture or --all: one of the four.")
    if not any(ways) and options.raw is None:
        raise UserError("Name the tasks to build, or give --partition NAME, --mixture NAME, --all, or --raw DIR.")
    if (options.source or options.target) and options.partition is None:
        raise UserError("--source and --target choose among the tasks of --partition, which is not given.")
    if options.root.exists() and not options.root.is_dir():
        raise UserError(f"--root {options.root} is a file; it is the folder to write task folders to.")
    if options.raw is not None:
        if not options.raw.is_dir():
            raise UserError(f"There is no folder {options.raw}; --raw is a folder of <task>.train.tsv and .test.tsv.")
        if options.raw.resolve() == options.root.resolve():
            raise UserError(f"--raw and --root are the same folder, {options.root}; write to another one.")


def _tasks(options: argparse.Namespace) -> tuple[list[Task], list[str]]:
    """The tasks to build, and names that stand in the raw folder and not in the catalogue."""
    if options.tasks:
        return _named(options.tasks), []
    if options.partition is not None:
        partition = load_partition(options.partition)
        everything = not (options.source or options.target)
        source = partition.source if everything or options.source else ()
        target = partition.target if everything or options.target else ()
        return _named([*source, *target, *(partition.validation if everything else ())], files=False), []
    if options.mixture is not None:
        return _named(load_mixture(options.mixture).tasks, files=False), []
    if options.all:
        return list(catalogue("crossfit").values()), []
    names = raw_tasks(options.raw)
    known = [name for name in names if name in catalogue()]
    if not known:
        raise UserError(f"{options.raw} holds no <task>.train.tsv of a task of the catalogue.")
    return _named(known), [name for name in names if name not in catalogue()]


def _named(names: Sequence[str], files: bool = True) -> list[Task]:
    """Tasks by name in the catalogue or, if ``files``, by the path of their own file."""
    tasks: dict[str, Task] = {}
    for name in names:
        if files and is_yaml(name):
            task = read_task(Path(name))
            if task.name in catalogue():
                raise UserError(f"The task file {name}: the catalogue has a task {task.name}; name yours otherwise.")
        elif name in catalogue():
            task = catalogue()[name]
        else:
            raise UserError(f"There is no task {name!r} in the catalogue; {nearest(name, catalogue())}")
        if task.name in tasks:
            raise UserError(f"The task {task.name} is named twice.")
        tasks[task.name] = task
    return list(tasks.values())
