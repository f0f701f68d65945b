// example FOLDER "PROMPT" OUTPUT: a video from a prompt, with progress.
#include <sparsevid/sparsevid.h>

#include <cstdio>

namespace {

class Watch final : public sparsevid::Observer {
 public:
  void progress(const sparsevid::Progress& progress) override {
    std::printf("%s %d/%d, %.1f s left\n", to_string(progress.stage), progress.step, progress.total,
                progress.seconds_left);
  }
  void warning(std::string_view line) override {
    std::fprintf(stderr, "warning: %.*s\n", static_cast<int>(line.size()), line.data());
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s FOLDER PROMPT OUTPUT\n", argv[0]);
    return 2;
  }
  try {
    const auto model = sparsevid::Model::load(argv[1]);
    sparsevid::GenerateOptions options;
    options.prompt = argv[2];
    options.output = argv[3];
    options.frames = 5;
    options.height = 64;
    options.width = 64;
    options.steps = 2;
    options.device = "auto";  // a GPU where there is one
    Watch watch;
    const auto result = model.generate(options, &watch);
    for (const auto& line : result.summary) std::puts(line.c_str());
  } catch (const sparsevid::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
