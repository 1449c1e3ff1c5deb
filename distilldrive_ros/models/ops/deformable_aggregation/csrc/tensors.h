// From tensors to a Problem, with the checks that memory safety needs. Uses PyTorch's stable interface, so that a
// built library outlives updates of PyTorch.
#pragma once

#include <optional>
#include <tuple>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include "sampling.h"

namespace distilldrive {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Type for arithmetic on stored numbers.
inline ScalarType real_type(ScalarType stored) {
  return stored == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

// Inputs of the op, checked and with the layout that kernels want: all contiguous but `weights`, whose groups are
// adjacent.
struct Arguments {
  Tensor features, shapes, starts, locations, weights;
};

// What the backward pass makes. The gradient of the locations has one part per group, added up by `finish`.
struct Gradients {
  Tensor features, xy, weights;

  std::tuple<Tensor, Tensor, Tensor> finish(ScalarType stored) const {
    const int64_t group_axis = 4;
    return std::make_tuple(torch::stable::to(features, stored), torch::stable::sum(xy, {{&group_axis, 1}}), weights);
  }
};

inline void check_arguments(const Tensor& features, const Tensor& shapes, const Tensor& starts,
                            const Tensor& locations, const Tensor& weights) {
  STD_TORCH_CHECK(features.dim() == 3 && shapes.dim() == 3 && starts.dim() == 2 && locations.dim() == 5 &&
                      weights.dim() == 6,
                  "deformable_aggregation: tensor ranks must be 3, 3, 2, 5, 6");
  STD_TORCH_CHECK(shapes.scalar_type() == ScalarType::Long && starts.scalar_type() == ScalarType::Long,
                  "deformable_aggregation: spatial_shapes and level_start must be int64");
  STD_TORCH_CHECK(weights.scalar_type() == features.scalar_type(),
                  "deformable_aggregation: weights must have the dtype of features");
  STD_TORCH_CHECK(locations.scalar_type() == real_type(features.scalar_type()),
                  "deformable_aggregation: locations must be float32, or float64 with float64 features");
  for (const Tensor* tensor : {&shapes, &starts, &locations, &weights}) {
    STD_TORCH_CHECK(tensor->device() == features.device(), "deformable_aggregation: tensors are on different devices");
  }
  const int64_t cameras = starts.size(0), levels = starts.size(1), groups = weights.size(5);
  STD_TORCH_CHECK(shapes.size(0) == cameras && shapes.size(1) == levels && shapes.size(2) == 2 &&
                      locations.size(0) == features.size(0) && locations.size(3) == cameras && locations.size(4) == 2 &&
                      weights.size(4) == levels && groups > 0 && features.size(2) % groups == 0,
                  "deformable_aggregation: shapes do not fit");
  for (int64_t i = 0; i < 4; ++i) {
    STD_TORCH_CHECK(weights.size(i) == locations.size(i), "deformable_aggregation: shapes do not fit");
  }
}

inline Arguments make_arguments(const Tensor& features, const Tensor& shapes, const Tensor& starts,
                                const Tensor& locations, const Tensor& weights) {
  using torch::stable::contiguous;
  check_arguments(features, shapes, starts, locations, weights);
  const bool adjacent = weights.stride(5) == 1 || weights.size(5) == 1;
  return {contiguous(features), contiguous(shapes), contiguous(starts), contiguous(locations),
          adjacent ? weights : contiguous(weights)};
}

inline Tensor new_output(const Arguments& given) {
  const Tensor& features = given.features;
  return torch::stable::new_empty(features, {features.size(0), given.locations.size(1), features.size(2)});
}

// `sums`: type in which the gradient of the features is summed.
inline Gradients new_gradients(const Tensor& grad, const Arguments& given, ScalarType sums) {
  const Tensor& features = given.features;
  const int64_t batch = features.size(0), channels = features.size(2);
  const int64_t anchors = given.locations.size(1), points = given.locations.size(2);
  const int64_t cameras = given.starts.size(0), levels = given.starts.size(1), groups = given.weights.size(5);
  STD_TORCH_CHECK(grad.scalar_type() == features.scalar_type() && grad.device() == features.device() &&
                      grad.dim() == 3 && grad.size(0) == batch && grad.size(1) == anchors && grad.size(2) == channels,
                  "deformable_aggregation: the gradient does not fit the output");
  return {torch::stable::new_zeros(features, {batch, features.size(1), channels}, sums),
          torch::stable::new_empty(given.locations, {batch, anchors, points, cameras, groups, 2}),
          torch::stable::new_empty(features, {batch, anchors, points, cameras, levels, groups})};
}

// The tensors must outlive the result.
template <class Stored, class Real>
Problem<Stored, Real> make_problem(const Arguments& given) {
  const auto& [features, shapes, starts, locations, weights] = given;
  Problem<Stored, Real> problem;
  problem.batch = features.size(0);
  problem.tokens = features.size(1);
  problem.channels = features.size(2);
  problem.anchors = locations.size(1);
  problem.points = locations.size(2);
  problem.cameras = starts.size(0);
  problem.levels = starts.size(1);
  problem.groups = weights.size(5);
  problem.features = static_cast<const Stored*>(features.const_data_ptr());
  problem.shapes = static_cast<const int64_t*>(shapes.const_data_ptr());
  problem.starts = static_cast<const int64_t*>(starts.const_data_ptr());
  problem.locations = static_cast<const Real*>(locations.const_data_ptr());
  problem.weights = static_cast<const Stored*>(weights.const_data_ptr());
  problem.weight_batch = weights.stride(0);
  problem.weight_anchor = weights.stride(1);
  problem.weight_point = weights.stride(2);
  problem.weight_camera = weights.stride(3);
  problem.weight_level = weights.stride(4);
  return problem;
}

}  // namespace distilldrive
