// Text to token ids.
#pragma once

#include <string_view>
#include <vector>

namespace sparsevid {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// The ids of `text` with the end-of-sequence id as the last one; at most `max_length` ids, of
  /// which the end-of-sequence id is always kept. No padding. Throws Error(bad_input) unless
  /// max_length >= 1.
  virtual std::vector<int> encode(std::string_view text, int max_length) const = 0;
};

}  // namespace sparsevid
