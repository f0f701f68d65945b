// The assignment of k-means on Hopper's tensor cores; the rest of an iteration is kmeans/lloyd.cu.
//
// The problem: 40 heads x 75,600 rows x 128 against 300 (queries) and 1,000 (keys) centroids, 0.23
//   and 0.77 TFLOP; rows are 0.77 GB and are read once, 0.18 ms.
// Plan: row_products.h. With m the mean of the centroids and c a centroid minus m, rounded to bf16,
//   the sums are -x . c; |c|^2 / 2 + m . c is added in f32, and the smallest value of a row is its
//   nearest centroid. A thread sees two columns of every eight: the last five bits of a value say
//   which one it was, so that the search is one addition, one bit operation and one minimum an
//   element. That costs 2^-18 of the value, less than what rounding the centroid costs.
// Bound: the tensor cores, and the 3.25 instructions an element next to them: 16 elements a clock
//   against 128 lanes.
#include "ops/cuda/kmeans_hopper/kmeans_hopper.h"

#include "ops/cuda/common/tensor_map.h"
#include "ops/cuda/kmeans/lloyd.h"
#include "ops/cuda/kmeans_hopper/pack_centroids.h"
#include "ops/cuda/kmeans_hopper/row_products.h"

namespace sparsevid::ops::cuda {
namespace {

constexpr float kInfinity = __builtin_huge_valf();

struct KMeansCentroids {
  static constexpr bool kNegative = true;
  static constexpr bool kExchanged = true;
  const float* centroids;
  std::int64_t head_stride;
  const unsigned char* usable;
  const int* resting;
  int clusters;

  __device__ bool skip(int head) const { return resting[head] != 0; }
  __device__ int row(int, int c) const { return c < clusters ? c : -1; }
  __device__ float behind(int head, int c, float half_norm, float along) const {
    return c < clusters && usable[head * clusters + c] != 0 ? half_norm + along : kInfinity;
  }
};

template <int kDimension, int kTileSize>
struct Assignment {
  static constexpr int kDim = kDimension;
  static constexpr int kTile = kTileSize;
  static constexpr int kRowBytes = kRowsOfBlock * kDim * 2;
  static constexpr std::uint32_t kWhich = 31;  // the bits of a value that say where it was
  static_assert(kTile / 4 <= 32);

  CUtensorMap x;  // boxes of kRowsOfBlock rows, all columns
  int count, clusters, heads, items_of_head, tile_count;
  const unsigned char* packed;
  int* labels;
  std::int64_t labels_stride;
  const int* resting;

  struct Half {
    float best[2];
    int tile[2];
  };

  __device__ bool skip(int head) const { return resting[head] != 0; }
  __device__ const void* tiles(int head) const {
    return packed +
           static_cast<std::int64_t>(head) * tile_count * CentroidTile<kDim, kTile>::kBytes;
  }
  __device__ int first_row(const RowItem& item, const RowHalf& half) const {
    return item.index * kRowsOfBlock + half.which * 64 + half.upper;
  }
  /// Behind the last row come zeros, whose labels nobody writes.
  __device__ void bring_rows(const RowItem& item, unsigned char* rows, Barrier* filled) const {
    barrier_arrive_expect(filled, kRowBytes);
    copy_box(rows, x, filled, 0, item.index * kRowsOfBlock, 0, item.head, l2_give_up());
  }
  __device__ void begin(const RowHalf&, Half& state) const {
    state.best[0] = state.best[1] = kInfinity;
    state.tile[0] = state.tile[1] = 0;
  }
  /// `mask` is ~kWhich, but not a constant to the compiler: with two of them it takes two
  /// operations.
  __device__ static float with_place(float value, std::uint32_t mask, std::uint32_t place) {
    std::uint32_t bits;
    asm("lop3.b32 %0, %1, %2, %3, 0xea;"
        : "=r"(bits)
        : "r"(__float_as_uint(value)), "r"(mask), "r"(place));
    return __uint_as_float(bits);
  }
  __device__ void consume(int tile, const float (&sums)[kTile / 2], const float* half_norms,
                          const RowHalf& half, Half& state) const {
    const auto* pairs = reinterpret_cast<const float2*>(half_norms) + half.quarter;
    std::uint32_t mask = ~kWhich;
    asm("" : "+r"(mask));
    float smallest[2] = {kInfinity, kInfinity};
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j) {
      const float2 add = pairs[4 * j];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const float first = with_place(sums[4 * j + 2 * r] + add.x, mask, 2 * j);
        const float second = with_place(sums[4 * j + 2 * r + 1] + add.y, mask, 2 * j + 1);
        smallest[r] = fminf(smallest[r], fminf(first, second));
      }
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      if (!(smallest[r] < state.best[r])) continue;
      state.best[r] = smallest[r];
      state.tile[r] = tile;
    }
  }
  __device__ void end(const RowItem& item, const RowHalf& half, const Half& state) const {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const std::uint32_t place = __float_as_uint(state.best[r]) & kWhich;
      int column = state.tile[r] * kTile + static_cast<int>(place / 2) * 8 + 2 * half.quarter +
                   static_cast<int>(place % 2);
      float value = __uint_as_float(__float_as_uint(state.best[r]) & ~kWhich);
#pragma unroll
      for (int distance = 1; distance <= 2; distance *= 2) {
        const float other = __shfl_xor_sync(0xffffffffU, value, distance);
        const int other_column = __shfl_xor_sync(0xffffffffU, column, distance);
        if (other < value || (other == value && other_column < column)) {
          value = other;
          column = other_column;
        }
      }
      const int row = first_row(item, half) + 8 * r;
      // A row that is not a number is nearest to nothing.
      if (half.quarter == 0 && row < count)
        labels[item.head * labels_stride + row] = column < clusters ? column : 0;
    }
  }
};

class HopperAssign : public AssignStep {
 public:
  HopperAssign(const KMeansParams& params, Context& context)
      : tile_(best_tile(static_cast<int>(params.centroids.size(1)))),
        tile_count_(ceil_div(static_cast<int>(params.centroids.size(1)), tile_)) {
    const std::int64_t bytes = tile_ * (params.x.size(2) * 2 + 4);
    packed_ = context.arena.array<unsigned char>(params.x.size(0) * tile_count_ * bytes);
  }

  void run(const LloydState& state, const KMeansParams& params, Context& context) override {
    if (state.count == 0) return;
    with_tile<128, 112, 104, 80>(state.dim, tile_, [&](auto dim, auto tile) {
      constexpr int kDim = decltype(dim)::value;
      constexpr int kTile = decltype(tile)::value;
      const KMeansCentroids source{state.centroids, std::int64_t{state.clusters} * state.dim,
                                   state.usable, state.resting, state.clusters};
      launch_pack_centroids<kDim, kTile>(source, state.heads, tile_count_, packed_, "kmeans",
                                         context);
      Assignment<kDim, kTile> job{};
      job.x = head_rows_map(params.x, kRowsOfBlock, kDim / 64);
      job.count = state.count;
      job.clusters = state.clusters;
      job.heads = state.heads;
      job.items_of_head = ceil_div(state.count, kRowsOfBlock);
      job.tile_count = tile_count_;
      job.packed = packed_;
      job.labels = params.labels.as<std::int32_t>();
      job.labels_stride = params.labels.stride(0);
      job.resting = state.resting;
      launch_row_products(job, "kmeans", context);
    });
  }

 private:
  int tile_;
  int tile_count_;
  unsigned char* packed_;
};

}  // namespace

std::string kmeans_hopper_refusal(const KMeansParams& params, const Context&) {
  const TensorView& x = params.x;
  if (device_facts().compute_capability != 90) return "the GPU is not a Hopper";
  if (x.dtype() != DType::bf16) return "x is not bf16";
  if (x.size(2) != 64 && x.size(2) != 128) return "head_dim is neither 64 nor 128";
  return head_rows_refusal(x);
}

void kmeans_hopper(const KMeansParams& params, Context& context) {
  const Arena::Scope scope(context.arena);
  HopperAssign assign(params, context);
  lloyd(assign, params, context);
}

}  // namespace sparsevid::ops::cuda
