#!/usr/bin/env bash
# Every measurement on a GPU, in two parts of about ten minutes each: `right` judges answers, many judges beside each other, and fills the
# caches; `times` measures, one after the other. What is cut by its limit keeps what it had; --resume of each script goes on.
# More than a few judges at once gain nothing: the driver makes the contexts of their processes one at a time.
#
# Usage: test/gpu/all.sh right|times KERNELBENCH OUT CACHE   (torch, triton and an NVIDIA GPU; KERNELBENCH is a checkout of it)
set -u
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

case $part in
  right)
    step 150 aten-reference aten --reference --samples 3 --jobs 5 --seconds 135
    step 85 aten-candidates aten --candidates $here/candidates/aten --samples 3 --jobs 5 --seconds 75
    step 185 cuda cuda
    step 195 kernelbench-model kernelbench --path "$bench" --model-itself --largest 1.01 --jobs 5 --seconds 170 --case-seconds 60
    step 135 kernelbench-fill kernelbench --path "$bench" --candidates $here/candidates/kernelbench --largest 1.01 --jobs 4 \
      --timing 0.1 --cache "$cache" --seconds 105 --case-seconds 100
    ;;
  times)
    step 190 kernelbench-candidates kernelbench --path "$bench" --candidates $here/candidates/kernelbench --largest 1.01 \
      --timing 1 --cache "$cache" --seconds 175 --case-seconds 60
    step 85 throughput throughput --kernelbench "$bench" --repeats 1
    step 100 judge judge --seconds 1 --limit 85
    step 100 aa aa --pairs 100 --seconds 0.5 --limit 28
    step 50 profiling profiling
    step 25 replay replay --arch sm_90
    ;;
  *)
    echo "the part is right or times, not $part" >&2
    exit 2
    ;;
esac
