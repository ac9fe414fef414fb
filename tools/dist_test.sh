#!/usr/bin/env bash
# Test with one process per GPU: mlcl dist_test CONFIG CHECKPOINT GPUS [arguments of test]
# For several machines, set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail

CONFIG=${1:?"usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]"}
CHECKPOINT=${2:?"usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]"}
GPUS=${3:?"usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]"}

python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$(dirname "$0")/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
