// CPU kernels. Threads take anchors in the forward pass and groups of channels in the backward pass, so no two write
// to one place: the result does not depend on the number of threads.
#include <tuple>
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
void forward_typed(const Tensor& features, const Tensor& shapes, const Tensor& starts, const Tensor& locations,
                   const Tensor& weights, Tensor& output) {
  const auto problem = make_problem<Stored, Real>(features, shapes, starts, locations, weights);
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
void backward_typed(const Tensor& grad, const Tensor& features, const Tensor& shapes, const Tensor& starts,
                    const Tensor& locations, const Tensor& weights, Tensor& grad_features, Tensor& grad_xy,
                    Tensor& grad_weights) {
  const auto problem = make_problem<Stored, Real>(features, shapes, starts, locations, weights);
  check_maps(problem);
  const Stored* const outer = static_cast<const Stored*>(grad.const_data_ptr());
  Real* const into_features = static_cast<Real*>(grad_features.mutable_data_ptr());
  Real* const into_xy = static_cast<Real*>(grad_xy.mutable_data_ptr());
  Stored* const into_weights = static_cast<Stored*>(grad_weights.mutable_data_ptr());
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
  using torch::stable::contiguous;
  check_arguments(features, shapes, starts, locations, weights);
  features = contiguous(features);
  shapes = contiguous(shapes);
  starts = contiguous(starts);
  locations = contiguous(locations);
  weights = with_adjacent_groups(weights);
  Tensor output = torch::stable::new_empty(features, {features.size(0), locations.size(1), features.size(2)});
  DISTILLDRIVE_DISPATCH(features.scalar_type(), forward_typed, features, shapes, starts, locations, weights, output);
  return output;
}

std::tuple<Tensor, Tensor, Tensor> backward(Tensor grad, Tensor features, Tensor shapes, Tensor starts,
                                            Tensor locations, Tensor weights, bool deterministic) {
  using torch::stable::contiguous;
  (void)deterministic;  // this kernel always is
  check_arguments(features, shapes, starts, locations, weights);
  const auto stored = features.scalar_type(), real = real_type(stored);
  const int64_t batch = features.size(0), anchors = locations.size(1), points = locations.size(2);
  STD_TORCH_CHECK(grad.scalar_type() == stored && grad.dim() == 3 && grad.size(0) == batch && grad.size(1) == anchors &&
                      grad.size(2) == features.size(2),
                  "deformable_aggregation: the gradient does not fit the output");
  const int64_t cameras = starts.size(0), levels = starts.size(1), groups = weights.size(5);
  grad = contiguous(grad);
  features = contiguous(features);
  shapes = contiguous(shapes);
  starts = contiguous(starts);
  locations = contiguous(locations);
  weights = with_adjacent_groups(weights);
  Tensor grad_features = torch::stable::new_zeros(features, {batch, features.size(1), features.size(2)}, real);
  Tensor grad_xy = torch::stable::new_empty(locations, {batch, anchors, points, cameras, groups, 2});
  Tensor grad_weights = torch::stable::new_empty(features, {batch, anchors, points, cameras, levels, groups});
  DISTILLDRIVE_DISPATCH(stored, backward_typed, grad, features, shapes, starts, locations, weights, grad_features,
                        grad_xy, grad_weights);
  const int64_t group_axis = 4;
  return std::make_tuple(torch::stable::to(grad_features, stored), torch::stable::sum(grad_xy, {{&group_axis, 1}}),
                         grad_weights);
}

}  // namespace
}  // namespace distilldrive

STABLE_TORCH_LIBRARY_IMPL(distilldrive_ros, CPU, m) {
  m.impl("deformable_aggregation", TORCH_BOX(&distilldrive::forward));
  m.impl("deformable_aggregation_backward", TORCH_BOX(&distilldrive::backward));
}
