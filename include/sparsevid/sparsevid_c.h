// The C API of sparsevid: errors as values, no C++ type in sight. Also for other languages.
#ifndef SPARSEVID_SPARSEVID_C_H
#define SPARSEVID_SPARSEVID_C_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/// What went wrong; the text is in sparsevid_last_error().
typedef enum sparsevid_status {
  SPARSEVID_OK = 0,
  SPARSEVID_BAD_INPUT = 1,      ///< an option the caller can correct
  SPARSEVID_BAD_FILE = 2,       ///< a file that is missing, broken or unexpected
  SPARSEVID_OUT_OF_MEMORY = 3,  ///< the run does not fit
  SPARSEVID_IO = 4,             ///< writing or reading failed
  SPARSEVID_CANCELLED = 5,      ///< stopped on request
  SPARSEVID_INTERNAL = 6        ///< a defect of sparsevid itself
} sparsevid_status;

typedef enum sparsevid_stage {
  SPARSEVID_LOADING = 0,
  SPARSEVID_TEXT = 1,
  SPARSEVID_SAMPLING = 2,
  SPARSEVID_DECODING = 3
} sparsevid_stage;

typedef enum sparsevid_precision {
  SPARSEVID_AUTOMATIC = 0,
  SPARSEVID_F32 = 1,
  SPARSEVID_BF16 = 2,
  SPARSEVID_BF16X3 = 3,  ///< of the decoder, on a GPU of compute capability 9.0: f32 from two bf16
  SPARSEVID_TF32 = 4     ///< there too: f32 whose convolutions round their factors to 11 bits
} sparsevid_precision;

/// What stays out of a GPU's memory until it is needed. Each includes those before it.
typedef enum sparsevid_offload {
  SPARSEVID_OFFLOAD_NONE = 0,
  SPARSEVID_OFFLOAD_TEXT = 1,   ///< the text encoder's layers
  SPARSEVID_OFFLOAD_BLOCKS = 2  ///< as many of the transformer's blocks as do not fit
} sparsevid_offload;

typedef struct sparsevid_progress {
  sparsevid_stage stage;
  int step;                 ///< steps of the stage that are complete
  int total;                ///< steps of the stage; 0 where there are none to count
  double fraction;          ///< of the stage, in [0, 1]
  double seconds_per_step;  ///< 0 while unknown
  double seconds_left;      ///< of the stage; negative while unknown
} sparsevid_progress;

/// Return 0 to go on, anything else to stop at the next layer. Runs on the calling thread.
typedef int (*sparsevid_progress_callback)(const sparsevid_progress* progress, void* user);
typedef void (*sparsevid_warning_callback)(const char* line, void* user);

typedef struct sparsevid_setting {
  const char* name;
  double value;
} sparsevid_setting;

/// Fill it with sparsevid_generate_options_init() first. Strings are UTF-8 and only read during
/// the call; NULL counts as empty. An unset number comes from the checkpoint.
typedef struct sparsevid_generate_options {
  size_t struct_size;  ///< set by the init function; lets the struct grow
  const char* prompt;
  const char* negative_prompt;
  const char* output;  ///< .mp4, .webm, .gif, or a folder of PNG frames
  int height;          ///< 0: unset
  int width;           ///< 0: unset
  int frames;          ///< 0: unset
  int steps;           ///< 0: unset
  double fps;          ///< 0: unset
  double guidance;     ///< negative: unset
  double flow_shift;   ///< 0: unset
  uint64_t seed;
  sparsevid_precision precision;
  int threads;            ///< 0: all cores
  const char* attention;  ///< "dense", "svg1", "svg2", "semantic-tail"; NULL: unset
  const sparsevid_setting* attention_settings;
  size_t attention_setting_count;
  const char* report;        ///< path of the JSON run report; NULL: none
  int save_latents;          ///< not 0: keep the latents beside the output
  const char* from_latents;  ///< decode this file instead of sampling
  sparsevid_progress_callback progress;
  sparsevid_warning_callback warning;
  void* user;                         ///< handed to both callbacks
  const char* device;                 ///< "cpu", "cuda", "auto"; NULL: auto
  sparsevid_precision vae_precision;  ///< of the decoder; automatic: f32, or bf16x3
  int fp8_linears;                    ///< not 0, on a GPU: large matrices in e4m3
  int attention_in_8bit;              ///< not 0, on a GPU: self-attention in 8 bits
  uint64_t max_vram;                  ///< bytes of a GPU's memory to take at most; 0: what is free
  sparsevid_offload offload;          ///< on a GPU
  int legacy_sigmas;                  ///< not 0: UniPC noise levels as diffusers up to 0.36
  const char* latents_path;           ///< where to keep the latents; NULL: beside the output
  int skip_memory_check;              ///< not 0: start even if it seems not to fit
  const char* trace;                  ///< path of a Chrome trace of the run; NULL: none
} sparsevid_generate_options;

/// One handle runs one call at a time; only sparsevid_cancel() may come from elsewhere.
typedef struct sparsevid_handle sparsevid_handle;

const char* sparsevid_version(void);

/// NULL when memory is out.
sparsevid_handle* sparsevid_create(void);
/// NULL is fine.
void sparsevid_destroy(sparsevid_handle* handle);

/// Opens a checkpoint folder; replaces the one opened before.
sparsevid_status sparsevid_load(sparsevid_handle* handle, const char* folder);
/// What the loaded checkpoint is, as JSON; valid until the next load. NULL without one.
const char* sparsevid_model_json(const sparsevid_handle* handle);

void sparsevid_generate_options_init(sparsevid_generate_options* options, size_t struct_size);
sparsevid_status sparsevid_generate(sparsevid_handle* handle,
                                    const sparsevid_generate_options* options);
/// The run report of the last generation that succeeded, as JSON; empty before.
const char* sparsevid_last_report(const sparsevid_handle* handle);
/// Stops a running generation at its next layer. From any thread or a signal handler.
void sparsevid_cancel(sparsevid_handle* handle);

/// The message of the last call that failed; empty after one that succeeded.
const char* sparsevid_last_error(const sparsevid_handle* handle);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
