#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "io/json.h"
#include "io/mapped_file.h"
#include "io/one_line.h"

namespace sparsevid {
namespace {

constexpr int kMaxId = 10'000'000;

/// Loads a model; the library's own messages about broken ones name no file.
std::unique_ptr<sentencepiece::SentencePieceProcessor> load_model(
    const std::filesystem::path& path) {
  const MappedFile file(path);
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto({file.text().data(), file.text().size()});
  require(status.ok() && processor->GetPieceSize() > 0, ErrorKind::bad_file,
          "{}: expected a SentencePiece model, found {} bytes of something else: {}", path.string(),
          file.size(), one_line(status.message()));
  return processor;
}

}  // namespace

SentencePieceTokenizer::SentencePieceTokenizer(const std::filesystem::path& folder)
    : processor_(load_model(folder / "spiece.model")) {
  end_of_sequence_ = processor_->eos_id();
  require(end_of_sequence_ >= 0 && processor_->unk_id() >= 0, ErrorKind::bad_file,
          "{}: expected pieces for the end of a sequence and for unknown text",
          (folder / "spiece.model").string());
  for (int id = 0; id < processor_->GetPieceSize(); ++id) {
    if (processor_->IsControl(id) || processor_->IsUnknown(id)) {
      special_tokens_.emplace_back(processor_->IdToPiece(id), id);
    }
  }
  const auto config = folder / "tokenizer_config.json";
  if (std::filesystem::exists(config)) read_added_tokens(config);
}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

void SentencePieceTokenizer::read_added_tokens(const std::filesystem::path& path) {
  const auto config = Json::read(path);
  if (config.has("added_tokens_decoder")) {
    const auto added = config.object("added_tokens_decoder");
    for (const auto& key : added.keys()) {
      int id = -1;
      const auto* end = key.data() + key.size();
      const auto parsed = std::from_chars(key.data(), end, id);
      require(parsed.ec == std::errc() && parsed.ptr == end && id >= 0 && id <= kMaxId,
              ErrorKind::bad_file, "{}: expected ids in [0, {}], found '{}'", added.where(),
              kMaxId + 0, one_line(key));
      special_tokens_.emplace_back(added.object(key).get_string("content"), id);
    }
    return;
  }
  // Without a list, transformers counts the sentinels down from the end: <extra_id_0> comes last.
  const int count = config.get_int("extra_ids", 0, 0, kMaxId);
  for (int i = 0; i < count; ++i) {
    special_tokens_.emplace_back(fmt::format("<extra_id_{}>", i),
                                 processor_->GetPieceSize() + count - 1 - i);
  }
}

int SentencePieceTokenizer::vocabulary_size() const {
  int size = processor_->GetPieceSize();
  for (const auto& [token, id] : special_tokens_) size = std::max(size, id + 1);
  return size;
}

void SentencePieceTokenizer::append_pieces(std::string_view text, std::vector<int>& ids) const {
  std::vector<int> pieces;
  const auto status = processor_->Encode({text.data(), text.size()}, &pieces);
  require(status.ok(), ErrorKind::internal, "tokenizer: {}", one_line(status.message()));
  // The fast tokenizer knows no byte pieces: a run of unknown characters is one unknown id.
  const int unknown = processor_->unk_id();
  bool in_unknown = false;
  for (const int id : pieces) {
    const bool is_unknown = id == unknown || processor_->IsByte(id);
    if (!is_unknown) ids.push_back(id);
    if (is_unknown && !in_unknown) ids.push_back(unknown);
    in_unknown = is_unknown;
  }
}

std::vector<int> SentencePieceTokenizer::encode(std::string_view text, int max_length) const {
  require(max_length >= 1, ErrorKind::bad_input, "tokens: expected at least 1, found {}",
          max_length);
  std::vector<int> ids;
  while (!text.empty()) {
    // The special token that comes first in the text; of several there, the longest.
    std::size_t first = text.size();
    const std::pair<std::string, int>* special = nullptr;
    for (const auto& candidate : special_tokens_) {
      const auto at = candidate.first.empty() ? text.npos : text.find(candidate.first);
      if (at == text.npos || at > first) continue;
      if (at == first && special != nullptr && candidate.first.size() <= special->first.size()) {
        continue;
      }
      first = at;
      special = &candidate;
    }
    append_pieces(text.substr(0, first), ids);
    if (special == nullptr) break;
    ids.push_back(special->second);
    text.remove_prefix(first + special->first.size());
  }
  ids.resize(std::min(ids.size(), static_cast<std::size_t>(max_length) - 1));
  ids.push_back(end_of_sequence_);
  return ids;
}

}  // namespace sparsevid
