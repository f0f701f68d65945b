// Reading two videos in step.
#include "metrics/compare.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "io/video_reader.h"
#include "metrics/psnr.h"
#include "metrics/ssim.h"

namespace sparsevid {

namespace {

void summarize(const std::vector<double>& errors, VideoComparison& result) {
  double psnr_sum = 0;
  double ssim_sum = 0;
  double error_sum = 0;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const FrameScore& score = result.frames[i];
    error_sum += errors[i];
    ssim_sum += score.ssim;
    if (errors[i] == 0)
      ++result.identical_frames;
    else
      psnr_sum += score.psnr;
    if (score.psnr < result.worst_psnr()) result.worst_frame = static_cast<int>(i);
  }
  const auto count = static_cast<double>(errors.size());
  const double differing = count - result.identical_frames;
  result.mean_psnr = differing > 0 ? psnr_sum / differing : psnr_of_mse(0);
  result.overall_psnr = psnr_of_mse(error_sum / count);
  result.mean_ssim = ssim_sum / count;
}

std::string json_number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "null";
}

}  // namespace

VideoComparison compare_videos(const std::filesystem::path& a, const std::filesystem::path& b,
                               int threads) {
  VideoReader left(a);
  VideoReader right(b);
  require(left.width() == right.width() && left.height() == right.height(), ErrorKind::bad_input,
          "cannot compare: {} is {} x {}, {} is {} x {}", a.string(), left.width(), left.height(),
          b.string(), right.width(), right.height());
  VideoComparison result;
  std::vector<double> errors;
  Image frame_a, frame_b;
  bool more_a = left.next(frame_a);
  bool more_b = right.next(frame_b);
  for (; more_a && more_b; more_a = left.next(frame_a), more_b = right.next(frame_b)) {
    errors.push_back(mean_squared_error(frame_a, frame_b));
    result.frames.push_back({psnr_of_mse(errors.back()), ssim(frame_a, frame_b, threads)});
  }
  const auto count = [&](bool more, VideoReader& reader, Image& frame) {
    std::size_t frames = errors.size();
    for (; more; more = reader.next(frame)) ++frames;
    return frames;
  };
  if (more_a || more_b)
    fail(ErrorKind::bad_input, "cannot compare: {} has {} frames, {} has {}", a.string(),
         count(more_a, left, frame_a), b.string(), count(more_b, right, frame_b));
  require(!errors.empty(), ErrorKind::bad_file, "{}: holds no frames", a.string());
  summarize(errors, result);
  return result;
}

std::string psnr_text(double psnr) {
  return std::isfinite(psnr) ? fmt::format("{:.2f}", psnr) : "inf";
}

std::string to_json(const VideoComparison& comparison) {
  std::string psnr_list, ssim_list;
  for (const FrameScore& score : comparison.frames) {
    if (!psnr_list.empty()) {
      psnr_list += ", ";
      ssim_list += ", ";
    }
    psnr_list += json_number(score.psnr);
    ssim_list += json_number(score.ssim);
  }
  return fmt::format(
      R"({{"frames": {}, "identical_frames": {}, "mean_psnr": {}, "overall_psnr": {}, )"
      R"("mean_ssim": {}, "worst_frame": {}, "worst_psnr": {}, "psnr": [{}], "ssim": [{}]}})",
      comparison.frames.size(), comparison.identical_frames, json_number(comparison.mean_psnr),
      json_number(comparison.overall_psnr), json_number(comparison.mean_ssim),
      comparison.worst_frame, json_number(comparison.worst_psnr()), psnr_list, ssim_list);
}

}  // namespace sparsevid
