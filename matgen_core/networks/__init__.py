"""Networks, their arrays and how they learn: torch, numpy and safetensors alone, for bare GPU machines too."""
