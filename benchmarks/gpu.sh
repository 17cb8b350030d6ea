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
# Last printouts: one NVIDIA H200, JAX 0.11.2, torch 2.11.0, Keras 3.15.1, 16
# cores of a processor. Alone on the card, a whole step of the GPT (float32):
#
#     gpt_adam_milliseconds = 30.290
#     gpt_general_milliseconds = 47.795
#     gpt_general_over_adam = 1.578
#     gpt_adam_peak_gigabytes = 7.849
#     gpt_general_peak_gigabytes = 10.465
#
# Beside other parts, while these were compiled:
#
#     vit_general_over_adam = 1.406        (28.97 and 40.75 ms)
#     gpt_general_over_adam = 2.263        (mixed_bfloat16: 15.85 and 35.86 ms)
#     copy_gigabytes_a_second = 4165.6
#     adam_25M_compiled_milliseconds = 1.562           9.3 x floor,  101 kernels
#     general_25M_compiled_milliseconds = 4.024       15.2 x floor,  577 kernels
#     feature_mlp_25M_compiled_milliseconds = 3.418   12.9 x floor,  253 kernels
#     adam_125M_compiled_milliseconds = 2.164          2.6 x floor,  197 kernels
#     general_125M_compiled_milliseconds = 20.251     15.5 x floor, 1029 kernels
#
#     torch, eager: fused_adam 0.638, adam 4.355, feature_mlp 47.77, general
#     104.97 ms at 25M; 1.024, 17.53, 82.41 and 223.68 ms at 125M
#
# Before tensors went through General in few runs, and the flat state through
# the policy at once, the same card had 9.656 ms (3075 kernels) for general and
# 3.462 ms (2073 kernels) for feature_mlp at 25M. General's program of a whole
# step takes 50 s to compile here, FeatureMLP's more than 40 s.

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
