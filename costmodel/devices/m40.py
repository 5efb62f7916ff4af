"""Tesla M40 (GM200, Maxwell): CUDA cores in fp32 alone."""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

M40 = server_gpu(
    ServerGpu(
        name="m40",
        summary="NVIDIA M40: CUDA cores in fp32 alone",
        gemm_libraries=(("fp32", "cublas-7.5"),),
        sms=Sourced(24, "sysrqmts.com M40: 24 SMs"),
        clock_hz=Sourced(1_114_000_000, "tech4gamers.com: boost 1114 MHz"),
        cuda_macs=(("fp32", Sourced(128, "128 CUDA cores a SM: 3072 of 24 (hothardware.com Titan X)")),),
        shared_bytes=Sourced(98_304, "assumed: 96 KB a SM"),
        l2_bytes=Sourced(3_145_728, "sysrqmts.com M40: 3 MB"),
        l2_bytes_per_s=Sourced(684_000_000_000, "assumed: 25.6 bytes a cycle and SM, as V100"),
        dram_bytes_per_s=Sourced(288_400_000_000, "sysrqmts.com M40: 288.4 GB/s"),
        dram_attained=Sourced(0.69, "assumed: as GTX Titan X, the same chip"),
    )
)
