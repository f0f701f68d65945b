// The loops behind RowKernels, written once and compiled for each instruction set.
#pragma once

#include "ops/cpu/channel_norm_rows.h"
#include "ops/cpu/elementwise_rows.h"
#include "ops/cpu/norm_rows.h"
#include "ops/cpu/row_kernels.h"

namespace sparsevid::ops::cpu {
namespace {

constexpr RowKernels kRowKernelSet = {
    .convert = convert,
    .layer_norm = layer_norm_rows,
    .rms_norm = rms_norm_rows,
    .channel_norm = channel_norm_rows,
    .gated_residual = gated_residual_rows,
    .activate = activate_rows,
    .accumulate = accumulate_rows,
    .guidance = guidance_rows,
    .squared_distances = squared_distances,
    .to_rgb8 = to_rgb8_rows,
};

}  // namespace
}  // namespace sparsevid::ops::cpu
