// Which denoising steps and layers stay dense, shared by all sparse methods.
#pragma once

namespace sparsevid {

class DensePolicy {
 public:
  /// The first `step_share` of `steps` and the first `layer_share` of `layers`, both rounded up:
  /// .03 of 40 layers are two, as in the released code of Sparse VideoGen.
  DensePolicy(double step_share, int steps, double layer_share, int layers);

  bool dense(int step, int layer) const { return step < dense_steps_ || layer < dense_layers_; }
  bool dense_layer(int layer) const { return layer < dense_layers_; }
  int dense_steps() const { return dense_steps_; }
  int dense_layers() const { return dense_layers_; }

 private:
  int dense_steps_;
  int dense_layers_;
};

}  // namespace sparsevid
