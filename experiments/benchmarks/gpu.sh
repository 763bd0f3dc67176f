#!/usr/bin/env bash
# What only a GPU can show, in at most eight minutes: the tests that use one, and the benchmarks on it.
#
#     bash experiments/benchmarks/gpu.sh OUT            # one large NVIDIA GPU; figures and a log in the folder OUT
#     bash experiments/benchmarks/gpu.sh OUT --smoke    # the same on the CPU with mpt-tiny: does the script run?
#
# A part that fails or outlasts its time leaves its log, and the others go on; a table at the end says what became of each.
# The models have random weights and the sizes of t5-base, t5-large and Llama 3.2 1B. The interpreter is PYTHON's, else .venv's, else python3.
set -uo pipefail
from="$PWD"
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.." || exit 2
python="${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}"
out="${1:-}"
smoke="${2:-}"
if [ -z "$out" ] || [ -n "$smoke" ] && [ "$smoke" != --smoke ]; then
  echo "usage: bash $0 OUT [--smoke]" >&2
  exit 2
fi
if [ -z "$smoke" ] && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  echo "the torch of $python finds no CUDA device here; --smoke runs the script on the CPU" >&2
  exit 2
fi
out="$(cd "$from" && mkdir -p "$out" && cd "$out" && pwd)" || exit 2
log="$out/log.txt"
summary="$out/summary.txt"
: >"$log"
printf '%-24s%-12s%8s\n' part result seconds >"$summary"
failed=0
export TOKENIZERS_PARALLELISM=false WANDB_MODE=offline HF_HUB_OFFLINE=1

part() { # NAME SECONDS COMMAND...: at most so long, with what it says in the log
  local name="$1" limit="$2" began=$SECONDS result=passed status
  shift 2
  printf '\n== %s: %s ==\n' "$name" "$*" | tee -a "$log"
  timeout --kill-after=5 "$limit" "$@" 2>&1 | tee -a "$log"
  status=${PIPESTATUS[0]}
  if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
    result="cut short"
  elif [ "$status" -ne 0 ]; then
    result="failed ($status)"
  fi
  [ "$result" = passed ] || failed=1
  printf '%-24s%-12s%8d\n' "$name" "$result" $((SECONDS - began)) >>"$summary"
}

benchmark() { # NAME SECONDS SCRIPT OPTIONS...
  local name="$1" limit="$2" script="$3"
  shift 3
  part "$name" "$limit" "$python" "$here/$script.py" --out "$out/$name.csv" --device "$device" --threads 4 "$@"
}

"$python" - <<'PY' 2>&1 | tee -a "$log"
import platform, peft, torch, transformers
import mpt.fit.command  # a first import reads gigabytes from the disk, which no measurement should wait for
gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
print(f"GPU {gpu}; Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}")
PY

tests=(tests/learn/test_on_cuda.py tests/learn/meta/test_on_cuda.py tests/use/answers/test_on_cuda.py
  "tests/backbone/test_model.py::test_a_gpu_gives_what_the_cpu_gives"
  "tests/backbone/test_model.py::test_beams_and_penalties_on_a_gpu_give_the_cpus_answers")
if [ -n "$smoke" ]; then
  device=cpu
  part tests 600 "$python" -m pytest -q -n 2 "${tests[@]}"
  benchmark train_step 600 train_step --models mpt-tiny --ways mpt --steps 2 --repeats 1
  benchmark causal_step 600 causal_step --models llama-135m --tasks glue-sst2 --prompt-lengths 20 --batches 1 --what step
  benchmark meta_gradient 600 meta_gradient --model mpt-tiny --ways fomaml --steps 1 --repeats 1 --prompt-length 8
  benchmark mixed_batches 600 mixed_batches --models mpt-tiny --prompts 3 --requests 2
  benchmark side_by_side 600 side_by_side --sizes 2 --alone --runs 1 --steps 2 --every 2 --repeats 1
else
  device=cuda
  # What takes the device that is there (mpt library, mpt adapt, the commands of README and docs) takes the GPU here.
  part tests 90 "$python" -m pytest -q -n 8 --dist loadfile --timeout 90 "${tests[@]}" tests/library tests/adapt tests/test_docs.py
  benchmark train_step 50 train_step --models t5-base --steps 50 --repeats 1
  benchmark train_step_large 60 train_step --models t5-large --steps 30 --repeats 1
  llama=(--models llama-1b --tasks boolq glue-sst2 --prompt-lengths 100 20 --batches 8)
  benchmark causal_step 105 causal_step "${llama[@]}" --precision bf16
  benchmark meta_gradient 65 meta_gradient --model t5-v1_1-base --ways fomaml maml maml_exact higher --steps 5 --repeats 3
  benchmark mixed_batches 40 mixed_batches --models t5-base --prompts 64
  base=(--model t5-base --prompt-length 100 --runs 2 --steps 50 --every 50 --repeats 1)
  benchmark side_by_side 70 side_by_side "${base[@]}" --precision bf16 --alone peft --sizes 4 16
fi

echo
cat "$summary"
exit $failed
