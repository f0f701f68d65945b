// Which tensors a model takes from a checkpoint, and their loading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"
#include "io/checkpoint.h"
#include "nn/loaded_weights.h"
#include "nn/weight_group.h"

namespace sparsevid::nn {

/// In which type a weight is kept: the type the model computes in, always f32, as it is stored in
/// the mapped file (tables of which few rows are read, on the host), or, for the large matrices of
/// a model, fp8 where that is asked for and the type the model computes in elsewhere.
enum class Precision : std::uint8_t { compute, f32, stored, large };

/// Bytes of weights by where they are.
struct WeightBytes {
  std::size_t resident = 0;  ///< on the device all the time, places of streamed groups included
  std::size_t passing = 0;   ///< scratch that passing weights take while they are used
  std::size_t host = 0;      ///< page-locked host memory
};

/// What a checkpoint and a table disagree about; each entry names a tensor.
struct WeightMismatch {
  std::vector<std::string> missing;
  std::vector<std::string> unexpected;
  std::vector<std::string> wrong;  ///< with the shape or type expected and found
  bool empty() const { return missing.empty() && unexpected.empty() && wrong.empty(); }
};

class WeightTable {
 public:
  /// `fp8`: matrices declared as large are kept in e4m3 with a scale for each row.
  explicit WeightTable(DType compute, bool fp8 = false) : compute_(compute), fp8_(fp8) {}

  /// A tensor that has to be there. `destination` is set by load(); it must not move until then.
  void add(std::string name, const Shape& shape, TensorView& destination,
           Precision precision = Precision::compute);
  /// A large matrix; `scale` is set, to [rows] f32, where it is kept in fp8.
  void add_large(std::string name, const Shape& shape, TensorView& destination, TensorView& scale);
  /// A tensor that may be missing; `destination` is left alone then.
  void add_optional(std::string name, const Shape& shape, TensorView& destination,
                    Precision precision = Precision::compute);
  /// Another name under which the tensor declared as `name` may stand; ignored when both are there.
  void add_alias(std::string name, std::string alias);
  /// What is added until end_group() is a group, which is there while LoadedWeights::use() says so.
  /// Returns its number.
  int begin_group(Residence residence);
  void end_group() { group_ = kNoGroup; }
  /// A tensor that may be there and is not read. A name ending in '*' stands for all that begin so.
  void ignore(std::string pattern);

  DType compute_dtype() const { return compute_; }
  /// Bytes of all declared weights in the types they are kept in (`stored` counts as computed).
  std::size_t bytes() const;
  /// The same by place, for a model on a device.
  WeightBytes bytes_on(Device device) const;

  WeightMismatch compare(const Checkpoint& checkpoint) const;
  /// Sets every destination that is not in a passing group: on the CPU to the mapped file itself
  /// where it holds the wanted type, else to a converted copy in the result; on a GPU to a copy in
  /// its memory, or to the place of a streamed group. Both `checkpoint`
  /// and the result must outlive the destinations. Throws Error(bad_file) that lists every missing,
  /// unexpected and wrong tensor.
  LoadedWeights load(const Checkpoint& checkpoint, Context& context) const;

 private:
  static constexpr int kNoGroup = -1;
  struct Entry {
    std::string name;
    Shape shape;
    TensorView* destination;
    Precision precision;
    bool optional;
    TensorView* scale = nullptr;
    int group = kNoGroup;
  };
  struct Alias {
    std::string name;
    std::string alias;
  };
  DType kept_dtype(const Entry& entry, DType stored) const {
    if (entry.precision == Precision::stored) return stored;
    if (entry.precision == Precision::large && fp8_) return DType::u8;
    return entry.precision == Precision::f32 ? DType::f32 : compute_;
  }
  bool quantized(const Entry& entry) const { return entry.scale != nullptr && fp8_; }
  Residence residence_of(const Entry& entry) const {
    return entry.group == kNoGroup ? Residence::resident
                                   : groups_[static_cast<std::size_t>(entry.group)];
  }
  bool stays_mapped(const Entry& entry, const TensorView& stored, Device device) const;
  void add_entry(Entry entry);
  /// Resident weights in one allocation on a GPU, or each for itself on the CPU.
  void load_resident(const std::vector<WeightGroup>& groups, LoadedWeights& loaded,
                     WeightMover& mover, Context& context) const;
  const TensorView* find(const Checkpoint& checkpoint, const std::string& name) const;
  bool expects(const std::string& name) const;

  DType compute_;
  bool fp8_;
  int group_ = kNoGroup;
  std::vector<Residence> groups_;
  std::vector<Entry> entries_;
  std::vector<Alias> aliases_;
  std::vector<std::string> ignored_;
};

}  // namespace sparsevid::nn
