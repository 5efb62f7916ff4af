"""GeForce RTX 3090 (GA102, Ampere). On GeForce cards tensor cores add fp16 products in fp32 at half rate.

No dense product of it was compared (DEVIATIONS 22).
"""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

_KITGURU = "kitguru.net RTX 4090 review, table of specifications"

RTX_3090 = server_gpu(
    ServerGpu(
        name="rtx-3090",
        summary="NVIDIA GeForce RTX 3090: tensor cores dense and 2:4, block-sparse, CSR on CUDA cores",
        gemm_libraries=(("fp32", "cublas-10.1"), ("fp16", "cublas-10.1"), ("int8", "cublas-10.1")),
        sms=Sourced(82, f"{_KITGURU}: 82 SMs"),
        clock_hz=Sourced(1_860_000_000, "ProjectPhysX/FluidX3D README.md @8986874e626e: 39.05 TFLOPS / (2 x 82 x 128)"),
        cuda_macs=(
            ("fp32", Sourced(128, "ProjectPhysX/FluidX3D README.md @8986874e626e: 39.05 TFLOPS")),
            ("fp16", Sourced(128, "assumed: as fp32, the rate of GA102 outside tensor cores")),
            ("int8", Sourced(256, "assumed: four products on half of the lanes, as DP4A")),
        ),
        tensor_macs=(
            ("fp16", Sourced(256, "assumed: a quarter of A100's 1024 (four times fewer), as GeForce sums in fp32")),
            ("int8", Sourced(1024, "assumed: half of A100's 2048")),
        ),
        two_of_four=("fp16", "int8"),
        shared_bytes=Sourced(102_400, "assumed: 100 of 128 KB of L1 and shared memory"),
        l2_bytes=Sourced(6_291_456, f"{_KITGURU}: 6 MB"),
        l2_bytes_per_s=Sourced(3_900_000_000_000, "assumed: 25.6 bytes a cycle and SM, as V100"),
        dram_bytes_per_s=Sourced(936_000_000_000, f"{_KITGURU}: 936 GB/s"),
        dram_attained=Sourced(0.89, "ProjectPhysX/FluidX3D README.md @8986874e626e: 89 % attained"),
    )
)
