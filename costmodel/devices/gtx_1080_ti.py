"""GeForce GTX 1080 Ti (GP102, Pascal): CUDA cores alone, int8 dot products, no fp16 worth the name."""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

GTX_1080_TI = server_gpu(
    ServerGpu(
        name="gtx-1080-ti",
        summary="NVIDIA GeForce GTX 1080 Ti: CUDA cores alone, int8 by DP4A",
        gemm_libraries=(("fp32", "cublas-8.0.88"), ("int8", "cublas-8.0.61")),
        conv_libraries=(("int8", "cudnn-6"),),
        sms=Sourced(28, "vortez.net GTX 1080 Ti: 28 SMs"),
        clock_hz=Sourced(
            1_740_000_000,
            "vortez.net: boost 1582 MHz x 1.1 (assumed: GeForce cards exceed it, DEVIATIONS 23)",
        ),
        cuda_macs=(
            ("fp32", Sourced(128, "128 CUDA cores a SM: 3584 of 28 (vortez.net GTX 1080 Ti)")),
            ("int8", Sourced(512, "DP4A, four products a lane: 44 TOPS of a Titan X Pascal (pcpop.com)")),
        ),
        shared_bytes=Sourced(98_304, "assumed: 96 KB a SM"),
        l2_bytes=Sourced(2_883_584, "vortez.net: 2816 KB"),
        l2_bytes_per_s=Sourced(1_247_000_000_000, "assumed: 25.6 bytes a cycle and SM, as V100"),
        dram_bytes_per_s=Sourced(484_000_000_000, "vortez.net: 484 GB/s"),
        dram_attained=Sourced(0.83, "FluidX3D README.md @01d3cddab641: 83 % attained"),
    )
)
