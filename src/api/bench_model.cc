#include <array>
#include <string>

#include "api/bench_case.h"
#include "ops/channel_norm.h"
#include "ops/conv3d.h"
#include "ops/gated_residual.h"
#include "ops/layer_norm_modulate.h"
#include "ops/linear.h"
#include "ops/rms_norm_rope.h"
#include "testing/random_tensor.h"

namespace sparsevid {
namespace {

struct LinearCase {
  const char* name;
  std::int64_t rows, in, out;
  DType dtype;
  ops::Activation activation = ops::Activation::none;
};
constexpr std::array kLinear = {
    LinearCase{"demo_ffn_in", 5200, 256, 1024, DType::bf16, ops::Activation::gelu_tanh},
    LinearCase{"wan_1.3b_qkv", 4096, 1536, 1536, DType::bf16},
    LinearCase{"wan_1.3b_ffn_in", 4096, 1536, 8960, DType::bf16, ops::Activation::gelu_tanh},
    LinearCase{"wan_1.3b_ffn_out", 4096, 8960, 1536, DType::bf16},
    LinearCase{"wan_1.3b_qkv", 4096, 1536, 1536, DType::f32},
    LinearCase{"wan_14b_qkv", 1024, 5120, 5120, DType::bf16},
    LinearCase{"wan_14b_720p_qkv", 75600, 5120, 5120, DType::bf16},
    LinearCase{"wan_14b_720p_ffn_in", 16384, 5120, 13824, DType::bf16, ops::Activation::gelu_tanh},
    LinearCase{"wan_14b_720p_ffn_out", 16384, 13824, 5120, DType::bf16},
};
constexpr std::int64_t kMostRowsOnCpu = 10000;

struct LinearInputs {
  explicit LinearInputs(const LinearCase& c)
      : x(random_tensor({c.rows, c.in}, 1, c.dtype)),
        weight(random_tensor({c.out, c.in}, 2, c.dtype)),
        bias(random_tensor({c.out}, 3)),
        out(c.dtype, {c.rows, c.out}),
        params{.x = x, .weight = weight, .bias = bias, .out = out, .activation = c.activation} {}
  Tensor x, weight, bias, out;
  ops::LinearParams params;
};

void add_linear(std::vector<BenchCase>& cases) {
  for (const auto& c : kLinear) {
    BenchCase bench;
    bench.op = "linear";
    bench.device = c.rows > kMostRowsOnCpu ? Device::cuda : Device::cpu;
    bench.name = fmt::format("{} {} {}x{}x{}", c.name, to_string(c.dtype), c.rows, c.in, c.out);
    bench.operations = 2.0 * static_cast<double>(c.rows * c.in * c.out);
    bench.bytes = static_cast<double>(c.rows * c.in + c.in * c.out + c.rows * c.out) *
                  static_cast<double>(size_of(c.dtype));
    bench.baseline = c.dtype == DType::bf16 ? Baseline::gemm_bf16 : Baseline::gemm_f32;
    bench.prepare = [c](Device device) {
      return prepare_op(ops::linear_implementations(), device,
                        [&] { return std::make_shared<LinearInputs>(c); });
    };
    cases.push_back(std::move(bench));
  }
}

struct ConvCase {
  const char* name;
  std::int64_t frames, height, width, in, out;
  int kt, k;
  DType dtype;
  ops::F32Products products = ops::F32Products::exact;
  std::string_view type() const {
    if (products == ops::F32Products::bf16x3) return "bf16x3";
    return products == ops::F32Products::tf32 ? "tf32" : to_string(dtype);
  }
};
constexpr std::array kConv = {
    ConvCase{"wan_vae_96", 4, 240, 416, 96, 96, 3, 3, DType::f32},
    ConvCase{"wan_vae_384", 1, 60, 104, 384, 384, 3, 3, DType::f32},
    ConvCase{"wan_vae_384", 1, 60, 104, 384, 384, 3, 3, DType::bf16},
    ConvCase{"wan_vae_upsample", 4, 240, 416, 192, 96, 1, 3, DType::f32},
    ConvCase{"wan_vae_96_480p", 4, 480, 832, 96, 96, 3, 3, DType::f32},
    ConvCase{"wan_vae_96_480p", 4, 480, 832, 96, 96, 3, 3, DType::bf16},
    ConvCase{"wan_vae_96_480p", 4, 480, 832, 96, 96, 3, 3, DType::f32, ops::F32Products::bf16x3},
    ConvCase{"wan_vae_96_480p", 4, 480, 832, 96, 96, 3, 3, DType::f32, ops::F32Products::tf32},
};

struct ConvInputs {
  explicit ConvInputs(const ConvCase& c)
      : x(random_tensor({c.frames + c.kt - 1, c.height, c.width, c.in}, 1, c.dtype)),
        plain(random_tensor({c.out, c.in, c.kt, c.k, c.k}, 2, c.dtype)),
        bias(random_tensor({c.out}, 3)),
        out(c.dtype, {c.frames, c.height, c.width, c.out}),
        weight{.plain = plain, .packed = nullptr, .products = c.products},
        params{.x = x,
               .weight = &weight,
               .bias = bias,
               .pad_begin = {0, c.k / 2, c.k / 2},
               .pad_end = {0, c.k / 2, c.k / 2},
               .out = out} {}
  Tensor x, plain, bias, out;
  ops::ConvWeight weight;
  ops::Conv3dParams params;
};

void add_conv(std::vector<BenchCase>& cases) {
  for (const auto& c : kConv) {
    BenchCase bench;
    bench.op = "conv3d";
    bench.device = c.height > 400 ? Device::cuda : Device::cpu;
    bench.name = fmt::format("{} {} {}x{}x{}x{}->{} kernel {}x{}x{}", c.name, c.type(), c.frames,
                             c.height, c.width, c.in, c.out, c.kt, c.k, c.k);
    bench.operations =
        2.0 * static_cast<double>(c.frames * c.height * c.width * c.in * c.out) * c.kt * c.k * c.k;
    bench.baseline = c.type() == "f32" ? Baseline::gemm_f32 : Baseline::gemm_bf16;
    bench.prepare = [c](Device device) {
      return prepare_op(ops::conv3d_implementations(), device,
                        [&] { return std::make_shared<ConvInputs>(c); });
    };
    cases.push_back(std::move(bench));
  }
}

struct RowsCase {
  const char* name;
  std::int64_t rows, heads, head_dim;
  DType dtype;
  std::int64_t dim() const { return heads * head_dim; }
  double bytes() const { return static_cast<double>(rows * dim()) * double(size_of(dtype)); }
};
constexpr std::array kRows = {
    RowsCase{"wan_14b_720p", 75600, 40, 128, DType::bf16},
    RowsCase{"wan_1.3b_480p", 32760, 12, 128, DType::bf16},
    RowsCase{"demo", 5200, 4, 64, DType::bf16},
    RowsCase{"wan_1.3b", 8192, 12, 128, DType::bf16},
    RowsCase{"wan_1.3b", 8192, 12, 128, DType::f32},
};

struct LayerNormInputs {
  explicit LayerNormInputs(const RowsCase& c)
      : x(random_tensor({c.rows, c.dim()}, 1, c.dtype)),
        scale(random_tensor({c.dim()}, 2)),
        shift(random_tensor({c.dim()}, 3)),
        out(c.dtype, {c.rows, c.dim()}),
        params{.x = x, .scale = scale, .shift = shift, .out = out} {}
  Tensor x, scale, shift, out;
  ops::LayerNormModulateParams params;
};

struct RmsNormRopeInputs {
  explicit RmsNormRopeInputs(const RowsCase& c)
      : x(random_tensor({c.rows, c.heads, c.head_dim}, 1, c.dtype)),
        weight(random_tensor({c.dim()}, 2)),
        cos(random_tensor({c.rows, c.head_dim / 2}, 3)),
        sin(random_tensor({c.rows, c.head_dim / 2}, 4)),
        out(c.dtype, {c.rows, c.heads, c.head_dim}),
        params{.x = x, .weight = weight, .cos = cos, .sin = sin, .out = out} {}
  Tensor x, weight, cos, sin, out;
  ops::RmsNormRopeParams params;
};

struct GatedResidualInputs {
  explicit GatedResidualInputs(const RowsCase& c)
      : x(random_tensor({c.rows, c.dim()}, 1, c.dtype)),
        y(random_tensor({c.rows, c.dim()}, 2, c.dtype)),
        gate(random_tensor({c.dim()}, 3, DType::f32, {.scale = 1e-3})),
        params{.x = x, .y = y, .gate = gate} {}
  Tensor x, y, gate;
  ops::GatedResidualParams params;
};

struct ChannelNormInputs {
  explicit ChannelNormInputs(const RowsCase& c)
      : x(random_tensor({c.rows, c.dim()}, 1, c.dtype)),
        gamma(random_tensor({c.dim()}, 2)),
        out(c.dtype, {c.rows, c.dim()}),
        params{.x = x, .gamma = gamma, .silu = true, .out = out} {}
  Tensor x, gamma, out;
  ops::ChannelNormParams params;
};

/// An op that is bound by memory: each tensor moves once, `moves` times the size of x.
template <typename Inputs, typename Params>
void add_rows(std::vector<BenchCase>& cases, const ops::ImplementationList<Params>& list,
              double moves) {
  for (const auto& c : kRows) {
    BenchCase bench;
    bench.op = list.op();
    bench.device = c.rows > kMostRowsOnCpu ? Device::cuda : Device::cpu;
    bench.name = fmt::format("{} {} {}x{}", c.name, to_string(c.dtype), c.rows, c.dim());
    bench.bytes = moves * c.bytes();
    bench.baseline = Baseline::copy;
    bench.prepare = [c, &list](Device device) {
      return prepare_op(list, device, [&] { return std::make_shared<Inputs>(c); });
    };
    cases.push_back(std::move(bench));
  }
}

}  // namespace

std::vector<BenchCase> model_bench() {
  std::vector<BenchCase> cases;
  add_linear(cases);
  add_conv(cases);
  add_rows<LayerNormInputs>(cases, ops::layer_norm_modulate_implementations(), 2);
  add_rows<RmsNormRopeInputs>(cases, ops::rms_norm_rope_implementations(), 2);
  add_rows<GatedResidualInputs>(cases, ops::gated_residual_implementations(), 3);
  add_rows<ChannelNormInputs>(cases, ops::channel_norm_implementations(), 2);
  return cases;
}

}  // namespace sparsevid
