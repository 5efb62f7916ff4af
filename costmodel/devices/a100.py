"""A100 (40 GB PCIe, Ampere): tensor cores with dense, 2:4 and block-sparse kernels, CUDA cores for CSR and depthwise.

Left out: TF32 (fp32 runs on CUDA cores), Winograd, power limits, host time beyond one launch an operator.
"""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

_PAPER = "pmc.ncbi.nlm.nih.gov/articles/PMC10448217 table t0015"
_SHEET = "hmc-tech.com A100 SXM page"
_PCIE = "sysrqmts.com A100 PCIe"

A100 = server_gpu(
    ServerGpu(
        name="a100",
        summary="NVIDIA A100 40 GB PCIe: tensor cores dense and 2:4, block-sparse, CSR on CUDA cores",
        gemm_libraries=(("fp32", "cublas-10.1"), ("fp16", "cublas-10.1"), ("int8", "cublas-10.1")),
        sms=Sourced(108, f"{_PCIE}: 108 SMs"),
        clock_hz=Sourced(1_410_000_000, f"{_PAPER}: boost 1410 MHz"),
        cuda_macs=(
            ("fp32", Sourced(64, f"{_PCIE}: FP32 19.49 TFLOPS = 2 x 108 x 64 x 1.41 GHz")),
            ("fp16", Sourced(256, f"{_PCIE}: FP16 non-tensor 77.97 TFLOPS = 2 x 108 x 256 x 1.41 GHz")),
            ("int8", Sourced(256, "assumed: four products a lane, as DP4A")),
        ),
        tensor_macs=(
            ("fp16", Sourced(1024, f"{_SHEET}: FP16 tensor dense 311.87 TFLOPS = 2 x 108 x 1024 x 1.41 GHz")),
            ("int8", Sourced(2048, f"{_SHEET}: INT8 dense 623.74 TOPS = 2 x 108 x 2048 x 1.41 GHz")),
        ),
        two_of_four=("fp16", "int8"),
        shared_bytes=Sourced(167_936, f"{_PAPER}: 164 KB a SM"),
        l2_bytes=Sourced(41_943_040, f"{_PAPER}: 40 MB"),
        l2_bytes_per_s=Sourced(7_219_000_000_000, f"{_PAPER}: 7219 GB/s"),
        dram_bytes_per_s=Sourced(1_555_000_000_000, f"{_PAPER}: 1555 GB/s"),
        dram_attained=Sourced(0.84, "FluidX3D README.md @8986874e626e: 84 % attained (A100 PCIe 40 GB)"),
    )
)
