"""Titan X of 2016 (GP102, Pascal): CUDA cores alone, int8 dot products, no fp16 worth the name."""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

TITAN_X_PASCAL = server_gpu(
    ServerGpu(
        name="titan-x-pascal",
        summary="NVIDIA Titan X (Pascal): CUDA cores alone, int8 by DP4A",
        gemm_libraries=(("fp32", "cublas-8.0"), ("int8", "cublas-8.0.61")),
        conv_libraries=(("int8", "cudnn-6"),),
        sms=Sourced(28, "gamersnexus.net Titan X Pascal: 28 SMs"),
        clock_hz=Sourced(
            1_684_000_000,
            "tomshardware.com: boost 1531 MHz x 1.1 (assumed: GeForce cards exceed it, DEVIATIONS 23)",
        ),
        cuda_macs=(
            ("fp32", Sourced(128, "128 CUDA cores a SM: 3584 of 28 (vortez.net GTX 1080 Ti)")),
            ("int8", Sourced(512, "DP4A, four products a lane: 44 TOPS of a Titan X Pascal (pcpop.com)")),
        ),
        shared_bytes=Sourced(98_304, "assumed: 96 KB a SM"),
        l2_bytes=Sourced(3_145_728, "vortez.net GTX 1080 Ti: the Titan X has 3096 KB"),
        l2_bytes_per_s=Sourced(1_207_000_000_000, "assumed: 25.6 bytes a cycle and SM, as V100"),
        dram_bytes_per_s=Sourced(480_000_000_000, "gamersnexus.net: 480 GB/s"),
        dram_attained=Sourced(0.82, "assumed: as Titan Xp"),
    )
)
