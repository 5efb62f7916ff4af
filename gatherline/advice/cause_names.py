"""What each reason is called in a sentence, in the order in which they are asked (ADR 0028). Imports nothing."""

CAUSE_NAMES = {
    "no_kernel": "no kernel on this device",
    "below_break_even": "denser than break-even",
    "index_bytes": "index bytes dominate",
    "load_imbalance": "load imbalance",
    "padding": "padding",
    "overhead": "launch and dispatch overhead",
    "dram_activations": "DRAM-bound by activations",
    "bank_conflicts": "bank conflicts",
    "none": "none of the reasons below",
}
