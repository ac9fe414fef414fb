#!/usr/bin/env bash
# Test on a Slurm cluster: mlcl slurm_test PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test]
# Variables: GPUS in total (default 4), GPUS_PER_NODE (4), CPUS_PER_TASK (5), SRUN_ARGS, PORT.
set -euo pipefail

PARTITION=${1:?"usage: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]"}
JOB_NAME=${2:?"usage: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]"}
CONFIG=${3:?"usage: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]"}
CHECKPOINT=${4:?"usage: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]"}
GPUS=${GPUS:-4}
GPUS_PER_NODE=${GPUS_PER_NODE:-4}

# SRUN_ARGS may hold several arguments
# shellcheck disable=SC2086
MASTER_PORT="${PORT:-29500}" srun -p "$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres=gpu:"$GPUS_PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    python -u "$(dirname "$0")/test.py" "$CONFIG" "$CHECKPOINT" --launcher slurm "${@:5}"
