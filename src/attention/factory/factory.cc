#include "attention/factory/factory.h"

#include "attention/methods/dense.h"
#include "attention/methods/semantic.h"
#include "attention/methods/semantic_tail.h"
#include "attention/methods/spatiotemporal.h"

namespace sparsevid {

std::unique_ptr<AttentionMethod> make_attention_method(const AttentionOptions& options,
                                                       const AttentionFacts& facts) {
  validate(options);
  if (options.method == "svg1") return std::make_unique<SpatiotemporalAttention>(options, facts);
  if (options.method == "svg2") return std::make_unique<SemanticAttention>(options, facts);
  if (options.method == "semantic-tail")
    return std::make_unique<SemanticTailAttention>(options, facts);
  return std::make_unique<DenseAttention>(options.in_8bit);
}

}  // namespace sparsevid
