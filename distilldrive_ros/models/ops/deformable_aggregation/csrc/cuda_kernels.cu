// CUDA kernels. Forward: a block per anchor, no atomics. Backward: a warp per (anchor, point, camera, group); only the
// gradient of the features is summed by atomics, as floats or, where order must not matter, as 64-bit integers.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>

#include "cuda_launch.h"

namespace distilldrive {
namespace {

constexpr int kWarp = 32;
constexpr int kMostThreads = 512;
constexpr int64_t kMostBlocks = 1 << 20;

// threadIdx.x: run of kSpan channels. threadIdx.y: every blockDim.y-th point; their sums are added in a fixed order.
template <int kSpan, class Stored, class Real>
__global__ void __launch_bounds__(kMostThreads) forward_kernel(Problem<Stored, Real> problem, Stored* output) {
  extern __shared__ unsigned char memory[];
  Real* const partial = reinterpret_cast<Real*>(memory);  // [blockDim.y, blockDim.x, kSpan]
  const int64_t rows = problem.batch * problem.anchors, runs = problem.channels / kSpan;
  const int64_t per_group = problem.channels / problem.groups;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    for (int64_t first = 0; first < runs; first += blockDim.x) {
      const int64_t run = first + threadIdx.x, channel = run * kSpan;
      Real sum[kSpan] = {};
      if (run < runs) {
        add_points<kSpan>(problem, row / problem.anchors, row % problem.anchors, channel, channel / per_group, 1, 1,
                          threadIdx.y, blockDim.y, sum);
      }
      Real* const mine = partial + (threadIdx.y * blockDim.x + threadIdx.x) * kSpan;
      for (int i = 0; i < kSpan; ++i) mine[i] = sum[i];
      __syncthreads();
      if (threadIdx.y == 0 && run < runs) {
        for (int y = 1; y < blockDim.y; ++y) {
          for (int i = 0; i < kSpan; ++i) sum[i] += partial[(y * blockDim.x + threadIdx.x) * kSpan + i];
        }
        for (int i = 0; i < kSpan; ++i) output[row * problem.channels + channel + i] = Stored(sum[i]);
      }
      __syncthreads();
    }
  }
}

template <class Real>
struct WarpSum {
  __device__ Real operator()(Real value) const {
    for (int offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
    return value;
  }
};

template <class Real>
struct AddAsReal {
  Real* target;
  int64_t channels;
  __device__ void operator()(int64_t token, int64_t channel, Real value) const {
    atomicAdd(target + token * channels + channel, value);
  }
};

template <class Real>
struct AddAsInteger {
  unsigned long long* target;
  int64_t channels;
  double factor;
  __device__ void operator()(int64_t token, int64_t channel, Real value) const {
    // Two's complement: unsigned addition is signed addition.
    const long long scaled = __double2ll_rn(double(value) * factor);
    atomicAdd(target + token * channels + channel, static_cast<unsigned long long>(scaled));
  }
};

template <bool kFixedPoint, class Stored, class Real>
__global__ void __launch_bounds__(kMostThreads) backward_kernel(
    Problem<Stored, Real> problem, const Stored* grad_output, void* grad_features, Real* grad_xy, Stored* grad_weights,
    const double* fixed_point) {
  const int64_t warps = int64_t(gridDim.x) * (blockDim.x / kWarp);
  const int64_t tasks = problem.batch * problem.anchors * problem.points * problem.cameras * problem.groups;
  const int lane = threadIdx.x % kWarp;
  for (int64_t task = int64_t(blockIdx.x) * (blockDim.x / kWarp) + threadIdx.x / kWarp; task < tasks; task += warps) {
    const int64_t g = task % problem.groups, at = task / problem.groups;
    const int64_t c = at % problem.cameras, p = at / problem.cameras % problem.points;
    const int64_t row = at / (problem.cameras * problem.points);
    Stored* const to_weights = grad_weights + at * problem.levels * problem.groups;
    const auto differentiate = [&](const auto& scatter) {
      differentiate_group(problem, grad_output, row / problem.anchors, row % problem.anchors, p, c, g, lane, kWarp,
                          WarpSum<Real>(), scatter, to_weights, grad_xy + 2 * task);
    };
    if constexpr (kFixedPoint) {
      auto* const target = static_cast<unsigned long long*>(grad_features);
      differentiate(AddAsInteger<Real>{target, problem.channels, *fixed_point});
    } else {
      differentiate(AddAsReal<Real>{static_cast<Real*>(grad_features), problem.channels});
    }
  }
}

template <class Real>
__global__ void unscale_kernel(const long long* sums, Real* gradient, int64_t count, const double* fixed_point) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    gradient[i] = Real(double(sums[i]) / *fixed_point);
  }
}

template <class Stored, class Real>
Problem<Stored, Real> typed(const Problem<void, void>& p) {
  return {p.batch, p.tokens, p.channels, p.anchors, p.points, p.cameras, p.levels, p.groups,
          static_cast<const Stored*>(p.features), p.shapes, p.starts, static_cast<const Real*>(p.locations),
          static_cast<const Stored*>(p.weights), p.weight_batch, p.weight_anchor, p.weight_point, p.weight_camera,
          p.weight_level};
}

const char* last_error() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

template <int kSpan, class Stored, class Real>
void start_forward(const Problem<Stored, Real>& problem, Stored* output, cudaStream_t stream) {
  const int64_t runs = problem.channels / kSpan;
  const int across = int(std::min<int64_t>(std::max<int64_t>(runs, 1), kMostThreads));
  const int deep = int(std::max<int64_t>(std::min<int64_t>(problem.points, kMostThreads / across), 1));
  const int64_t blocks = std::min(problem.batch * problem.anchors, kMostBlocks);
  const size_t memory = size_t(across) * deep * kSpan * sizeof(Real);
  forward_kernel<kSpan><<<dim3(unsigned(blocks)), dim3(across, deep), memory, stream>>>(problem, output);
}

template <class Stored, class Real>
void forward_typed(const CudaProblem& given, void* output) {
  const auto problem = typed<Stored, Real>(given.sizes);
  const auto stream = static_cast<cudaStream_t>(given.stream);
  if (problem.channels / problem.groups % 4 == 0) {
    start_forward<4>(problem, static_cast<Stored*>(output), stream);
  } else {
    start_forward<1>(problem, static_cast<Stored*>(output), stream);
  }
}

template <class Stored, class Real>
void backward_typed(const CudaProblem& given, const void* grad_output, void* grad_features, void* grad_xy,
                    void* grad_weights, const double* fixed_point) {
  const auto problem = typed<Stored, Real>(given.sizes);
  const auto stream = static_cast<cudaStream_t>(given.stream);
  const int64_t tasks = problem.batch * problem.anchors * problem.points * problem.cameras * problem.groups;
  constexpr int threads = 256, warps = threads / kWarp;
  const unsigned blocks = unsigned(std::min((tasks + warps - 1) / warps, kMostBlocks));
  const auto kernel = fixed_point ? backward_kernel<true, Stored, Real> : backward_kernel<false, Stored, Real>;
  kernel<<<blocks, threads, 0, stream>>>(problem, static_cast<const Stored*>(grad_output), grad_features,
                                         static_cast<Real*>(grad_xy), static_cast<Stored*>(grad_weights), fixed_point);
}

}  // namespace

const char* launch_forward(const CudaProblem& problem, void* output) {
  if (problem.sizes.batch * problem.sizes.anchors * problem.sizes.channels == 0) return nullptr;
  switch (problem.type) {
    case StoredType::float32: forward_typed<float, float>(problem, output); break;
    case StoredType::float64: forward_typed<double, double>(problem, output); break;
    case StoredType::float16: forward_typed<__half, float>(problem, output); break;
    case StoredType::bfloat16: forward_typed<__nv_bfloat16, float>(problem, output); break;
  }
  return last_error();
}

const char* launch_backward(const CudaProblem& problem, const void* grad_output, void* grad_features, void* grad_xy,
                            void* grad_weights, const double* fixed_point) {
  const auto& sizes = problem.sizes;
  if (sizes.batch * sizes.anchors * sizes.points * sizes.cameras == 0) return nullptr;
  const auto run = [&](auto function) {
    function(problem, grad_output, grad_features, grad_xy, grad_weights, fixed_point);
  };
  switch (problem.type) {
    case StoredType::float32: run(backward_typed<float, float>); break;
    case StoredType::float64: run(backward_typed<double, double>); break;
    case StoredType::float16: run(backward_typed<__half, float>); break;
    case StoredType::bfloat16: run(backward_typed<__nv_bfloat16, float>); break;
  }
  return last_error();
}

const char* launch_unscale(const CudaProblem& problem, const void* sums, void* gradient, const double* fixed_point) {
  const int64_t count = problem.sizes.batch * problem.sizes.tokens * problem.sizes.channels;
  if (count == 0) return nullptr;
  constexpr int threads = 256;
  const unsigned blocks = unsigned(std::min((count + threads - 1) / threads, kMostBlocks));
  const auto stream = static_cast<cudaStream_t>(problem.stream);
  const auto* const from = static_cast<const long long*>(sums);
  if (problem.type == StoredType::float64) {
    unscale_kernel<<<blocks, threads, 0, stream>>>(from, static_cast<double*>(gradient), count, fixed_point);
  } else {
    unscale_kernel<<<blocks, threads, 0, stream>>>(from, static_cast<float*>(gradient), count, fixed_point);
  }
  return last_error();
}

}  // namespace distilldrive
