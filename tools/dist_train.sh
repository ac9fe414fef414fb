#!/usr/bin/env bash
# Train with one process per GPU: mlcl dist_train CONFIG GPUS [arguments of train]
# For several machines, set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail

CONFIG=${1:?"usage: tools/dist_train.sh CONFIG GPUS [arguments of train.py]"}
GPUS=${2:?"usage: tools/dist_train.sh CONFIG GPUS [arguments of train.py]"}

python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "${@:3}"
