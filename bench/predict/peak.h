#ifndef RAMIFY_BENCH_PEAK_H
#define RAMIFY_BENCH_PEAK_H
/* float32 multiply-adds per second that one core does when nothing waits for memory: chains of
 * fused multiply-adds in registers, of the widest instructions that this processor has. More chains
 * than the units can hold in flight, so that throughput and not latency is measured. 0 where the
 * compiler knows no such instructions. *name says which were used. */
double peak_multiply_adds(const char **name);

#endif
