# `make test INSTRUCTIONS=avx2`: the libraries choose what they would on a processor with AVX2 and without AVX-512.
# docs/processors.md says what each library does with these, and what cannot be lowered.
export NPY_DISABLE_CPU_FEATURES := X86_V4 AVX512_ICL AVX512_SPR
export OPENBLAS_CORETYPE := Haswell
export ONEDNN_MAX_CPU_ISA := AVX2
export ARROW_USER_SIMD_LEVEL := AVX2
export FAISS_OPT_LEVEL := avx2
export GLIBC_TUNABLES := glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD
