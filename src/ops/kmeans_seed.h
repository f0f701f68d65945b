// Which rows a cold start of k-means takes as its first centroids.
#pragma once

#include <cstdint>

namespace sparsevid::ops {

/// A well-mixed 64-bit hash (the finaliser of SplitMix64).
constexpr std::uint64_t mix_bits(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ value >> 27) * 0x94d049bb133111ebULL;
  return value ^ value >> 31;
}

/// The row of the first centroid of `cluster`, or -1 where there are more clusters than rows.
/// The rows are cut into `clusters` equal runs and one row is drawn from each: distinct rows,
/// spread over the whole video, because neighbours in token order resemble each other.
constexpr std::int64_t kmeans_seed_row(std::uint64_t seed, std::int64_t head, std::int64_t cluster,
                                       std::int64_t clusters, std::int64_t count) {
  if (clusters >= count) return cluster < count ? cluster : -1;
  const std::int64_t begin = cluster * count / clusters;
  const std::int64_t end = (cluster + 1) * count / clusters;
  const std::uint64_t bits = mix_bits(mix_bits(seed ^ static_cast<std::uint64_t>(head) << 32) ^
                                      static_cast<std::uint64_t>(cluster));
  return begin + static_cast<std::int64_t>(bits % static_cast<std::uint64_t>(end - begin));
}

}  // namespace sparsevid::ops
