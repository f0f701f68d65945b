// How close two clips are.
#pragma once

#include <string>
#include <vector>

#pragma GCC visibility push(default)
namespace sparsevid {

struct Quality {
  std::vector<double> psnr;  ///< dB per frame; infinite for equal frames
  std::vector<double> ssim;  ///< per frame
  int identical_frames = 0;
  double mean_psnr = 0;     ///< over the frames that differ; infinite when none does
  double overall_psnr = 0;  ///< of the mean squared error of the whole clip
  double mean_ssim = 0;
  int worst_frame = 0;  ///< the lowest PSNR, counted from 0
  std::string json;     ///< all of this as one line of JSON
};

/// Two videos or folders of frames, of equal size and length. Throws Error.
Quality compare(const std::string& a, const std::string& b);

/// Writes a PNG of `columns` frames, evenly spaced over the clip, one row for each clip. A row is
/// labelled with the attention that made the clip where its file says so, else with the file's
/// name. Throws Error.
void write_sheet(const std::vector<std::string>& clips, int columns, const std::string& png);

}  // namespace sparsevid
#pragma GCC visibility pop
