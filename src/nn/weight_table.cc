#include "nn/weight_table.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "core/host_to_device.h"
#include "ops/copy.h"
#include "ops/quantize_rows.h"

namespace sparsevid::nn {
namespace {

bool is_convertible(DType dtype) {
  return dtype == DType::f64 || dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

std::size_t scale_bytes(const Shape& shape) {
  return static_cast<std::size_t>(shape[0]) * sizeof(float);
}

void append(std::string& message, std::string_view what, const std::vector<std::string>& names) {
  if (names.empty()) return;
  if (!message.empty()) message += "; ";
  message += fmt::format("{} {}: ", names.size(), what);
  for (std::size_t i = 0; i < names.size(); ++i) message += (i == 0 ? "" : ", ") + names[i];
}

}  // namespace

void WeightTable::add(std::string name, const Shape& shape, TensorView& destination,
                      Precision precision) {
  entries_.push_back({std::move(name), shape, &destination, precision, false});
}

void WeightTable::add_large(std::string name, const Shape& shape, TensorView& destination,
                            TensorView& scale) {
  entries_.push_back({std::move(name), shape, &destination, Precision::large, false, &scale});
}

void WeightTable::add_optional(std::string name, const Shape& shape, TensorView& destination,
                               Precision precision) {
  entries_.push_back({std::move(name), shape, &destination, precision, true});
}

void WeightTable::add_alias(std::string name, std::string alias) {
  aliases_.push_back({std::move(name), std::move(alias)});
}

void WeightTable::ignore(std::string pattern) { ignored_.push_back(std::move(pattern)); }

std::size_t WeightTable::bytes() const {
  std::size_t sum = 0;
  for (const auto& entry : entries_) {
    sum += static_cast<std::size_t>(entry.shape.numel()) * size_of(kept_dtype(entry, compute_));
    if (quantized(entry)) sum += scale_bytes(entry.shape);
  }
  return sum;
}

void WeightTable::convert(const TensorView& from, const TensorView& to, const TensorView& scale,
                          Context& context) {
  if (scale.defined()) {
    ops::quantize_rows({.x = from, .out = to, .scale = scale}, context);
  } else {
    ops::copy({from, to}, context);
  }
}

const TensorView* WeightTable::find(const Checkpoint& checkpoint, const std::string& name) const {
  if (const auto* view = checkpoint.find(name)) return view;
  for (const auto& [aliased, alias] : aliases_)
    if (aliased == name)
      if (const auto* view = checkpoint.find(alias)) return view;
  return nullptr;
}

bool WeightTable::expects(const std::string& name) const {
  return std::any_of(aliases_.begin(), aliases_.end(),
                     [&](const Alias& alias) { return alias.alias == name; }) ||
         std::any_of(ignored_.begin(), ignored_.end(), [&](const std::string& pattern) {
           return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1))
                                         : name == pattern;
         });
}

WeightMismatch WeightTable::compare(const Checkpoint& checkpoint) const {
  WeightMismatch mismatch;
  std::vector<std::string> declared;
  declared.reserve(entries_.size());
  for (const auto& entry : entries_) {
    declared.push_back(entry.name);
    try {
      const auto* view = find(checkpoint, entry.name);
      if (view == nullptr) {
        if (!entry.optional) mismatch.missing.push_back(entry.name);
      } else if (view->shape() != entry.shape) {
        mismatch.wrong.push_back(fmt::format("{} (expected {}, found {})", entry.name,
                                             entry.shape.str(), view->shape().str()));
      } else if (!is_convertible(view->dtype())) {
        mismatch.wrong.push_back(fmt::format("{} (expected a floating-point type, found {})",
                                             entry.name, to_string(view->dtype())));
      }
    } catch (const Error& error) {
      mismatch.wrong.push_back(fmt::format("{} ({})", entry.name, error.what()));
    }
  }
  std::sort(declared.begin(), declared.end());
  for (const auto& name : checkpoint.names())
    if (!std::binary_search(declared.begin(), declared.end(), name) && !expects(name))
      mismatch.unexpected.push_back(name);
  return mismatch;
}

LoadedWeights WeightTable::load(const Checkpoint& checkpoint, Context& context) const {
  const WeightMismatch mismatch = compare(checkpoint);
  if (!mismatch.empty()) {
    std::string message;
    append(message, "missing", mismatch.missing);
    append(message, "unexpected", mismatch.unexpected);
    append(message, "of another shape or type", mismatch.wrong);
    fail(ErrorKind::bad_file, "{}: the tensors are not those of this model: {}",
         checkpoint.folder().string(), message);
  }
  LoadedWeights loaded = context.device == Device::cpu ? load_to_cpu(checkpoint, context)
                                                       : upload(checkpoint, context);
  log(LogCategory::memory, "{}: {} weights, {} bytes mapped, {} bytes converted to {} or moved",
      checkpoint.folder().string(), entries_.size(), loaded.mapped_bytes, loaded.owned_bytes,
      to_string(compute_));
  return loaded;
}

LoadedWeights WeightTable::load_to_cpu(const Checkpoint& checkpoint, Context& context) const {
  LoadedWeights loaded;
  for (const auto& entry : entries_) {
    const auto* view = find(checkpoint, entry.name);
    if (view == nullptr) continue;
    context.check_cancelled();
    const DType kept = kept_dtype(entry, view->dtype());
    if (view->dtype() == kept) {
      *entry.destination = *view;
      loaded.mapped_bytes += view->bytes();
    } else {
      Tensor copy(kept, entry.shape);
      if (quantized(entry)) {
        loaded.owned.emplace_back(DType::f32, Shape{entry.shape[0]});
        *entry.scale = loaded.owned.back();
        loaded.owned_bytes += entry.scale->bytes();
      }
      convert(*view, copy, entry.scale != nullptr ? *entry.scale : TensorView(), context);
      *entry.destination = copy;
      loaded.owned_bytes += copy->bytes();
      loaded.owned.push_back(std::move(copy));
    }
  }
  return loaded;
}

LoadedWeights WeightTable::upload(const Checkpoint& checkpoint, Context& context) const {
  // One allocation for all; each weight begins where the widest loads want it.
  constexpr std::size_t kAlignment = 256;
  const auto aligned = [](std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  };
  struct Move {
    const TensorView* from;
    const Entry* entry;
    DType kept;
    std::size_t offset;
  };
  std::vector<Move> moves;
  std::size_t total = 0;
  std::size_t most_converted = 0;
  for (const auto& entry : entries_) {
    const auto* view = find(checkpoint, entry.name);
    if (view == nullptr) continue;
    const DType kept = kept_dtype(entry, view->dtype());
    moves.push_back({view, &entry, kept, total});
    total += aligned(static_cast<std::size_t>(entry.shape.numel()) * size_of(kept));
    if (quantized(entry)) total += aligned(scale_bytes(entry.shape));
    if (kept != view->dtype()) most_converted = std::max(most_converted, view->bytes());
  }
  LoadedWeights loaded;
  Tensor memory(DType::u8, {static_cast<std::int64_t>(total)}, context.device);
  Tensor raw(DType::u8, {static_cast<std::int64_t>(most_converted)}, context.device);
  HostToDevice stage(context);
  for (const Move& move : moves) {
    context.check_cancelled();
    const Shape& shape = move.from->shape();
    const TensorView to(memory->as<std::uint8_t>() + move.offset, move.kept, shape, context.device);
    *move.entry->destination = to;
    if (move.kept == move.from->dtype()) {
      stage.copy(*move.from, to);
      continue;
    }
    TensorView scale;
    if (quantized(*move.entry)) {
      scale = {static_cast<std::uint8_t*>(to.data()) + aligned(to.bytes()),
               DType::f32,
               {shape[0]},
               context.device};
      *move.entry->scale = scale;
    }
    const TensorView as_stored(raw->data(), move.from->dtype(), shape, context.device);
    stage.copy(*move.from, as_stored);
    convert(as_stored, to, scale, context);
  }
  wait_for(context.device, context.stream);
  loaded.owned_bytes = total;
  loaded.owned.push_back(std::move(memory));
  return loaded;
}

}  // namespace sparsevid::nn
