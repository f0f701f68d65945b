// The tokenizer of the T5 family: SentencePiece unigram pieces, as the fast tokenizer of
// transformers applies them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace sparsevid {

class SentencePieceTokenizer : public Tokenizer {
 public:
  /// A tokenizer folder with spiece.model and, optionally, tokenizer_config.json (for tokens added
  /// to the model's own: `added_tokens_decoder` or `extra_ids`). Throws Error(bad_file).
  explicit SentencePieceTokenizer(const std::filesystem::path& folder);
  ~SentencePieceTokenizer() override;

  std::vector<int> encode(std::string_view text, int max_length) const override;
  /// The highest id encode() can give, plus one: the embedding table needs at least as many rows.
  int vocabulary_size() const;

 private:
  void append_pieces(std::string_view text, std::vector<int>& ids) const;
  void read_added_tokens(const std::filesystem::path& config);

  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  std::vector<std::pair<std::string, int>> special_tokens_;  // text that stands for one id
  int end_of_sequence_ = 1;
};

}  // namespace sparsevid
