// Starts the CUDA kernels. No type of PyTorch and, but for the stream, none of CUDA: cuda.cpp includes it without nvcc.
#pragma once

#include "sampling.h"

namespace distilldrive {

// Type of the numbers in memory.
enum class StoredType { float32, float64, float16, bfloat16 };

// A Problem whose types are given at run time; `stream` is a cudaStream_t. All pointers are to device memory.
struct CudaProblem {
  StoredType type;
  Problem<void, void> sizes;
  void* stream;
};

// Each returns the error of the launch, or nullptr.
//
// output [batch, anchors, channels]: stored type.
const char* launch_forward(const CudaProblem& problem, void* output);

// grad_output [batch, anchors, channels] and grad_weights [batch, anchors, points, cameras, levels, groups]: stored
// type; grad_features [batch, tokens, channels] (zero on entry) and grad_xy [batch, anchors, points, cameras, groups,
// 2]: real type. With `fixed_point`, a pointer to one double, grad_features is int64 instead and receives sums of
// contributions times that factor, rounded: integers add up to the same sum in any order.
const char* launch_backward(const CudaProblem& problem, const void* grad_output, void* grad_features, void* grad_xy,
                            void* grad_weights, const double* fixed_point);

// sums [batch, tokens, channels] int64 over `fixed_point` -> gradient, real type.
const char* launch_unscale(const CudaProblem& problem, const void* sums, void* gradient, const double* fixed_point);

}  // namespace distilldrive
