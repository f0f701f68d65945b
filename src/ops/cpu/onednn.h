// What the ops on oneDNN share: engine, instruction set, threads, scratch, errors.
#pragma once

#include <omp.h>

#include <dnnl.hpp>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "core/context.h"
#include "core/tensor.h"

namespace sparsevid::ops::cpu {

/// The CPU engine; the first call limits oneDNN to the instructions of cpu_isa().
const dnnl::engine& onednn_engine();

/// Whether bf16 products run on instructions made for them; below, oneDNN emulates them several
/// times slower than it multiplies f32.
bool has_native_bf16();

inline dnnl::memory::data_type onednn_type(DType dtype) {
  return dtype == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

/// Runs a primitive created with a user's scratchpad, on context.threads threads.
void execute(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
             std::unordered_map<int, dnnl::memory> arguments, Context& context);

/// oneDNN uses as many threads as OpenMP offers; primitives are created and run within this scope.
class OnednnThreads {
 public:
  explicit OnednnThreads(int threads) : before_(omp_get_max_threads()) {
    if (threads != before_) omp_set_num_threads(threads);
  }
  ~OnednnThreads() { omp_set_num_threads(before_); }
  OnednnThreads(const OnednnThreads&) = delete;
  OnednnThreads& operator=(const OnednnThreads&) = delete;

 private:
  int before_;
};

/// Calls body(); an error of oneDNN becomes ours, naming the op.
template <typename Body>
void with_onednn(std::string_view op, const Context& context, const Body& body) {
  try {
    const OnednnThreads threads(context.threads);
    body();
  } catch (const dnnl::error& error) {
    fail(ErrorKind::internal, "{}: oneDNN: {}", op, error.what());
  }
}

}  // namespace sparsevid::ops::cpu
