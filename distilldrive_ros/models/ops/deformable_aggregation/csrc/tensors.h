// From tensors to a Problem, with the checks that memory safety needs. Uses PyTorch's stable interface, so that a
// built library outlives updates of PyTorch.
#pragma once

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

// All tensors but weights contiguous; the groups of weights adjacent. The tensors must outlive the result.
template <class Stored, class Real>
Problem<Stored, Real> make_problem(const Tensor& features, const Tensor& shapes, const Tensor& starts,
                                   const Tensor& locations, const Tensor& weights) {
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

inline Tensor with_adjacent_groups(const Tensor& weights) {
  return weights.stride(5) == 1 || weights.size(5) == 1 ? weights : torch::stable::contiguous(weights);
}

}  // namespace distilldrive
