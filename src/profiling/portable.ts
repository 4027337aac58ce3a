/** Names of processors and levels that gcc builds AVX-512 for. */
const AVX512 =
  /^(x86-64-v4|znver[4-9]|skylake-avx512|cascadelake|cooperlake|cannonlake|icelake-\w+|rocketlake|tigerlake|sapphirerapids|emeraldrapids|graniterapids(-d)?|diamondrapids|knl|knm)$/;
const MARCH = /^-march=(.*)$/;
const WIDE = /^-m(avx512\S*|amx-\S+|prefer-vector-width=512)$/;

/** Whether code built with these flags here may hold instructions that the simulator does not know. */
export function needsPortable(flags: readonly string[], machine: ReadonlySet<string>): boolean {
  return flags.some((flag) => {
    const name = MARCH.exec(flag)?.[1];
    if (name === "native") return machine.has("avx512f");
    return WIDE.test(flag) || (name !== undefined && AVX512.test(name));
  });
}

/** The same flags for AVX2 and FMA: what every simulator of this class of machine can execute. */
export function portableFlags(flags: readonly string[]): string[] {
  const kept = flags.filter((flag) => !WIDE.test(flag) && !flag.startsWith("-mtune="));
  return kept.map((flag) => {
    const name = MARCH.exec(flag)?.[1];
    return name === "native" || (name !== undefined && AVX512.test(name)) ? "-march=x86-64-v3" : flag;
  });
}
