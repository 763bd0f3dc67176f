"""Time, peak memory and error of one MAML meta-gradient: ours, by higher, by learn2learn.

    python experiments/benchmarks/meta_gradient.py --out meta_gradient.csv
    python experiments/benchmarks/meta_gradient.py --model mpt-tiny --ways fomaml maml higher --steps 1 10
    python experiments/benchmarks/meta_gradient.py --device cuda --model t5-v1_1-base

Ways: ``fomaml``; ``maml``, which is MAML as it comes; ``maml_exact`` and ``maml_graph``, its other two ways to the
Hessian; ``higher``; ``learn2learn``, left out where it is not installed. A row is one call
``algorithm(loss, prompt, support, query)`` with one support batch for all inner steps, in a process of its own.
Dropout is off, so that every way has the same exact answer. With it the CPU has no fused attention, and at one inner
step on t5-256 ``fomaml`` and ``maml`` take 0.37 of ``higher``'s memory instead of 0.30.

Model: ``t5-256`` is a T5 1.1 with random weights, 4 + 4 layers, d_model 256, 8 heads of 32, gated d_ff 1024, 32,128
rows of vocabulary. ``t5-small``, ``t5-base``, ``t5-v1_1-small``, ``t5-v1_1-base``, ``llama-135m`` (SmolLM2's shape),
``llama-360m`` and ``llama-1b`` have those models' sizes, and random weights too. The two original T5s use ReLU, whose
kinks a difference of gradients sees and a double backward does not: there ``maml``'s error is not a matter of
precision. On decoder-only models ``higher`` and ``learn2learn`` pad their rows, as a loop over these libraries would.
Any other name is a folder, mpt-tiny, or a hub model that was downloaded before.

Time is the median wall time of the repeats after a first call, each after a garbage collection; the CPU time beside it
does not count other programs. Compare ways by one run on a quiet machine.

Memory is measured twice, both above the point "model loaded, a call on one short row is over". Tensors: the peak of
what torch's allocator hands out, on the CPU in one more call under the profiler. It is the same each time, so it is
``extra_mb``. Process (CPU, Linux): the peak of the resident set over the first full call, of which the C library keeps
some that the call has given back; it varies by several MB.

Error is ``|g - g_ref| / |g_ref|`` where g_ref is MAML with exact Hessian products in float64 (T5 takes its norms and
every model its loss in float32 all the same); ``higher``, which shares no code with it, shows whether to believe it.
The last column is the error of the second-order term alone, ``|g - g_ref| / |g_ref - g_FoMAML|``; the row ``fomaml``
says how large that term is. Unless ``--inner-lr`` is given, the inner rate is the one at which the first inner step
carries the prompt by 1 % of its norm: on t5-256 and mpt-tiny FoMAML is then off by 10 % and more.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import (  # type: ignore[import-not-found]  # beside this script
    SIZES,
    NotFinished,
    TensorPeak,
    examples,
    first_rows,
    forget_resident_peak,
    load_backbone,
    now,
    random_model,
    read_weights,
    resident,
    run_apart,
)

WAYS = ("fomaml", "maml", "maml_exact", "maml_graph", "higher", "learn2learn")
TARGET_LENGTH = 8
TRAVEL = 0.01
COLUMNS = ("way", "inner_steps", "seconds", "extra_mb", "relative_error")
Row = dict[str, Any]


# The parent: model, reference, rows, table ----------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--model", default="t5-256", help=f"{', '.join(SIZES)}, mpt-tiny, a folder or a hub name")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--steps", nargs="+", type=positive, default=[1, 5, 10], help="numbers of inner steps")
    parser.add_argument("--repeats", type=positive, default=5, help="timed calls of each measurement")
    parser.add_argument("--inner-lr", type=float, help="inner rate, in place of the one that moves the prompt by 1 %%")
    parser.add_argument("--prompt-length", type=positive, default=100)
    parser.add_argument("--input-length", type=positive, default=128)
    parser.add_argument("--batch", type=positive, default=4, help="rows of the support and of the query batch")
    parser.add_argument("--threads", type=positive, default=1, help="CPU threads of a measurement")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, help=f"CSV file for the table: {','.join(COLUMNS)}")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        return measure(json.loads(options.measure))
    if options.device == "cuda" and not has_cuda():
        parser.error("--device cuda: torch finds no CUDA device here; use --device cpu")
    if options.out and options.out.is_dir():
        parser.error(f"--out {options.out} is a folder; give a file")
    ways = [way for way in WAYS if way in options.ways and is_here(way)]
    if not ways:
        parser.error("--ways: none of them is here")

    rows: list[Row] = []
    wanted = [(steps, way) for steps in sorted(set(options.steps)) for way in ways]
    with tempfile.TemporaryDirectory() as workspace:
        model = options.model
        job = vars(options) | {
            "out": None,
            "folder": str(random_model(model, Path(workspace)) if model in SIZES else model),
            "workspace": workspace,
        }
        for number, (steps, way) in enumerate(wanted, start=1):
            job |= {"inner_steps": steps, "reference": str(Path(workspace) / f"reference-{steps}.pt")}
            if way == ways[0]:
                facts = reference(parser, job)
            try:
                row = {"way": way, "inner_steps": steps, **run_apart(__file__, job | {"way": way})}
            except NotFinished as trouble:
                progress(f"[{number}/{len(wanted)}] {way}, inner steps {steps}: left out, {trouble.reason}")
                continue
            rows.append(row)
            write(options.out, rows)
            progress(
                f"[{number}/{len(wanted)}] {way}, inner steps {steps}: {row['seconds']:.3f} s, "
                f"{row['extra_mb']:.1f} MB, error {row['relative_error']:.1e}"
            )
    print(
        f"{options.model}: prompt {options.prompt_length}, input {options.input_length}, batch {options.batch}, "
        f"inner rate {facts['rate']:.4g}, float32, {options.device}, {options.threads} threads, "
        f"median of {options.repeats}"
    )
    print(table(rows))
    if options.out:
        print(f"written to {options.out}")
    if len(rows) < len(wanted):
        raise SystemExit(1)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def is_here(way: str) -> bool:
    """Whether the way's library is; a line says so if not."""
    from mpt.util.errors import UserError

    try:
        algorithm(way, 1.0, 1)
    except UserError as missing:
        print(f"{way} is left out: {missing}")
        return False
    return True


def reference(parser: argparse.ArgumentParser, job: dict[str, Any]) -> dict[str, Any]:
    """The exact gradient, left in a file for the measurements; without it there is nothing to report."""
    try:
        return run_apart(__file__, job | {"way": "reference"})
    except NotFinished as trouble:
        parser.exit(trouble.status if trouble.status > 0 else 1, f"{parser.prog}: error: {trouble.reason}\n")


def progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def write(out: Path | None, rows: list[Row]) -> None:
    """The rows so far: a later one may take the machine down."""
    from mpt.util.files import write_text

    if out:
        lines = [
            f"{row['way']},{row['inner_steps']},{row['seconds']:.5f},{row['extra_mb']:.3f},{row['relative_error']:.3e}"
            for row in rows
        ]
        write_text(out, "\n".join([",".join(COLUMNS), *lines]) + "\n")


def table(rows: list[Row]) -> str:
    """Rows by inner steps, with ratios to higher's row and FoMAML's of as many."""
    by_key = {(row["way"], row["inner_steps"]): row for row in rows}

    def ratio(row: Row, key: str, way: str) -> str:
        other = by_key.get((way, row["inner_steps"]))
        return f"{row[key] / other[key]:.3f}" if other and other[key] else "-"

    header = "steps|seconds|/ higher|CPU s|tensors MB|/ higher|/ fomaml|process MB|/ higher|error|of 2nd order"
    lines = [f"{'way':<26}" + "".join(f"{word:>14}" for word in header.split("|"))]
    for row in rows:
        hessian = f" ({row['hessian']})" if row["way"] == "maml" else ""
        cells = [
            str(row["inner_steps"]),
            f"{row['seconds']:.3f}",
            ratio(row, "seconds", "higher"),
            f"{row['cpu_seconds']:.3f}",
            f"{row['extra_mb']:.1f}",
            ratio(row, "extra_mb", "higher"),
            ratio(row, "extra_mb", "fomaml"),
            f"{row['process_mb']:.1f}",
            ratio(row, "process_mb", "higher"),
            f"{row['relative_error']:.1e}",
            f"{row['second_order_error']:.1e}",
        ]
        lines.append(f"{row['way'] + hessian:<26}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)


# The child: one measurement -------------------------------------------------------------------------------------------


def measure(job: dict[str, Any]) -> None:
    import torch

    from mpt.util.errors import UserError

    torch.set_num_threads(job["threads"])
    try:
        result = measure_reference(job) if job["way"] == "reference" else measure_way(job)
    except UserError as mistake:
        print(mistake, file=sys.stderr)
        raise SystemExit(2) from None
    Path(job["result"]).write_text(json.dumps(result))


def measure_reference(job: dict[str, Any]) -> dict[str, Any]:
    """Leaves inner rate, exact gradient and first-order gradient in the job's file."""
    import torch

    from mpt.learn.meta.inner_loop import gradient_of

    loss, prompt, support, query = episode(job, torch.float64)
    rate = job["inner_lr"]
    if rate is None:
        _, gradient = gradient_of(loss, prompt, support)
        rate = float(TRAVEL * prompt.norm() / gradient.norm())
    found: dict[str, Any] = {"rate": rate}
    for way in ("maml_exact", "fomaml"):
        found[way] = algorithm(way, rate, job["inner_steps"])(loss, prompt, [support], query).gradient.cpu()
    torch.save(found, job["reference"])
    return {"rate": rate}


def measure_way(job: dict[str, Any]) -> dict[str, Any]:
    import torch

    device = job["device"]
    loss, prompt, support, query = episode(job, torch.float32)
    known = torch.load(job["reference"], weights_only=True)
    way = algorithm(job["way"], known["rate"], job["inner_steps"])

    # Libraries set themselves up, without touching the memory that a full call needs.
    way(loss, prompt[:2], [short(support)], short(query))
    gc.collect()
    before = forget_resident_peak()
    way(loss, prompt, [support], query)
    process_peak = resident("VmHWM") - before if device == "cpu" else float("nan")
    seconds, cpu_seconds = [], []
    for _ in range(job["repeats"]):
        gc.collect()
        start, cpu_start = now(device), time.process_time()
        way(loss, prompt, [support], query)
        seconds.append(now(device) - start)
        cpu_seconds.append(time.process_time() - cpu_start)
    gc.collect()
    tensors = TensorPeak(device)
    tensors.start()
    result = way(loss, prompt, [support], query)
    tensor_peak = tensors.stop()

    exact, first_order = known["maml_exact"], known["fomaml"]
    error = (result.gradient.cpu().double() - exact).norm()
    return {
        "hessian": getattr(way, "hessian", None),
        "seconds": statistics.median(seconds),
        "cpu_seconds": statistics.median(cpu_seconds),
        "extra_mb": tensor_peak / 1e6,
        "process_mb": process_peak / 1e6,
        "relative_error": float(error / exact.norm()),
        "second_order_error": float(error / (exact - first_order).norm()),
    }


def algorithm(way: str, inner_lr: float, inner_steps: int) -> Any:
    from mpt.learn.meta import MAML, FoMAML
    from mpt.learn.meta.with_higher import HigherMAML
    from mpt.learn.meta.with_learn2learn import Learn2LearnMAML

    if way in ("maml_exact", "maml_graph"):
        return MAML(inner_lr, inner_steps, hessian=way.removeprefix("maml_"))  # type: ignore[arg-type]
    kinds: dict[str, Any] = {
        "fomaml": FoMAML,
        "maml": MAML,
        "higher": HigherMAML,
        "learn2learn": Learn2LearnMAML,
    }
    return kinds[way](inner_lr, inner_steps)


def episode(job: dict[str, Any], dtype: Any) -> tuple[Any, Any, Any, Any]:
    """Objective, prompt, support batch and query batch."""
    from mpt.backbone.model import token_mean

    backbone = load_backbone(job["folder"], job["input_length"], TARGET_LENGTH, job["device"])
    backbone.check_lengths(job["prompt_length"])
    backbone.to(dtype)
    if job["way"] in ("higher", "learn2learn"):  # a loop over these libraries pads its rows
        backbone.one_sequence = None
    read_weights(backbone)
    inputs, targets = zip(*examples(2 * job["batch"], job["input_length"]), strict=True)
    support, query = (
        backbone.encode(inputs[rows], targets[rows]).to(job["device"])
        for rows in (slice(job["batch"]), slice(job["batch"], None))
    )
    start = first_rows(backbone, job["prompt_length"])
    return lambda prompt, batch: token_mean(backbone.loss(prompt, batch), batch), start, support, query


def short(batch: Any) -> Any:
    """One row of at most eight tokens."""
    from mpt.backbone.encoding import Batch

    return Batch(batch.input_ids[:1, :8], batch.input_mask[:1, :8], batch.labels[:1])


if __name__ == "__main__":
    main()
