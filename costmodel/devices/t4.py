"""Tesla T4 (TU104, Turing): tensor cores in fp16 and int8 within 70 W."""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

_PAGE = "sysrqmts.com/en/gpus/nvidia/tesla/t4"

T4 = server_gpu(
    ServerGpu(
        name="t4",
        summary="NVIDIA T4: tensor cores without 2:4, block-sparse, CSR on CUDA cores",
        gemm_libraries=(("fp32", "cublas-10.1"), ("fp16", "cublas-10.1"), ("int8", "cublas-10.1")),
        sms=Sourced(40, f"{_PAGE}: 40 SMs"),
        clock_hz=Sourced(1_590_000_000, f"{_PAGE}: boost 1590 MHz (under load 70 W allow less, DEVIATIONS 22)"),
        cuda_macs=(
            ("fp32", Sourced(64, f"{_PAGE}: 8.141 TFLOPS = 2 x 40 x 64 x 1.59 GHz")),
            ("fp16", Sourced(128, "fpsbench.com RTX 2080 Max-Q (TU104): FP16 at twice the rate of FP32")),
            ("int8", Sourced(256, "assumed: four products a lane, as DP4A")),
        ),
        tensor_macs=(
            ("fp16", Sourced(512, f"{_PAGE}: FP16 tensor 65.13 TFLOPS = 2 x 40 x 512 x 1.59 GHz")),
            ("int8", Sourced(1024, "assumed: twice the fp16 rate")),
        ),
        shared_bytes=Sourced(65_536, "assumed: 64 of 96 KB of L1 and shared memory"),
        l2_bytes=Sourced(4_194_304, f"{_PAGE}: 4 MB"),
        l2_bytes_per_s=Sourced(1_628_000_000_000, "assumed: 25.6 bytes a cycle and SM, as V100"),
        dram_bytes_per_s=Sourced(320_000_000_000, f"{_PAGE}: 320 GB/s (FluidX3D says 300)"),
        dram_attained=Sourced(0.69, "FluidX3D README.md @8986874e626e: 69 % (of 300 GB/s) attained"),
    )
)
