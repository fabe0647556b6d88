"""AMD GPUs: what the kernel and ROCm's tools say of them."""
