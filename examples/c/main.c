// example FOLDER "PROMPT" OUTPUT: a video from a prompt, with progress.
#include <sparsevid/sparsevid_c.h>
#include <stdio.h>

static int on_progress(const sparsevid_progress* progress, void* user) {
  (void)user;
  printf("stage %d: %d/%d, %.1f s left\n", (int)progress->stage, progress->step, progress->total,
         progress->seconds_left);
  return 0;  // anything else stops the run
}

static int fail(sparsevid_handle* handle) {
  fprintf(stderr, "%s\n", sparsevid_last_error(handle));
  sparsevid_destroy(handle);
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s FOLDER PROMPT OUTPUT\n", argv[0]);
    return 2;
  }
  sparsevid_handle* handle = sparsevid_create();
  if (sparsevid_load(handle, argv[1]) != SPARSEVID_OK) return fail(handle);

  sparsevid_generate_options options;
  sparsevid_generate_options_init(&options, sizeof options);
  options.prompt = argv[2];
  options.output = argv[3];
  options.frames = 5;
  options.height = 64;
  options.width = 64;
  options.steps = 2;
  options.device = "auto";  // a GPU where there is one
  options.progress = on_progress;
  if (sparsevid_generate(handle, &options) != SPARSEVID_OK) return fail(handle);

  printf("sparsevid %s wrote %s\n", sparsevid_version(), options.output);
  sparsevid_destroy(handle);
  return 0;
}
