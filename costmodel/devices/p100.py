"""Tesla P100 PCIe (GP100, Pascal): CUDA cores alone, fp16 at twice the rate, no int8 dot product."""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

_COMPARED = "sysrqmts.com P100 PCIe 16 GB"

P100 = server_gpu(
    ServerGpu(
        name="p100",
        summary="NVIDIA P100 PCIe: CUDA cores alone, fp16 at twice the rate of fp32",
        gemm_libraries=(("fp32", "cublas-8.0.88"), ("fp16", "cublas-8.0.88")),
        sms=Sourced(56, f"{_COMPARED}: 3584 units of 64 a SM (beyond3d.com Pascal announcement)"),
        clock_hz=Sourced(1_329_000_000, f"{_COMPARED}: boost 1329 MHz"),
        cuda_macs=(
            ("fp32", Sourced(64, f"{_COMPARED}: 9.526 TFLOPS = 2 x 56 x 64 x 1.329 GHz")),
            ("fp16", Sourced(128, f"{_COMPARED}: FP16 19.05 TFLOPS, twice FP32")),
        ),
        shared_bytes=Sourced(65_536, "assumed: 64 KB a SM"),
        l2_bytes=Sourced(4_194_304, f"{_COMPARED}: 4 MB"),
        l2_bytes_per_s=Sourced(1_905_000_000_000, "assumed: 25.6 bytes a cycle and SM, as V100"),
        dram_bytes_per_s=Sourced(732_000_000_000, f"{_COMPARED}: 732.2 GB/s"),
        dram_attained=Sourced(0.69, "FluidX3D README.md @01d3cddab641: 69 % attained"),
    )
)
