#include "sparsevid/quality.h"

#include "api/guard.h"
#include "base/cpu_features.h"
#include "metrics/compare.h"

namespace sparsevid {

Quality compare(const std::string& a, const std::string& b) {
  return guarded([&] {
    const VideoComparison comparison = compare_videos(a, b, available_cores());
    Quality quality;
    for (const auto& frame : comparison.frames) {
      quality.psnr.push_back(frame.psnr);
      quality.ssim.push_back(frame.ssim);
    }
    quality.identical_frames = comparison.identical_frames;
    quality.mean_psnr = comparison.mean_psnr;
    quality.overall_psnr = comparison.overall_psnr;
    quality.mean_ssim = comparison.mean_ssim;
    quality.worst_frame = comparison.worst_frame;
    quality.json = to_json(comparison);
    return quality;
  });
}

}  // namespace sparsevid
