#!/bin/sh
# Runs fuzzers for some seconds each, from what earlier runs found and from real files.
#   tools/fuzz.sh BUILD SECONDS FUZZER...
set -eu
build=$1
seconds=$2
shift 2

model=tests/golden/wan_t2v_tiny
for fuzzer in "$@"; do
  corpus=$build/corpus/$fuzzer
  mkdir -p "$corpus"
  case $fuzzer in
    json_fuzz) cp $model/model_index.json $model/scheduler/*.json "$corpus" ;;
    safetensors_fuzz) # 16 bytes of data behind the header
      printf '\020{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}' > "$corpus/header" ;;
  esac
  echo "$fuzzer: $seconds s"
  log=$build/$fuzzer.log
  program=$(find "$build" -type f -name "$fuzzer" -perm -u+x)
  if ! "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
      -artifact_prefix="$build/$fuzzer-" "$corpus" > "$log" 2>&1; then
    tail -n 50 "$log" >&2
    exit 1
  fi
  tail -n 1 "$log"
done
