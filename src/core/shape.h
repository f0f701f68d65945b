// Up to six extents, and how they print.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace sparsevid {

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) {
    assert(extents.size() <= kMaxRank);
    for (const auto extent : extents) push_back(extent);
  }
  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return extents_[index(axis)]; }
  std::int64_t& operator[](int axis) { return extents_[index(axis)]; }
  void push_back(std::int64_t extent) {
    assert(rank_ < kMaxRank);
    extents_[static_cast<std::size_t>(rank_++)] = extent;
  }
  std::int64_t numel() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= extents_[static_cast<std::size_t>(i)];
    return n;
  }
  const std::int64_t* begin() const { return extents_.data(); }
  const std::int64_t* end() const { return extents_.data() + rank_; }
  bool operator==(const Shape&) const = default;

  /// "[1, 16, 21, 60, 104]"
  std::string str() const;

 private:
  std::size_t index(int axis) const {
    assert(axis >= -rank_ && axis < rank_);
    return static_cast<std::size_t>(axis < 0 ? axis + rank_ : axis);
  }
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace sparsevid
