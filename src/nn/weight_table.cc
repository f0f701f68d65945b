#include "nn/weight_table.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace sparsevid::nn {
namespace {

bool is_convertible(DType dtype) {
  return dtype == DType::f64 || dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

void append(std::string& message, std::string_view what, const std::vector<std::string>& names) {
  if (names.empty()) return;
  if (!message.empty()) message += "; ";
  message += fmt::format("{} {}: ", names.size(), what);
  for (std::size_t i = 0; i < names.size(); ++i) message += (i == 0 ? "" : ", ") + names[i];
}

}  // namespace

void WeightTable::add_entry(Entry entry) {
  entry.group = group_;
  entries_.push_back(std::move(entry));
}

int WeightTable::begin_group(Residence residence) {
  groups_.push_back(residence);
  return group_ = static_cast<int>(groups_.size()) - 1;
}

void WeightTable::add(std::string name, const Shape& shape, TensorView& destination,
                      Precision precision) {
  add_entry({std::move(name), shape, &destination, precision, false});
}

void WeightTable::add_large(std::string name, const Shape& shape, TensorView& destination,
                            TensorView& scale) {
  add_entry({std::move(name), shape, &destination, Precision::large, false, &scale});
}

void WeightTable::add_optional(std::string name, const Shape& shape, TensorView& destination,
                               Precision precision) {
  add_entry({std::move(name), shape, &destination, precision, true});
}

void WeightTable::add_alias(std::string name, std::string alias) {
  aliases_.push_back({std::move(name), std::move(alias)});
}

void WeightTable::ignore(std::string pattern) { ignored_.push_back(std::move(pattern)); }

std::size_t WeightTable::bytes() const {
  std::size_t sum = 0;
  for (const auto& entry : entries_) {
    sum += static_cast<std::size_t>(entry.shape.numel()) * size_of(kept_dtype(entry, compute_));
    if (quantized(entry)) sum += static_cast<std::size_t>(entry.shape[0]) * sizeof(float);
  }
  return sum;
}

WeightBytes WeightTable::bytes_on(Device device) const {
  WeightBytes bytes;
  std::vector<std::size_t> of_group(groups_.size(), 0);
  for (const auto& entry : entries_) {
    const std::size_t kept =
        WeightGroup::bytes_of(entry.shape, kept_dtype(entry, compute_), quantized(entry));
    if (entry.precision == Precision::stored && device != Device::cpu) continue;
    if (residence_of(entry) == Residence::resident) {
      bytes.resident += kept;
    } else {
      of_group[static_cast<std::size_t>(entry.group)] += kept;
    }
  }
  std::size_t streamed = 0;
  std::size_t largest = 0;
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    if (groups_[group] == Residence::passing)
      bytes.passing = std::max(bytes.passing, of_group[group] + kConversionBytes);
    if (groups_[group] != Residence::streamed) continue;
    ++streamed;
    largest = std::max(largest, of_group[group]);
    bytes.host += of_group[group];
  }
  bytes.resident += WeightStream::places_for(streamed) * largest;
  return bytes;
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
  LoadedWeights loaded;
  loaded.groups_.resize(groups_.size());
  for (std::size_t i = 0; i < groups_.size(); ++i) loaded.groups_[i].residence = groups_[i];
  std::vector<WeightGroup> resident;
  for (const auto& entry : entries_) {
    const auto* stored = find(checkpoint, entry.name);
    if (stored == nullptr) continue;
    context.check_cancelled();
    if (stays_mapped(entry, *stored, context.device)) {
      *entry.destination = *stored;
      loaded.mapped_bytes += stored->bytes();
      continue;
    }
    if (residence_of(entry) == Residence::resident) {
      // The CPU takes them one by one, as it maps most; a GPU's lie in one piece.
      if (resident.empty() || context.device == Device::cpu) resident.emplace_back();
    }
    WeightGroup& group = residence_of(entry) == Residence::resident
                             ? resident.back()
                             : loaded.groups_[static_cast<std::size_t>(entry.group)];
    group.add(*stored, kept_dtype(entry, stored->dtype()), *entry.destination,
              quantized(entry) ? entry.scale : nullptr);
  }
  const double start = now_seconds();
  loaded.mover_ = std::make_unique<WeightMover>(context);
  load_resident(resident, loaded, *loaded.mover_, context);
  std::vector<const WeightGroup*> streamed;
  for (const WeightGroup& group : loaded.groups_) {
    loaded.place_in_stream_.push_back(streamed.size());
    if (group.residence == Residence::streamed) streamed.push_back(&group);
  }
  if (!streamed.empty()) {
    loaded.stream_ = std::make_unique<WeightStream>(streamed, *loaded.mover_, context);
    loaded.owned_bytes += loaded.stream_->device_bytes();
  }
  log(LogCategory::memory,
      "{}: {} weights, {} bytes mapped, {} bytes converted to {} or moved and {} locked on the "
      "host, in {:.3f} s",
      checkpoint.folder().string(), entries_.size(), loaded.mapped_bytes, loaded.owned_bytes,
      to_string(compute_), loaded.host_bytes(), now_seconds() - start);
  return loaded;
}

bool WeightTable::stays_mapped(const Entry& entry, const TensorView& stored, Device device) const {
  if (entry.precision == Precision::stored) return true;
  return device == Device::cpu && residence_of(entry) == Residence::resident &&
         kept_dtype(entry, stored.dtype()) == stored.dtype();
}

void WeightTable::load_resident(const std::vector<WeightGroup>& groups, LoadedWeights& loaded,
                                WeightMover& mover, Context& context) const {
  for (const WeightGroup& group : groups) {
    Tensor memory(DType::u8, {static_cast<std::int64_t>(group.bytes)}, context.device);
    auto* data = static_cast<std::byte*>(memory->data());
    mover.bring(group, data, context);
    group.bind(data, context.device);
    for (const PlacedWeight& weight : group.weights)
      loaded.owned_bytes += WeightGroup::view(weight, data, context.device).bytes() +
                            (weight.scale != nullptr ? weight.scale->bytes() : 0);
    loaded.owned.push_back(std::move(memory));
  }
  wait_for(context.device, context.stream);
}

}  // namespace sparsevid::nn
