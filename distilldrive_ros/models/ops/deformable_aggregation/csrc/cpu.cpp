// CPU kernels. Threads take anchors in the forward pass and groups of channels in the backward pass, so no two write
// to one place: the result does not depend on the number of threads.
#include <algorithm>
#include <vector>

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include "tensors.h"

namespace distilldrive {
namespace {

template <class Stored, class Real>
void check_maps(const Problem<Stored, Real>& problem) {
  for (int64_t c = 0; c < problem.cameras; ++c) {
    for (int64_t l = 0; l < problem.levels; ++l) {
      STD_TORCH_CHECK(map_fits(problem, c, l), "deformable_aggregation: spatial_shapes and level_start of camera ", c,
                      ", level ", l, " do not lie within the ", problem.tokens, " tokens of features");
    }
  }
}

template <int kSpan, class Stored, class Real>
void forward_anchors(const Problem<Stored, Real>& problem, Stored* output) {
  const int64_t per_group = problem.channels / problem.groups;
  torch::stable::parallel_for(0, problem.batch * problem.anchors, 1, [&](int64_t begin, int64_t end) {
    std::vector<Real> sum(problem.channels);
    for (int64_t row = begin; row < end; ++row) {
      std::fill(sum.begin(), sum.end(), Real(0));
      add_points<kSpan>(problem, row / problem.anchors, row % problem.anchors, 0, 0, problem.groups, per_group / kSpan,
                        0, 1, sum.data());
      for (int64_t d = 0; d < problem.channels; ++d) output[row * problem.channels + d] = Stored(sum[d]);
    }
  });
}

template <class Stored, class Real>
void forward_typed(const Arguments& given, Tensor& output) {
  const auto problem = make_problem<Stored, Real>(given);
  check_maps(problem);
  Stored* const out = static_cast<Stored*>(output.mutable_data_ptr());
  const int64_t per_group = problem.channels / problem.groups;
  if (per_group % 32 == 0) {
    forward_anchors<32>(problem, out);
  } else if (per_group % 16 == 0) {
    forward_anchors<16>(problem, out);
  } else if (per_group % 8 == 0) {
    forward_anchors<8>(problem, out);
  } else {
    forward_anchors<1>(problem, out);
  }
}

template <class Stored, class Real>
void backward_typed(const Arguments& given, const Tensor& grad, Gradients& gradients) {
  const auto problem = make_problem<Stored, Real>(given);
  check_maps(problem);
  const Stored* const outer = static_cast<const Stored*>(grad.const_data_ptr());
  Real* const into_features = static_cast<Real*>(gradients.features.mutable_data_ptr());
  Real* const into_xy = static_cast<Real*>(gradients.xy.mutable_data_ptr());
  Stored* const into_weights = static_cast<Stored*>(gradients.weights.mutable_data_ptr());
  const int64_t per_anchor = problem.points * problem.cameras, rows = problem.anchors * per_anchor;
  torch::stable::parallel_for(0, problem.batch * problem.groups, 1, [&](int64_t begin, int64_t end) {
    const auto reduce = [](Real value) { return value; };
    const auto scatter = [&](int64_t token, int64_t channel, Real value) {
      into_features[token * problem.channels + channel] += value;
    };
    for (int64_t task = begin; task < end; ++task) {
      const int64_t b = task / problem.groups, g = task % problem.groups;
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t at = b * rows + row, a = row / per_anchor, p = row % per_anchor / problem.cameras;
        differentiate_group(problem, outer, b, a, p, row % problem.cameras, g, 0, 1, reduce, scatter,
                            into_weights + at * problem.levels * problem.groups, into_xy + 2 * (at * problem.groups + g));
      }
    }
  });
}

#define DISTILLDRIVE_DISPATCH(type, function, ...)                                                                \
  switch (type) {                                                                                                 \
    case ScalarType::Float: function<float, float>(__VA_ARGS__); break;                                           \
    case ScalarType::Double: function<double, double>(__VA_ARGS__); break;                                        \
    case ScalarType::Half: function<c10::Half, float>(__VA_ARGS__); break;                                        \
    case ScalarType::BFloat16: function<c10::BFloat16, float>(__VA_ARGS__); break;                                \
    default: STD_TORCH_CHECK(false, "deformable_aggregation: features must be float32, float64, float16 or bfloat16"); \
  }

Tensor forward(Tensor features, Tensor shapes, Tensor starts, Tensor locations, Tensor weights) {
  const Arguments given = make_arguments(features, shapes, starts, locations, weights);
  Tensor output = new_output(given);
  DISTILLDRIVE_DISPATCH(features.scalar_type(), forward_typed, given, output);
  return output;
}

std::tuple<Tensor, Tensor, Tensor> backward(Tensor grad, Tensor features, Tensor shapes, Tensor starts,
                                            Tensor locations, Tensor weights, std::optional<Tensor> fixed_point) {
  (void)fixed_point;  // sums are made in a fixed order anyway
  const Arguments given = make_arguments(features, shapes, starts, locations, weights);
  const auto stored = features.scalar_type();
  Gradients gradients = new_gradients(grad, given, real_type(stored));
  DISTILLDRIVE_DISPATCH(stored, backward_typed, given, torch::stable::contiguous(grad), gradients);
  return gradients.finish(stored);
}

}  // namespace
}  // namespace distilldrive

STABLE_TORCH_LIBRARY_IMPL(distilldrive_ros, CPU, m) {
  m.impl("deformable_aggregation", TORCH_BOX(&distilldrive::forward));
  m.impl("deformable_aggregation_backward", TORCH_BOX(&distilldrive::backward));
}
