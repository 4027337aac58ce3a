#!/usr/bin/env bash
# Every measurement on a GPU, in parts of at most ten minutes each. What is cut by its limit keeps what it had; a part that is run
# again with the same OUT goes on where the scripts know --resume.
#
#   smoke  one problem of every kind: large and small, verified, timed together and in turns, compiled, graded, ATen
#   right  answers: ATen overloads, our ATen kernels, CUDA sources, every KernelBench problem with its own Model
#   times  our KernelBench candidates beside eager and torch.compile, one after the other
#   other  evaluations a minute, dishonest and honest kernels, profilers, an edited PTX
#   aa     PyTorch against itself, 100 pairs of each of three kernels
#
# More than a few judges at once gain nothing: the driver makes the contexts of their processes one at a time.
#
# Usage: test/gpu/all.sh PART KERNELBENCH OUT CACHE   (torch, triton and an NVIDIA GPU; KERNELBENCH is a checkout of it)
set -u
if [ $# -ne 4 ]; then
  sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
part=$1 bench=$2 out=$3 cache=$4
here=test/gpu
mkdir -p "$out/logs" "$cache"

# limit in seconds, name, command
step() {
  local limit=$1 name=$2
  shift 2
  local begun=$SECONDS
  timeout -k 5 "$limit" python3 "$here/$1.py" "${@:2}" --out "$out/$name.json" >"$out/logs/$name.log" 2>&1
  echo "$name: exit $?, $((SECONDS - begun)) s"
}
candidates() { # limit, name, further options
  local limit=$1 name=$2
  shift 2
  step "$limit" "$name" kernelbench --path "$bench" --candidates $here/candidates/kernelbench --timing 1 --cache "$cache" \
    --case-seconds 120 --seconds $((limit - 25)) --resume "$@"
}

case $part in
  smoke)
    candidates 200 smoke-candidates --only '^level1/(19_ReLU|23_Softmax|40_LayerNorm|47_Sum|9_Tall|1_Square)'
    step 90 smoke-model kernelbench --path "$bench" --model-itself --only '^level1/(38_L1Norm|45_Average|19_ReLU|95_Cross)' --case-seconds 60
    step 40 smoke-aten aten --reference --samples 3 --jobs 2 --only '^(add|mul|softmax)' --seconds 30
    ;;
  right)
    step 150 aten-reference aten --reference --samples 3 --jobs 4 --seconds 135 --resume
    step 60 aten-candidates aten --candidates $here/candidates/aten --samples 3 --jobs 4 --seconds 50 --resume
    step 230 kernelbench-model kernelbench --path "$bench" --model-itself --largest 2.5 --jobs 4 --seconds 205 --case-seconds 60 --resume
    # What is larger needs the device for itself.
    step 150 kernelbench-model kernelbench --path "$bench" --model-itself --jobs 1 --seconds 130 --case-seconds 60 --resume
    ;;
  times)
    candidates 590 kernelbench-candidates
    ;;
  other)
    step 200 throughput throughput --kernelbench "$bench" --repeats 3
    step 110 judge judge --seconds 1 --limit 100
    step 120 cuda cuda
    step 90 profiling profiling
    step 40 replay replay --arch sm_90
    ;;
  aa)
    step 595 aa aa --pairs 100 --seconds 0.3 --limit 190
    ;;
  *)
    echo "the part is smoke, right, times, other or aa, not $part" >&2
    exit 2
    ;;
esac
