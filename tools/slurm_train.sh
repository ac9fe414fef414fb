#!/usr/bin/env bash
# Train on a Slurm cluster: mlcl slurm_train PARTITION JOB_NAME CONFIG [arguments of train]
# Variables: GPUS in total (default 4), GPUS_PER_NODE (4), CPUS_PER_TASK (5), SRUN_ARGS, PORT.
set -euo pipefail

PARTITION=${1:?"usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]"}
JOB_NAME=${2:?"usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]"}
CONFIG=${3:?"usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]"}
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
    python -u "$(dirname "$0")/train.py" "$CONFIG" --launcher slurm "${@:4}"
