// Two videos frame by frame: how close one is to the other.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sparsevid {

struct FrameScore {
  double psnr;  // dB; infinity when the frames are identical
  double ssim;  // 1 when they are identical
};

struct VideoComparison {
  std::vector<FrameScore> frames;
  int identical_frames = 0;
  /// Mean of the per-frame PSNR over the frames that differ; infinity when none does.
  double mean_psnr = 0;
  /// PSNR of the mean squared error of the whole video: the figure in which identical frames count.
  double overall_psnr = 0;
  double mean_ssim = 0;
  /// The frame of the lowest PSNR, counted from 0; the first of equals.
  int worst_frame = 0;

  double worst_psnr() const { return frames[worst_frame].psnr; }
};

/// Compares videos or folders of PNG frames. Throws Error(bad_input) naming both when their sizes
/// or numbers of frames differ, Error(bad_file) when one cannot be read.
VideoComparison compare_videos(const std::filesystem::path& a, const std::filesystem::path& b,
                               int threads = 1);

/// One JSON object on one line: the fields above by name, `psnr` and `ssim` as arrays over frames.
/// JSON has no infinity: it becomes null.
std::string to_json(const VideoComparison& comparison);

/// "34.21", or "inf".
std::string psnr_text(double psnr);

}  // namespace sparsevid
