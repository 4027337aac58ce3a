// Softmax over rows that need not fit a block: one block a row, the maximum and the sum in one sweep, then the answer in a second.
#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

__device__ void join(float& top, float& sum, float other_top, float other_sum) {
  const float high = fmaxf(top, other_top);
  if (high == -INFINITY) return;
  sum = sum * __expf(top - high) + other_sum * __expf(other_top - high);
  top = high;
}

__global__ void softmax_rows(const float* __restrict__ x, float* __restrict__ y, int64_t columns) {
  __shared__ float tops[32], sums[32];
  const float* row = x + static_cast<int64_t>(blockIdx.x) * columns;
  float* out = y + static_cast<int64_t>(blockIdx.x) * columns;
  float top = -INFINITY, sum = 0;
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) join(top, sum, row[i], 1);
  for (int step = 16; step > 0; step /= 2) {
    const float other_top = __shfl_xor_sync(~0u, top, step), other_sum = __shfl_xor_sync(~0u, sum, step);
    join(top, sum, other_top, other_sum);
  }
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  if (lane == 0) tops[warp] = top, sums[warp] = sum;
  __syncthreads();
  top = lane < warps ? tops[lane] : -INFINITY;
  sum = lane < warps ? sums[lane] : 0;
  for (int step = 16; step > 0; step /= 2) {
    const float other_top = __shfl_xor_sync(~0u, top, step), other_sum = __shfl_xor_sync(~0u, sum, step);
    join(top, sum, other_top, other_sum);
  }
  const float scale = 1 / sum;
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) out[i] = __expf(row[i] - top) * scale;
}

at::Tensor run(const at::Tensor& input) {
  const at::Tensor x = input.contiguous();
  at::Tensor y = at::empty_like(x);
  const int64_t columns = x.size(-1), rows = columns == 0 ? 0 : x.numel() / columns;
  if (rows > 0) {
    softmax_rows<<<rows, 512, 0, c10::cuda::getCurrentCUDAStream()>>>(x.const_data_ptr<float>(), y.mutable_data_ptr<float>(), columns);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
  return y;
}
