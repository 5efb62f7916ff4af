"""GeForce GTX Titan X of 2015 (GM200, Maxwell): CUDA cores in fp32 alone."""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

TITAN_X = server_gpu(
    ServerGpu(
        name="titan-x",
        summary="NVIDIA GTX Titan X (Maxwell): CUDA cores in fp32 alone",
        gemm_libraries=(("fp32", "cublas-7.5"),),
        sms=Sourced(24, "hothardware.com Titan X: 24 SMs"),
        clock_hz=Sourced(
            1_183_000_000,
            "hothardware.com: boost 1075 MHz x 1.1 (assumed: GeForce cards exceed it, DEVIATIONS 23)",
        ),
        cuda_macs=(("fp32", Sourced(128, "128 CUDA cores a SM: 3072 of 24 (hothardware.com Titan X)")),),
        shared_bytes=Sourced(98_304, "assumed: 96 KB a SM"),
        l2_bytes=Sourced(3_145_728, "hothardware.com: 3 MB"),
        l2_bytes_per_s=Sourced(727_000_000_000, "assumed: 25.6 bytes a cycle and SM, as V100"),
        dram_bytes_per_s=Sourced(336_500_000_000, "hothardware.com: 336.5 GB/s"),
        dram_attained=Sourced(0.69, "FluidX3D README.md @01d3cddab641: 69 % attained"),
    )
)
