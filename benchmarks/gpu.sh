#!/usr/bin/env bash
# What the learned optimizers cost on one graphics card, on JAX and torch.
#
#     bash benchmarks/gpu.sh [OUT [PART ...]]
#
# Figures are printed, also to OUT/printout.txt (OUT: results/gpu), and appended
# to OUT/figures.jsonl. Without parts, all run, the most important first, until
# BUDGET (180) seconds are over; those left out are named. A part that fails
# prints why, and the next one runs; at the end the failed ones are named and
# the status is 1.
# PYTHON is the interpreter (python3). SMALL=1 tries every part with tiny sizes,
# on a processor. It needs keras, jax, torch, h5py and filelock. Set
# JAX_COMPILATION_CACHE_DIR, and what one run has compiled the next one finds.
#
# Last printouts (machine, versions):
#
#     none yet: written before a graphics card was at hand

set -u -o pipefail

out=$(realpath -m "${1:-results/gpu}")
shift || true
cd "$(dirname "$0")/.." || exit 2
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=3
python=${PYTHON:-python3}
mkdir -p "$out"

if [ -n "${SMALL:-}" ]; then
    large="tiny" middle="tiny" big="tiny" small="tiny"
    gpt="tiny" vit="tiny" rising="tiny"
    rounds="--rounds 1" copied="--copied 4096" unroll="--unroll 3"
else
    large="125M" middle="25M" big="25M 125M" small="1M"
    gpt="125M" vit="B/16" rising="1M 25M 125M"
    rounds="--rounds 7" copied="" unroll=""
fi
# Compilers for processors take their time.
longer=${SMALL:+600} budget=${BUDGET:-${SMALL:+9}180}

parts=(
    jax-gpt jax-update jax-vit torch-gpt torch-update torch-vit
    jax-gpt-bfloat16 jax-rnnprop torch-compiled jax-kernels jax-small
    jax-eager torch-rnnprop replicates outer torch-gpt-bfloat16
    jax-gpt-rnnprop torch-compiled-large
)
[ $# -gt 0 ] && parts=("$@")

# The seconds that a part may take, and what it runs.
arguments() {
    case $1 in
    jax-update) echo "80 updates --sizes $big $copied" ;;
    jax-small) echo "60 updates --sizes $small $copied" ;;
    jax-eager) echo "90 updates --sizes $middle $copied --forms eager" ;;
    jax-rnnprop) echo "90 updates --sizes $rising $copied
        --rules adam rnnprop" ;;
    jax-kernels) echo "60 kernels --size $middle" ;;
    jax-gpt) echo "90 whole_step gpt --size $gpt" ;;
    jax-gpt-bfloat16)
        echo "90 whole_step gpt --size $gpt --precision mixed_bfloat16" ;;
    jax-gpt-rnnprop)
        echo "90 whole_step gpt --size $gpt --rules adam rnnprop" ;;
    jax-vit) echo "90 whole_step vit --size $vit" ;;
    torch-update) echo "40 updates --sizes $big $copied --forms eager
        --rules adam fused_adam general feature_mlp" ;;
    torch-compiled) echo "120 updates --sizes $middle $copied
        --rules adam fused_adam feature_mlp general" ;;
    torch-compiled-large) echo "150 updates --sizes $large $copied
        --rules adam fused_adam feature_mlp general" ;;
    torch-rnnprop) echo "60 updates --sizes $middle $copied
        --forms eager compiled --rules adam rnnprop" ;;
    torch-gpt) echo "60 whole_step gpt --size $gpt" ;;
    torch-vit) echo "60 whole_step vit --size $vit" ;;
    torch-gpt-bfloat16)
        echo "60 whole_step gpt --size $gpt --precision mixed_bfloat16" ;;
    replicates) echo "90 outer replicates $unroll" ;;
    outer) echo "60 outer one $unroll" ;;
    *) return 1 ;;
    esac
}

run() {
    local part line words left limit backend began status
    local failed=() left_out=()
    for part in "${parts[@]}"; do
        if ! line=$(arguments "$part"); then
            echo "There is no part $part." >&2
            failed+=("$part")
            continue
        fi
        left=$((budget - SECONDS))
        if [ $left -lt 15 ]; then
            left_out+=("$part")
            continue
        fi
        read -r -d '' -a words <<<"$line" || true
        limit=${longer:-${words[0]}}
        [ "$limit" -le $left ] || limit=$left
        backend=jax
        [[ $part == torch-* ]] && backend=torch
        began=$SECONDS
        echo "== $part"
        # shellcheck disable=SC2086 # these are several words each
        KERAS_BACKEND=$backend timeout -k 5 "$limit" \
            "$python" -m "benchmarks.gpu.${words[1]}" "${words[@]:2}" \
            $rounds --output "$out" --part "$part"
        status=$?
        echo "== $part: status $status after $((SECONDS - began)) s"
        [ $status -eq 0 ] || failed+=("$part")
    done

    echo "seconds = $SECONDS"
    [ ${#left_out[@]} -eq 0 ] || echo "left out = ${left_out[*]}"
    [ ${#failed[@]} -eq 0 ] || { echo "failed = ${failed[*]}"; exit 1; }
}

run 2>&1 | tee -a "$out/printout.txt"
exit "${PIPESTATUS[0]}"
