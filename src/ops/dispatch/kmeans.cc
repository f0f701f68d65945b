#include "ops/kmeans.h"

#include "ops/cpu/kmeans.h"
#include "ops/dispatch/cluster_contract.h"
#include "ops/dispatch/cluster_entries.h"
#include "ops/dispatch/cuda_entries.h"
#include "ops/ref/kmeans.h"

namespace sparsevid::ops {

const ImplementationList<KMeansParams>& kmeans_implementations() {
  static const auto list = implementations<KMeansParams>(
      "kmeans", cluster_entries<KMeansParams, cpu::kmeans>(ref::kmeans));
  return list;
}

void kmeans(const KMeansParams& params, Context& context) {
  const auto& [x, max_iterations, warm_start, tolerance, seed, centroids, labels, counts] = params;
  require_contract(is_heads_of_rows(x) && max_iterations >= 1 && centroids.rank() == 3 &&
                       centroids.size(1) >= 1 &&
                       is_f32_per_head(centroids, x.size(0), centroids.size(1), x.size(2)) &&
                       is_index_rows(labels, x.size(0), x.size(1)) &&
                       is_index_rows(counts, x.size(0), centroids.size(1)),
                   "kmeans", {x, centroids, labels, counts});
  kmeans_implementations().run(params, context);
}

}  // namespace sparsevid::ops
