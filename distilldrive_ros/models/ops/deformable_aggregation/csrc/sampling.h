// The arithmetic of deformable feature aggregation, shared by the CPU and the CUDA kernels (see reference.py).
//
// Everything is written per anchor and per run of channels: a CPU thread takes all channels of an anchor, a CUDA thread
// a few. `Stored` is the type in memory (float, double, half, bfloat16), `Real` the one for arithmetic (float or
// double). All indices have 64 bits.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define DISTILLDRIVE_INLINE __host__ __device__ __forceinline__
#else
#define DISTILLDRIVE_INLINE inline
#endif

namespace distilldrive {

// Sizes, and pointers to contiguous arrays except for `weights`, whose strides are given (groups are adjacent).
template <class Stored, class Real>
struct Problem {
  int64_t batch, tokens, channels, anchors, points, cameras, levels, groups;
  const Stored* features;   // [batch, tokens, channels]
  const int64_t* shapes;    // [cameras, levels, 2]: height, width
  const int64_t* starts;    // [cameras, levels]: first token
  const Real* locations;    // [batch, anchors, points, cameras, 2]: x over width, y over height
  const Stored* weights;    // [batch, anchors, points, cameras, levels, groups]
  int64_t weight_batch, weight_anchor, weight_point, weight_camera, weight_level;

  DISTILLDRIVE_INLINE const Stored* weights_at(int64_t b, int64_t a, int64_t p, int64_t c) const {
    return weights + b * weight_batch + a * weight_anchor + p * weight_point + c * weight_camera;
  }
};

// The four tokens around a place in one map. A neighbour outside the map repeats one inside, with share and slopes 0.
template <class Real>
struct Footprint {
  int64_t token[4];
  Real share[4];
  Real slope_x[4];  // change of the share with x in (0, 1)
  Real slope_y[4];
};

template <class Real>
DISTILLDRIVE_INLINE bool is_inside(Real x, Real y) {
  return x > 0 && x < 1 && y > 0 && y < 1;  // false for NaN
}

// Whether a map lies within the tokens; checked so that no wrong table can make a kernel leave its memory.
template <class Stored, class Real>
DISTILLDRIVE_INLINE bool map_fits(const Problem<Stored, Real>& problem, int64_t camera, int64_t level) {
  const int64_t index = camera * problem.levels + level;
  const int64_t height = problem.shapes[2 * index], width = problem.shapes[2 * index + 1];
  const int64_t start = problem.starts[index];
  return height > 0 && width > 0 && start >= 0 && height <= problem.tokens && width <= problem.tokens &&
         start <= problem.tokens - height * width;
}

template <class Real>
DISTILLDRIVE_INLINE Footprint<Real> footprint(Real x, Real y, int64_t height, int64_t width, int64_t start) {
  const Real column = x * Real(width) - Real(0.5), row = y * Real(height) - Real(0.5);
  const Real left = floor(column), top = floor(row);
  const Real right_share = column - left, bottom_share = row - top;
  const int64_t first_column = int64_t(left), first_row = int64_t(top);
  Footprint<Real> result;
  for (int corner = 0; corner < 4; ++corner) {
    const bool right = corner & 1, bottom = corner & 2;
    const int64_t i = first_row + bottom, j = first_column + right;
    const bool there = i >= 0 && i < height && j >= 0 && j < width;
    const Real share_x = right ? right_share : 1 - right_share, share_y = bottom ? bottom_share : 1 - bottom_share;
    const int64_t near_i = i < 0 ? 0 : (i < height ? i : height - 1), near_j = j < 0 ? 0 : (j < width ? j : width - 1);
    result.token[corner] = start + near_i * width + near_j;
    result.share[corner] = there ? share_x * share_y : Real(0);
    result.slope_x[corner] = there ? (right ? share_y : -share_y) * Real(width) : Real(0);
    result.slope_y[corner] = there ? (bottom ? share_x : -share_x) * Real(height) : Real(0);
  }
  return result;
}

template <class Stored, class Real>
DISTILLDRIVE_INLINE Footprint<Real> footprint_in(
    const Problem<Stored, Real>& problem, Real x, Real y, int64_t camera, int64_t level) {
  const int64_t index = camera * problem.levels + level;
  return footprint(x, y, problem.shapes[2 * index], problem.shapes[2 * index + 1], problem.starts[index]);
}

// Adds weight times the bilinear sample of kSpan channels to sum[0 .. kSpan).
template <int kSpan, class Stored, class Real>
DISTILLDRIVE_INLINE void add_sample(
    const Stored* features, int64_t channels, const Footprint<Real>& place, Real weight, Real* sum) {
  const Stored* const t0 = features + place.token[0] * channels;
  const Stored* const t1 = features + place.token[1] * channels;
  const Stored* const t2 = features + place.token[2] * channels;
  const Stored* const t3 = features + place.token[3] * channels;
  const Real s0 = weight * place.share[0], s1 = weight * place.share[1];
  const Real s2 = weight * place.share[2], s3 = weight * place.share[3];
#if defined(__CUDA_ARCH__)
#pragma unroll
#elif defined(__clang__)
#pragma clang loop vectorize(enable)
#else
#pragma GCC ivdep
#endif
  for (int i = 0; i < kSpan; ++i) {
    sum[i] += (s0 * Real(t0[i]) + s1 * Real(t1[i])) + (s2 * Real(t2[i]) + s3 * Real(t3[i]));
  }
}

// Adds the samples of the points first_point, first_point + point_step, ... of one anchor to `sum`, for the channels
// of `groups` groups from `first_group` on, each worked through in `runs` runs of kSpan channels from `first_channel`.
template <int kSpan, class Stored, class Real>
DISTILLDRIVE_INLINE void add_points(
    const Problem<Stored, Real>& problem, int64_t b, int64_t a, int64_t first_channel, int64_t first_group,
    int64_t groups, int64_t runs, int64_t first_point, int64_t point_step, Real* sum) {
  const Stored* const features = problem.features + b * problem.tokens * problem.channels + first_channel;
  for (int64_t p = first_point; p < problem.points; p += point_step) {
    const Real* xy = problem.locations + 2 * (((b * problem.anchors + a) * problem.points + p) * problem.cameras);
    for (int64_t c = 0; c < problem.cameras; ++c, xy += 2) {
      if (!is_inside(xy[0], xy[1])) continue;
      const Stored* const weights = problem.weights_at(b, a, p, c) + first_group;
      for (int64_t l = 0; l < problem.levels; ++l) {
        if (!map_fits(problem, c, l)) continue;
        const Footprint<Real> place = footprint_in(problem, xy[0], xy[1], c, l);
        int64_t channel = 0;
        for (int64_t g = 0; g < groups; ++g) {
          const Real weight = Real(weights[l * problem.weight_level + g]);
          for (int64_t run = 0; run < runs; ++run, channel += kSpan) {
            add_sample<kSpan>(features + channel, problem.channels, place, weight, sum + channel);
          }
        }
      }
    }
  }
}

// Gradients of one (anchor, point, camera) for the channels of one group, shared out among `lanes` workers.
//
// `reduce(value)` returns the sum over the workers; `scatter(token, channel, value)` adds to the gradient of the
// features. grad_weights [levels, groups] and grad_xy [2] belong to this point, camera and, for grad_xy, group; the
// worker of lane 0 writes them.
template <class Stored, class Real, class Reduce, class Scatter>
DISTILLDRIVE_INLINE void differentiate_group(
    const Problem<Stored, Real>& problem, const Stored* grad_output, int64_t b, int64_t a, int64_t p, int64_t c,
    int64_t g, int lane, int lanes, const Reduce& reduce, const Scatter& scatter, Stored* grad_weights, Real* grad_xy) {
  const int64_t at = ((b * problem.anchors + a) * problem.points + p) * problem.cameras + c;
  const Real x = problem.locations[2 * at], y = problem.locations[2 * at + 1];
  const int64_t span = problem.channels / problem.groups, first = g * span;
  const Stored* const outer = grad_output + (b * problem.anchors + a) * problem.channels + first;
  const Stored* const features = problem.features + b * problem.tokens * problem.channels + first;
  const Stored* const weights = problem.weights_at(b, a, p, c);
  Real total_x = 0, total_y = 0;
  for (int64_t l = 0; l < problem.levels; ++l) {
    Real grad_weight = 0;
    if (is_inside(x, y) && map_fits(problem, c, l)) {
      const Footprint<Real> place = footprint_in(problem, x, y, c, l);
      const Real weight = Real(weights[l * problem.weight_level + g]);
      for (int corner = 0; corner < 4; ++corner) {
        if (place.share[corner] == 0 && place.slope_x[corner] == 0 && place.slope_y[corner] == 0) continue;
        const Stored* const token = features + place.token[corner] * problem.channels;
        Real product = 0;
        for (int64_t channel = lane; channel < span; channel += lanes) {
          const Real outer_value = Real(outer[channel]);
          product += outer_value * Real(token[channel]);
          scatter(b * problem.tokens + place.token[corner], first + channel, weight * place.share[corner] * outer_value);
        }
        product = reduce(product);
        grad_weight += place.share[corner] * product;
        total_x += weight * place.slope_x[corner] * product;
        total_y += weight * place.slope_y[corner] * product;
      }
    }
    if (lane == 0) grad_weights[l * problem.groups + g] = Stored(grad_weight);
  }
  if (lane == 0) {
    grad_xy[0] = total_x;
    grad_xy[1] = total_y;
  }
}

}  // namespace distilldrive
