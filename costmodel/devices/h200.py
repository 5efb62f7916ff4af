"""H200 SXM5 (141 GB, Hopper): the chip of the H100 with faster memory.

No dense product of it was compared (DEVIATIONS 22).
"""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

_PAPER = "pmc.ncbi.nlm.nih.gov/articles/PMC10448217 table t0015"
_NOTES = "glennklockwood.com/garden/processors/h100"

H200 = server_gpu(
    ServerGpu(
        name="h200",
        summary="NVIDIA H200 SXM: tensor cores dense and 2:4, block-sparse, CSR on CUDA cores",
        gemm_libraries=(("fp32", "cublas-10.1"), ("fp16", "cublas-10.1"), ("int8", "cublas-10.1")),
        sms=Sourced(132, "hmc-tech.com H200 page: 132 SMs"),
        clock_hz=Sourced(1_830_000_000, f"{_NOTES}: 1.83 to 1.98 GHz; the lower, at which the tensor rate is stated"),
        cuda_macs=(
            ("fp32", Sourced(128, f"{_NOTES}: 66.9 TFLOPS = 2 x 132 x 128 x 1.98 GHz")),
            ("fp16", Sourced(256, f"{_NOTES}: FP16 vector 133.8 TFLOPS, twice FP32")),
            ("int8", Sourced(256, "assumed: four products on half of the lanes, as DP4A")),
        ),
        tensor_macs=(
            ("fp16", Sourced(2048, f"{_NOTES}: 989.4 TFLOPS = 2 x 132 x 2048 x 1.83 GHz")),
            ("int8", Sourced(4096, f"{_NOTES}: 1978.9 TOPS = 2 x 132 x 4096 x 1.83 GHz")),
        ),
        two_of_four=("fp16", "int8"),
        shared_bytes=Sourced(233_472, f"{_PAPER}: 228 KB a SM (H100, the same chip)"),
        l2_bytes=Sourced(52_428_800, f"{_PAPER}: 50 MB (H100, the same chip)"),
        l2_bytes_per_s=Sourced(8_986_000_000_000, f"{_PAPER}: 8986 GB/s (H100, the same chip)"),
        dram_bytes_per_s=Sourced(4_800_000_000_000, "hmc-tech.com H200 page: 4800 GB/s"),
        dram_attained=Sourced(0.73, "FluidX3D README.md @8986874e626e: 73 % attained"),
        cluster=Sourced(2, "assumed: clusters of 2 x 1 thread blocks, an operand multicast (CUTLASS for Hopper)"),
    )
)
