"""The GPU of the Jetson AGX Orin 64 GB (GA10B, Ampere); its CPU is the device ``jetson-agx-orin``.

No dense product of it was compared (DEVIATIONS 22).
"""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

_BRIEF = "mzph.cn/web/30785.shtml (quotes NVIDIA's technical brief)"

JETSON_AGX_ORIN_GPU = server_gpu(
    ServerGpu(
        name="jetson-agx-orin-gpu",
        summary="NVIDIA Jetson AGX Orin 64 GB, its GPU: tensor cores dense and 2:4, block-sparse, CSR on CUDA cores",
        gemm_libraries=(("fp32", "cublas-10.1"), ("fp16", "cublas-10.1"), ("int8", "cublas-10.1")),
        sms=Sourced(16, f"{_BRIEF}: 16 SMs"),
        clock_hz=Sourced(1_300_000_000, "Tencent/ncnn benchmark/README.md: Ampere at 1.3 GHz"),
        cuda_macs=(
            ("fp32", Sourced(128, f"{_BRIEF}: 5.3 TFLOPS = 2 x 16 x 128 x 1.3 GHz")),
            ("fp16", Sourced(256, "assumed: twice the rate of fp32")),
            ("int8", Sourced(256, "assumed: four products on half of the lanes, as DP4A")),
        ),
        tensor_macs=(
            ("fp16", Sourced(1024, "assumed: half of the int8 rate")),
            ("int8", Sourced(2048, f"{_BRIEF}: INT8 2:4 170 TOPS = 2 x 2 x 16 x 2048 x 1.3 GHz")),
        ),
        two_of_four=("fp16", "int8"),
        shared_bytes=Sourced(167_936, "deviceQuery of an Orin NX (gist of atinfinity): 167,936 bytes a SM"),
        l2_bytes=Sourced(4_194_304, f"{_BRIEF}: 4 MB"),
        l2_bytes_per_s=Sourced(532_000_000_000, "assumed: 25.6 bytes a cycle and SM, as V100"),
        dram_bytes_per_s=Sourced(204_800_000_000, "assumed: 256 bits of LPDDR5-6400"),
        dram_attained=Sourced(0.75, "assumed: three quarters"),
    )
)
