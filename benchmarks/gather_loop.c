/* The grants of gather_rate.py's random streams as a plain C loop: what a compiler makes of the counting alone. */
#include <stdint.h>

/* W = 1: cycles of all groups, each the most requests on one of 16 banks. */
int64_t lockstep(const int64_t *address, int64_t groups, int64_t lanes) {
    int64_t cycles = 0;
    for (int64_t g = 0; g < groups; g++) {
        uint8_t count[16] = {0}, most = 1;
        for (int64_t i = 0; i < lanes; i++) count[address[g * lanes + i] & 15]++;
        for (int b = 0; b < 16; b++) most = count[b] > most ? count[b] : most;
        cycles += most;
    }
    return cycles;
}

/* Out of order with a window of at most 64 groups, one port: 1 + the last grant. */
int64_t out_of_order(const int64_t *address, int64_t groups, int64_t lanes, int64_t window) {
    int64_t free_at[16] = {0}, from[64] = {0}, dispatch = 0, last = -1;
    for (int64_t g = 0; g < groups; g++) {
        dispatch = from[g % window] > dispatch ? from[g % window] : dispatch;
        for (int64_t i = 0; i < lanes; i++) {
            int64_t *bank = &free_at[address[g * lanes + i] & 15];
            int64_t at = *bank > dispatch ? *bank : dispatch;
            *bank = at + 1;
            last = at > last ? at : last;
        }
        from[g % window] = last + 1;
        dispatch++;
    }
    return last + 1;
}
