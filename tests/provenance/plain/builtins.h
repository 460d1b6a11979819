/* builtins.h - what stands for the compiler's builtins that the analysis does not know. */
int region_lowest_bit(unsigned long long word);
#define __builtin_ctzll region_lowest_bit
