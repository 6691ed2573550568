// CPU features that programs find out about when they start, and use from then on (pure).

/** The rest of the flags is the kernel's own business. */
const VISIBLE =
  /^(3dnow|abm|adx|aes|amx_|avx|bmi|cldemote|clflushopt|clwb|clzero|cmov|cx16|cx8|enqcmd|erms|f16c|fma|fsgsbase|fsrm|fxsr|gfni|hle|lahf_lm|mmx|movbe|movdir|ospke|pclmulqdq|pku|popcnt|prefetchw|ptwrite|rdpid|rdrand|rdseed|rdtscp|rtm|serialize|sha_ni|sha512|sm3|sm4|sse|ssse3|tbm|user_shstk|vaes|vpclmulqdq|waitpkg|xop|xsave)/;

/** @param flags as in /proc/cpuinfo */
export function cpuFeatures(flags: readonly string[]): string[] {
  return flags.filter((flag) => VISIBLE.test(flag));
}
