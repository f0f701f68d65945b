// Dense attention: keys come in the order they lie in.
#include <cmath>

#include "ops/cuda/attention_mma/attention_mma.h"
#include "ops/cuda/attention_mma/dense_problem.h"
#include "ops/cuda/attention_mma/launch_tiles.h"

namespace sparsevid::ops::cuda {
namespace {

// A bias for each logit comes straight from memory: half the rows leave registers for it.
using BiasedNarrowTiles = AttentionTiles<64, 1, 64, 4, true, 2>;
using BiasedWideTiles = AttentionTiles<128, 1, 64, 4, true, 2>;

enum class Biases { none, of_keys, any };

template <class Tiles, Biases kBiases>
class DenseSource {
 public:
  using Problem = DenseProblem;
  struct Shared {
    float biases[kBiases == Biases::none ? 1 : Tiles::kSlots][Tiles::kKeys];
  };
  static constexpr bool kGathers = false;

  __device__ DenseSource(const Problem& problem, Shared& shared, unsigned char*)
      : p_(problem), shared_(shared) {}

  __device__ bool begin() { return true; }
  __device__ TileRows queries() const { return p_.q.head(blockIdx.y); }
  __device__ int query_token(int row) const {
    const int token = blockIdx.x * Tiles::kRows + row;
    return token < p_.q_len ? token : -1;
  }
  __device__ int tiles() const { return (p_.k_len + Tiles::kKeys - 1) / Tiles::kKeys; }
  __device__ void prepare(int tile) {
    if constexpr (kBiases != Biases::none) {
      if (threadIdx.x >= Tiles::kKeys) return;
      float& bias = shared_.biases[tile % Tiles::kSlots][threadIdx.x];
      const int key = tile * Tiles::kKeys + static_cast<int>(threadIdx.x);
      if (key < p_.k_len && p_.key_bias != nullptr) {
        cp_async_4(shared_address(&bias), p_.key_bias + key * p_.key_bias_stride, true);
      } else {
        bias = key < p_.k_len ? 0 : kMasked;
      }
    }
  }
  template <class Loader>
  __device__ void load(const Loader& loader, unsigned to, int tile, bool values) const {
    loader.template load_range<Tiles::kKeys>(to, (values ? p_.v : p_.k).head(blockIdx.y),
                                             tile * Tiles::kKeys, p_.k_len);
  }
  __device__ bool adjusts(int tile) const {
    return kBiases != Biases::none || (tile + 1) * Tiles::kKeys > p_.k_len;
  }
  __device__ void adjust(int tile, int row_tile, int column, float factor,
                         float (&logits)[4]) const {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const int key = tile * Tiles::kKeys + column + c;
      float key_bias;
      if constexpr (kBiases == Biases::none) {
        key_bias = key < p_.k_len ? 0 : kMasked;
      } else {
        key_bias = shared_.biases[tile % Tiles::kSlots][column + c] * kLog2E;
      }
#pragma unroll
      for (int h = 0; h < 2; ++h)
        logits[2 * h + c] = fmaf(logits[2 * h + c], factor,
                                 key_bias + bias(tile_row<Tiles>(2 * row_tile + h), key));
    }
  }
  __device__ void finish(const TileMath<Tiles>& math, unsigned char* ring,
                         const int* query_tokens) const {
    store_outputs(
        math, ring, [&](int row) { return query_tokens[row]; },
        p_.out.data + blockIdx.y * p_.out.head_stride, p_.out.stride, p_.head_dim);
  }

 private:
  __device__ float bias(int row, int key) const {
    if constexpr (kBiases == Biases::any) {
      const int query = query_token(row);
      if (query >= 0 && key < p_.k_len)
        return kLog2E * __ldg(p_.bias + blockIdx.y * p_.bias_strides[0] +
                              query * p_.bias_strides[1] + key * p_.bias_strides[2]);
    }
    return 0;
  }

  const Problem& p_;
  Shared& shared_;
};

template <class Tiles, Biases kBiases>
void launch(const DenseProblem& problem, std::int64_t heads, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(ceil_div(problem.q_len, Tiles::kRows)),
                  static_cast<unsigned>(heads));
  launch_tiles<Tiles, DenseSource<Tiles, kBiases>>("attention", problem, grid, 0, stream);
}

template <Biases kBiases>
void launch_fitting(const DenseProblem& problem, std::int64_t heads, cudaStream_t stream) {
  if (problem.head_dim <= 64) {
    launch<NarrowTiles, kBiases>(problem, heads, stream);
  } else if (fit_twice(WideTiles::kBytes)) {
    launch<WideTiles, kBiases>(problem, heads, stream);
  } else {
    launch<CompactWideTiles, kBiases>(problem, heads, stream);
  }
}

}  // namespace

std::string attention_mma_refusal(const AttentionParams& params, const Context&) {
  return mma_refusal(params.q, params.k, params.v, params.out, params.scale, kWidestMmaHead);
}

void attention_mma(const AttentionParams& params, Context& context) {
  const auto& [q, k, v, out, scale, bias, key_bias] = params;
  if (out.numel() == 0) return;
  const std::int64_t heads = q.size(0);
  DenseProblem problem{head_tile_rows(q),
                       head_tile_rows(k),
                       head_tile_rows(v),
                       head_tile_rows(out),
                       static_cast<int>(q.size(1)),
                       static_cast<int>(k.size(1)),
                       static_cast<int>(q.size(2)),
                       static_cast<float>(scale),
                       nullptr,
                       {},
                       nullptr,
                       0};
  if (bias.defined()) {
    problem.bias = device_pointer<const float>(bias);
    for (int axis = 0; axis < 3; ++axis) problem.bias_strides[axis] = bias.stride(axis);
  }
  if (key_bias.defined()) {
    problem.key_bias = device_pointer<const float>(key_bias);
    problem.key_bias_stride = key_bias.stride(0);
  }
  const cudaStream_t stream = stream_of(context);
  if (!bias.defined() && problem.k_len > 0 && problem.k_len <= kMostFewKeys) {
    attend_few_keys(problem, heads, stream);
  } else if (bias.defined()) {
    q.size(2) <= 64 ? launch<BiasedNarrowTiles, Biases::any>(problem, heads, stream)
                    : launch<BiasedWideTiles, Biases::any>(problem, heads, stream);
  } else if (key_bias.defined()) {
    launch_fitting<Biases::of_keys>(problem, heads, stream);
  } else {
    launch_fitting<Biases::none>(problem, heads, stream);
  }
}

}  // namespace sparsevid::ops::cuda
