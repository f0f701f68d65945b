#include <cmath>
#include <cstdio>
#include <memory>

#include "commands.h"
#include "sparsevid/sparsevid.h"

namespace sparsevid::cli {
namespace {

constexpr int kSheetColumns = 5;

std::string decibels(double value) {
  if (std::isinf(value)) return "inf";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::string quality_text(const Quality& quality) {
  std::string text = "frame     PSNR    SSIM\n";
  char line[96];
  for (std::size_t i = 0; i < quality.psnr.size(); ++i) {
    std::snprintf(line, sizeof line, "%5zu  %7s  %.4f\n", i, decibels(quality.psnr[i]).c_str(),
                  quality.ssim[i]);
    text += line;
  }
  std::snprintf(line, sizeof line, " mean  %7s  %.4f\n", decibels(quality.mean_psnr).c_str(),
                quality.mean_ssim);
  text += line;
  std::snprintf(line, sizeof line, "whole  %7s  (PSNR of the whole clip; %d identical frames)\n",
                decibels(quality.overall_psnr).c_str(), quality.identical_frames);
  return text + line;
}

}  // namespace

void add_compare(CLI::App& app, int& /*exit_code*/) {
  auto* command = app.add_subcommand("compare", "PSNR and SSIM of two videos or folders of frames");
  const auto a = std::make_shared<std::string>();
  const auto b = std::make_shared<std::string>();
  const auto json = std::make_shared<bool>(false);
  command->add_option("a", *a, "Video or folder of frames")->required()->type_name("FILE");
  command->add_option("b", *b, "The same, as long and as large")->required()->type_name("FILE");
  command->add_flag("--json", *json, "As one line of JSON");
  const auto sheet = std::make_shared<std::string>();
  command->add_option("--sheet", *sheet, "Also write frames of both, side by side, to a PNG")
      ->type_name("FILE");
  command->callback([=] {
    const Quality quality = compare(*a, *b);
    if (!sheet->empty()) write_sheet({*a, *b}, kSheetColumns, *sheet);
    write_stdout(*json ? quality.json + "\n" : quality_text(quality));
  });
}

}  // namespace sparsevid::cli
