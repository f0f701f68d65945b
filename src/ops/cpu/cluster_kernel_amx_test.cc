// The AMX product with emulated tiles against the sums it stands for.
#include "ops/cpu/cluster_kernel_amx.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/cpu_features.h"
#include "core/dtype.h"
#include "ops/cpu/amx_tiles_emulated.h"
#include "testing/random_tensor.h"

namespace sparsevid::ops::cpu {
namespace {

TEST(ClusterKernelAmx, multiplies_every_row_with_every_column) {
  for (const int words : {16, 48, 64}) {
    for (const int panel_count : {1, 2, 5}) {
      for (const int row_count : {1, 16, 33, 96}) {
        const int columns = panel_count * kPanel;
        const Tensor x = random_tensor({kClusterBlock, 2 * words}, 1, DType::bf16);
        const Tensor c = random_tensor({columns, 2 * words}, 2, DType::bf16);
        std::vector<std::uint32_t> panels(static_cast<std::size_t>(columns * words));
        const auto* centroids = static_cast<const std::uint32_t*>(c->data());
        for (int j = 0; j < columns; ++j)
          for (int w = 0; w < words; ++w)
            panels[static_cast<std::size_t>((j / kPanel * words + w) * kPanel + j % kPanel)] =
                centroids[j * words + w];
        std::vector<float> out(static_cast<std::size_t>(kClusterBlock * columns), -1);
        amx_product<EmulatedTiles>({static_cast<const std::uint32_t*>(x->data()), words, 1},
                                   row_count, panels.data(), panel_count, words, out.data());
        for (int r = 0; r < row_count; ++r)
          for (int j = 0; j < columns; ++j) {
            double expected = 0;
            for (int d = 0; d < 2 * words; ++d)
              expected += static_cast<float>(x.view()[r].as<bf16>()[d]) *
                          static_cast<float>(c.view()[j].as<bf16>()[d]);
            // f32 sums of up to 128 products of size 1.
            EXPECT_NEAR(out[static_cast<std::size_t>(r * columns + j)], expected, 1e-4)
                << r << " " << j;
          }
      }
    }
  }
}

}  // namespace
}  // namespace sparsevid::ops::cpu
