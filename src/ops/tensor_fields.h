// Calls a function with every tensor of a params struct, without each struct listing its own.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "ops/conv_weight.h"
#include "ops/linear_combination.h"

namespace sparsevid::ops {
namespace fields {

struct Anything {
  template <typename T>
  operator T() const;  // NOLINT: it has to convert by itself
};

template <typename T, std::size_t... kIndex>
constexpr bool has_fields(std::index_sequence<kIndex...>) {
  return requires { T{((void)kIndex, Anything{})...}; };
}

/// How many members an aggregate has.
template <typename T, std::size_t kCount = 1>
constexpr std::size_t count() {
  if constexpr (has_fields<T>(std::make_index_sequence<kCount + 1>{})) {
    return count<T, kCount + 1>();
  } else {
    return kCount;
  }
}

template <typename Params, typename Body>
void for_each_own_field(Params& params, const Body& body) {
  constexpr std::size_t kCount = count<std::remove_const_t<Params>>();
  static_assert(kCount >= 2 && kCount <= 13, "one more branch is needed below");
  const auto each = [&](auto&... members) { (body(members), ...); };
  if constexpr (kCount == 2) {
    auto& [a, b] = params;
    each(a, b);
  } else if constexpr (kCount == 3) {
    auto& [a, b, c] = params;
    each(a, b, c);
  } else if constexpr (kCount == 4) {
    auto& [a, b, c, d] = params;
    each(a, b, c, d);
  } else if constexpr (kCount == 5) {
    auto& [a, b, c, d, e] = params;
    each(a, b, c, d, e);
  } else if constexpr (kCount == 6) {
    auto& [a, b, c, d, e, f] = params;
    each(a, b, c, d, e, f);
  } else if constexpr (kCount == 7) {
    auto& [a, b, c, d, e, f, g] = params;
    each(a, b, c, d, e, f, g);
  } else if constexpr (kCount == 8) {
    auto& [a, b, c, d, e, f, g, h] = params;
    each(a, b, c, d, e, f, g, h);
  } else if constexpr (kCount == 9) {
    auto& [a, b, c, d, e, f, g, h, i] = params;
    each(a, b, c, d, e, f, g, h, i);
  } else if constexpr (kCount == 10) {
    auto& [a, b, c, d, e, f, g, h, i, j] = params;
    each(a, b, c, d, e, f, g, h, i, j);
  } else if constexpr (kCount == 11) {
    auto& [a, b, c, d, e, f, g, h, i, j, k] = params;
    each(a, b, c, d, e, f, g, h, i, j, k);
  } else if constexpr (kCount == 12) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l] = params;
    each(a, b, c, d, e, f, g, h, i, j, k, l);
  } else {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = params;
    each(a, b, c, d, e, f, g, h, i, j, k, l, m);
  }
}

}  // namespace fields

/// body(member&) for each member of an aggregate of up to 13, or of its base class Fields.
template <typename Params, typename Body>
void for_each_field(Params& params, const Body& body) {
  if constexpr (requires { typename std::remove_const_t<Params>::Fields; }) {
    using Fields = typename std::remove_const_t<Params>::Fields;
    for_each_field(
        static_cast<std::conditional_t<std::is_const_v<Params>, const Fields, Fields>&>(params),
        body);
  } else {
    fields::for_each_own_field(params, body);
  }
}

/// body(TensorView&) for each defined tensor of the params, those of lists included. A
/// convolution's weight is not among them.
template <typename Params, typename Body>
void for_each_tensor(Params& params, const Body& body) {
  for_each_field(params, [&](auto& member) {
    using Member = std::remove_cvref_t<decltype(member)>;
    if constexpr (std::is_same_v<Member, TensorView>) {
      if (member.defined()) body(member);
    } else if constexpr (std::is_same_v<Member, std::vector<LinearCombinationParams::Term>>) {
      for (auto& term : member) body(term.x);
    }
  });
}

}  // namespace sparsevid::ops
