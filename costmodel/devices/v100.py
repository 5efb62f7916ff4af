"""Tesla V100 SXM2 (Volta), as in the DGX-1 of DeepBench: the first tensor cores, fp16 only."""

from costmodel.server_gpu import ServerGpu, Sourced, server_gpu

_PAPER = "pmc.ncbi.nlm.nih.gov/articles/PMC10448217 table t0015"

V100 = server_gpu(
    ServerGpu(
        name="v100",
        summary="NVIDIA V100 SXM2: tensor cores in fp16, block-sparse, CSR on CUDA cores",
        gemm_libraries=(("fp32", "cublas-10.1"), ("fp16", "cublas-10.1"), ("int8", "cublas-8.0.61")),
        conv_libraries=(("int8", "cudnn-6"),),
        sms=Sourced(80, "sysrqmts.com V100 PCIe: 80 SMs"),
        clock_hz=Sourced(1_530_000_000, f"{_PAPER}: boost 1530 MHz"),
        cuda_macs=(
            ("fp32", Sourced(64, "FluidX3D README.md @8986874e626e: 15.67 TFLOPS = 2 x 80 x 64 x 1.53 GHz")),
            ("fp16", Sourced(128, "sysrqmts.com V100 PCIe: FP16 28.26 TFLOPS, twice FP32")),
            ("int8", Sourced(256, "assumed: four products a lane, as DP4A")),
        ),
        tensor_macs=(("fp16", Sourced(512, "ozyphus.github.io: 125 TFLOPS = 2 x 80 x 512 x 1.53 GHz")),),
        shared_bytes=Sourced(98_304, f"{_PAPER}: 96 KB a SM"),
        l2_bytes=Sourced(6_291_456, f"{_PAPER}: 6 MB"),
        l2_bytes_per_s=Sourced(3_133_000_000_000, f"{_PAPER}: 3133 GB/s"),
        dram_bytes_per_s=Sourced(900_000_000_000, f"{_PAPER}: 900 GB/s"),
        dram_attained=Sourced(0.88, "FluidX3D README.md @01d3cddab641: 88 % (V100 PCIe 16 GB, FP32/FP16S)"),
    )
)
