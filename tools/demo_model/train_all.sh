#!/usr/bin/env bash
# Makes the demo checkpoint from nothing: tokenizer, VAE, transformer, export.
#   tools/demo_model/train_all.sh WORK OUT          WORK: scratch folder; OUT: the checkpoint folder, e.g. assets/demo-model
# The times suit four H200; give fewer or slower GPUs more. GPUS, VAE_STAGES, CLIPS and SECONDS_DIT change the plan.
set -euo pipefail
work=$1 out=$2 here=$(cd "$(dirname "$0")" && pwd)
gpus=${GPUS:-$(nvidia-smi --list-gpus | wc -l)}
run() { torchrun --standalone --nproc-per-node "$gpus" "$@"; }
mkdir -p "$work"
PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH} python3 -c "import text; text.train_tokenizer('$work/tokenizer')"
# shellcheck disable=SC2086
run "$here/vae.py" "$work" ${VAE_STAGES:-1:192:16:15 17:128:8:190 49:160:2:80 49:320:1:105}
run "$here/transformer.py" "$work" --clips "${CLIPS:-8000}" --seconds "${SECONDS_DIT:-540}" --attention "${ATTENTION:-CUDNN_ATTENTION,FLASH_ATTENTION,EFFICIENT_ATTENTION,MATH}"
python3 "$here/export.py" "$work" "$out"
