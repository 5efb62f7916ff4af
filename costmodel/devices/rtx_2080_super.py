"""GeForce RTX 2080 Super (TU104, Turing). On GeForce cards tensor cores add fp16 products in fp32 at half rate.

No dense product of it was compared (DEVIATIONS 22).
"""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

RTX_2080_SUPER = server_gpu(
    ServerGpu(
        name="rtx-2080-super",
        summary="NVIDIA GeForce RTX 2080 Super: tensor cores without 2:4, block-sparse, CSR on CUDA cores",
        gemm_libraries=(("fp32", "cublas-10.1"), ("fp16", "cublas-10.1"), ("int8", "cublas-10.1")),
        sms=Sourced(48, "komputerswiat.pl RTX 2080 Super: 48 SMs"),
        clock_hz=Sourced(1_845_000_000, "ProjectPhysX/FluidX3D README.md @01d3cddab641: 11.34 TFLOPS / (2 x 48 x 64)"),
        cuda_macs=(
            ("fp32", Sourced(64, "en.gamegpu.com RTX 2080: 64 CUDA cores a SM")),
            ("fp16", Sourced(128, "fpsbench.com RTX 2080 Max-Q (TU104): FP16 at twice the rate of FP32")),
            ("int8", Sourced(256, "assumed: four products a lane, as DP4A")),
        ),
        tensor_macs=(
            ("fp16", Sourced(256, "assumed: half of Turing's 512 (T4: 65.13 TFLOPS), as GeForce sums in fp32")),
            ("int8", Sourced(1024, "assumed: twice Turing's fp16 rate")),
        ),
        shared_bytes=Sourced(65_536, "assumed: 64 of the 96 KB that en.gamegpu.com gives for L1 and shared memory"),
        l2_bytes=Sourced(4_194_304, "cputronic.com RTX 2080 (TU104): 4 MB"),
        l2_bytes_per_s=Sourced(2_267_000_000_000, "assumed: 25.6 bytes a cycle and SM, as V100"),
        dram_bytes_per_s=Sourced(496_000_000_000, "ProjectPhysX/FluidX3D README.md @01d3cddab641: 496 GB/s"),
        dram_attained=Sourced(0.82, "the same: 82 % attained (FP32/FP16S)"),
    )
)
