"""GeForce RTX 4090 (AD102, Ada). On GeForce cards tensor cores add fp16 products in fp32 at half rate."""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

_KITGURU = "kitguru.net RTX 4090 review, table of specifications"
_FLUID = "ProjectPhysX/FluidX3D README.md @8986874e626e"

RTX_4090 = server_gpu(
    ServerGpu(
        name="rtx-4090",
        summary="NVIDIA GeForce RTX 4090: tensor cores dense and 2:4, block-sparse, CSR on CUDA cores",
        gemm_libraries=(("fp32", "cublas-10.1"), ("fp16", "cublas-10.1"), ("int8", "cublas-10.1")),
        sms=Sourced(128, f"{_KITGURU}: 128 SMs"),
        clock_hz=Sourced(2_520_000_000, f"{_KITGURU}: boost 2520 MHz; {_FLUID}: 82.58 TFLOPS / (2 x 128 x 128)"),
        cuda_macs=(
            ("fp32", Sourced(128, f"{_FLUID}: 82.58 TFLOPS")),
            ("fp16", Sourced(128, "assumed: as fp32, as GA102")),
            ("int8", Sourced(256, "assumed: four products on half of the lanes, as DP4A")),
        ),
        tensor_macs=(
            ("fp16", Sourced(256, "assumed: as RTX 3090, half rate where sums are fp32")),
            ("int8", Sourced(1024, "assumed: as RTX 3090")),
        ),
        two_of_four=("fp16", "int8"),
        shared_bytes=Sourced(102_400, "assumed: 100 of 128 KB of L1 and shared memory, as RTX 3090"),
        l2_bytes=Sourced(75_497_472, f"{_KITGURU}: 72 MB"),
        l2_bytes_per_s=Sourced(8_257_000_000_000, "assumed: 25.6 bytes a cycle and SM, as V100"),
        dram_bytes_per_s=Sourced(1_008_000_000_000, f"{_KITGURU}: 1008 GB/s"),
        dram_attained=Sourced(0.85, f"{_FLUID}: 85 % attained"),
    )
)
