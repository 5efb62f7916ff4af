// Where a word lies: which of B banks, and which row of it. Both scratchpads share the map.
package bank_map;

  // address mod B, or, with the hash, its two lowest base-B digits xored (B is then a power of two)
  function automatic int unsigned bank_of(input int unsigned address, input int unsigned banks, input logic hashed);
    return hashed ? (address % banks) ^ ((address / banks) % banks) : address % banks;
  endfunction

  function automatic int unsigned row_of(input int unsigned address, input int unsigned banks);
    return address / banks;
  endfunction

  // Faults that a run may plant, one at a time: each must be seen by the cycles or by the data.
  typedef enum logic [7:0] {
    SOUND,                 // none
    YOUNGEST_FIRST,        // gather: the youngest group has priority
    HIGHEST_LANE_FIRST,    // gather: the highest lane of a group has priority
    LATE_RETIRE,           // gather: the oldest group is known a cycle late
    BATCH_RETIRE,          // gather: groups retire only when the whole window is granted
    LATE_DISPATCH,         // gather: a group's requests become visible a cycle after its dispatch
    LOST_GRANT,            // gather: a grant on the last port is lost, the lane asks again
    LOST_WORD,             // gather: a word read through a second or later port never reaches its lane
    SWAPPED_WORDS,         // gather: two neighbouring lanes granted together get each other's word
    STALE_WORD,            // gather: a lane that waited gets the word that its slot held before
    LANE_OFFERS_ALL,       // gather: in_order is ignored
    WINDOW_PLUS_ONE,       // gather: one group too many is visible
    CREDIT_UNBOUNDED,      // gather: credit is kept without a limit
    CREDIT_FROM_ZERO,      // gather: the first group waits for credit
    PAID_COALESCING,       // gather: a coalesced request takes a port
    LONE_COALESCING,       // gather: coalescing stops when the ports are used up
    HASH_IGNORED,          // gather: arbitration by the plain remainder
    WORD_A_CYCLE_EARLY,    // gather: latency is one cycle less
    SUM_KEPT,              // mac: sums are not cleared after a bundle
    LAST_GROUP_DROPPED,    // mac: a bundle's last group misses the sums
    RESULT_LATE,           // mac: latency is one cycle more
    EQUAL_SUMS_MERGED,     // scatter: equal addresses cost one access
    STALE_SUM,             // scatter: equal addresses through two ports overwrite each other
    OVERWRITE,             // scatter: sums are written, not added
    ROUND_SHORT,           // scatter: a read-modify-write takes one cycle less
    EMPTY_FREE,            // scatter: a bundle without addresses takes less than a round
    IDLE_BETWEEN           // scatter: one idle cycle after a bundle
  } fault_t;

endpackage
