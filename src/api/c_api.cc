#include "sparsevid/sparsevid_c.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <new>
#include <optional>

#include "sparsevid/sparsevid.h"

struct sparsevid_handle {
  std::optional<sparsevid::Model> model;
  std::string model_json;
  std::string report;
  std::string error;
  std::atomic<bool> cancel{false};
};

namespace {

using sparsevid::ErrorKind;

sparsevid_status status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::bad_input:
      return SPARSEVID_BAD_INPUT;
    case ErrorKind::bad_file:
      return SPARSEVID_BAD_FILE;
    case ErrorKind::out_of_memory:
      return SPARSEVID_OUT_OF_MEMORY;
    case ErrorKind::io:
      return SPARSEVID_IO;
    case ErrorKind::cancelled:
      return SPARSEVID_CANCELLED;
    case ErrorKind::internal:
      break;
  }
  return SPARSEVID_INTERNAL;
}

/// Runs `body`; what it throws becomes a status and the handle's message.
template <typename Body>
sparsevid_status as_status(sparsevid_handle* handle, const Body& body) noexcept {
  if (handle == nullptr) return SPARSEVID_BAD_INPUT;
  const auto failed = [&](sparsevid_status status, const char* message) {
    try {
      handle->error = message;
    } catch (...) {
      handle->error.clear();
    }
    return status;
  };
  try {
    handle->error.clear();
    body();
    return SPARSEVID_OK;
  } catch (const sparsevid::Error& error) {
    return failed(status_of(error.kind()), error.what());
  } catch (const std::bad_alloc&) {
    return failed(SPARSEVID_OUT_OF_MEMORY, "the system gave no more memory");
  } catch (const std::exception& error) {
    return failed(SPARSEVID_INTERNAL, error.what());
  } catch (...) {
    return failed(SPARSEVID_INTERNAL, "a callback threw");
  }
}

std::string text(const char* value) { return value == nullptr ? "" : value; }

/// Observer to C callbacks.
class Callbacks final : public sparsevid::Observer {
 public:
  Callbacks(const sparsevid_generate_options& options, std::atomic<bool>& cancel)
      : options_(options), cancel_(cancel) {}

  void progress(const sparsevid::Progress& progress) override {
    if (options_.progress == nullptr) return;
    const sparsevid_progress copy = {static_cast<sparsevid_stage>(progress.stage),
                                     progress.step,
                                     progress.total,
                                     progress.fraction,
                                     progress.seconds_per_step,
                                     progress.seconds_left};
    if (options_.progress(&copy, options_.user) != 0) cancel_ = true;
  }
  void warning(std::string_view line) override {
    if (options_.warning != nullptr) options_.warning(std::string(line).c_str(), options_.user);
  }

 private:
  const sparsevid_generate_options& options_;
  std::atomic<bool>& cancel_;
};

/// What a caller in C left there, which need not be one of the enum's values: to read those as the
/// enum is undefined.
template <typename Enum>
int number_of(const Enum& value) {
  int number = 0;
  static_assert(sizeof number == sizeof value);
  std::memcpy(&number, &value, sizeof number);
  return number;
}

sparsevid::Precision precision(int from, const char* option) {
  switch (from) {
    case SPARSEVID_AUTOMATIC:
      return sparsevid::Precision::automatic;
    case SPARSEVID_F32:
      return sparsevid::Precision::f32;
    case SPARSEVID_BF16:
      return sparsevid::Precision::bf16;
    case SPARSEVID_BF16X3:
      return sparsevid::Precision::bf16x3;
    case SPARSEVID_TF32:
      return sparsevid::Precision::tf32;
  }
  throw sparsevid::Error(ErrorKind::bad_input,
                         std::string(option) + ": expected a value of sparsevid_precision, found " +
                             std::to_string(from));
}

sparsevid::Offload offload(int from) {
  switch (from) {
    case SPARSEVID_OFFLOAD_NONE:
      return sparsevid::Offload::none;
    case SPARSEVID_OFFLOAD_TEXT:
      return sparsevid::Offload::text;
    case SPARSEVID_OFFLOAD_BLOCKS:
      return sparsevid::Offload::blocks;
  }
  throw sparsevid::Error(
      ErrorKind::bad_input,
      "offload: expected a value of sparsevid_offload, found " + std::to_string(from));
}

sparsevid::GenerateOptions convert(const sparsevid_generate_options& from,
                                   const std::atomic<bool>& cancel) {
  sparsevid::GenerateOptions to;
  to.prompt = text(from.prompt);
  to.negative_prompt = text(from.negative_prompt);
  to.output = text(from.output);
  if (from.height != 0) to.height = from.height;
  if (from.width != 0) to.width = from.width;
  if (from.frames != 0) to.frames = from.frames;
  if (from.steps != 0) to.steps = from.steps;
  if (from.fps != 0) to.fps = from.fps;
  if (!(from.guidance < 0)) to.guidance = from.guidance;
  if (from.flow_shift != 0) to.flow_shift = from.flow_shift;
  to.seed = from.seed;
  to.legacy_sigmas = from.legacy_sigmas != 0;
  to.precision = precision(number_of(from.precision), "precision");
  to.vae_precision = precision(number_of(from.vae_precision), "vae_precision");
  to.fp8_linears = from.fp8_linears != 0;
  to.attention_in_8bit = from.attention_in_8bit != 0;
  if (from.device != nullptr) to.device = from.device;
  to.max_vram = from.max_vram;
  to.offload = offload(number_of(from.offload));
  to.threads = from.threads;
  to.attention = text(from.attention);
  if (from.attention_settings == nullptr && from.attention_setting_count > 0)
    throw sparsevid::Error(ErrorKind::bad_input, "attention_settings: expected " +
                                                     std::to_string(from.attention_setting_count) +
                                                     " of them, found NULL");
  for (std::size_t i = 0; i < from.attention_setting_count; ++i)
    to.attention_settings[text(from.attention_settings[i].name)] = from.attention_settings[i].value;
  to.report = text(from.report);
  to.save_latents = from.save_latents != 0;
  to.latents_path = text(from.latents_path);
  to.from_latents = text(from.from_latents);
  to.trace = text(from.trace);
  to.check_memory = from.skip_memory_check == 0;
  to.cancel = &cancel;
  return to;
}

}  // namespace

const char* sparsevid_version(void) { return sparsevid::version(); }

sparsevid_handle* sparsevid_create(void) { return new (std::nothrow) sparsevid_handle; }

void sparsevid_destroy(sparsevid_handle* handle) { delete handle; }

sparsevid_status sparsevid_load(sparsevid_handle* handle, const char* folder) {
  return as_status(handle, [&] {
    handle->model.reset();
    handle->model_json.clear();
    handle->model = sparsevid::Model::load(text(folder));
    handle->model_json = to_json(handle->model->info());
  });
}

const char* sparsevid_model_json(const sparsevid_handle* handle) {
  return handle == nullptr || !handle->model ? nullptr : handle->model_json.c_str();
}

void sparsevid_generate_options_init(sparsevid_generate_options* options, size_t struct_size) {
  if (options == nullptr) return;
  sparsevid_generate_options defaults = {};
  defaults.struct_size = struct_size;
  defaults.guidance = -1;
  std::memset(options, 0, struct_size);
  std::memcpy(options, &defaults, std::min(struct_size, sizeof(defaults)));
}

sparsevid_status sparsevid_generate(sparsevid_handle* handle,
                                    const sparsevid_generate_options* options) {
  return as_status(handle, [&] {
    using sparsevid::Error;
    if (!handle->model) throw Error(ErrorKind::bad_input, "no model is loaded");
    if (options == nullptr || options->struct_size == 0)
      throw Error(ErrorKind::bad_input,
                  "options: expected them to be set by sparsevid_generate_options_init");
    // A caller built against an older header hands over a shorter struct.
    sparsevid_generate_options full;
    sparsevid_generate_options_init(&full, sizeof(full));
    std::memcpy(&full, options, std::min(options->struct_size, sizeof(full)));
    handle->cancel = false;
    Callbacks callbacks(full, handle->cancel);
    handle->report = handle->model->generate(convert(full, handle->cancel), &callbacks).report;
  });
}

const char* sparsevid_last_report(const sparsevid_handle* handle) {
  return handle == nullptr ? "" : handle->report.c_str();
}

void sparsevid_cancel(sparsevid_handle* handle) {
  if (handle != nullptr) handle->cancel = true;
}

const char* sparsevid_last_error(const sparsevid_handle* handle) {
  return handle == nullptr ? "no handle" : handle->error.c_str();
}
