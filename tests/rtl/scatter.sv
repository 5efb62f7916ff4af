// The scatter unit: adds a bundle's sums to the words of its output addresses, bundles in order, one at a time.
// A bundle is taken in rounds, as a window of one group would be: in a round each bank reads up to `ports` words, adds,
// and writes them back, which takes `rmw_cycles`; the round reads in its first cycle and writes in its last. A bundle
// without addresses takes one round. Bundles queue: addresses from the dispatch of their last group, sums from the array.
module scatter
  import bank_map::*;
#(
    parameter int BANKS = 8,
    parameter int PORTS_MOST = 4,
    parameter int SUMS = 16,
    parameter int VECTOR = 2,
    parameter int ADDRESS_BITS = 16,
    parameter int QUEUE = 8192
) (
    input logic clk,
    input logic reset,
    input logic running,
    input fault_t fault,
    input logic hashed,
    input logic [7:0] ports,
    input logic [7:0] rmw_cycles,
    // a bundle's addresses, with the dispatch of its last group
    input logic list_there,
    input logic [$clog2(SUMS):0] list_count,
    input logic [SUMS*ADDRESS_BITS-1:0] list,
    // its sums
    input logic result_there,
    input logic [SUMS*VECTOR*32-1:0] result,
    // output banks
    output logic read[BANKS][PORTS_MOST],
    output logic [ADDRESS_BITS-1:0] read_row[BANKS][PORTS_MOST],
    input logic [VECTOR*32-1:0] read_word[BANKS][PORTS_MOST],
    output logic write[BANKS][PORTS_MOST],
    output logic [ADDRESS_BITS-1:0] write_row[BANKS][PORTS_MOST],
    output logic [VECTOR*32-1:0] write_word[BANKS][PORTS_MOST],
    // for the bench: the first and the last cycle of a bundle
    output logic begins,
    output logic finishes,
    output logic overflow
);

  localparam int IndexBits = $clog2(QUEUE);
  typedef logic [IndexBits:0] count_t;
  typedef logic [IndexBits-1:0] index_t;
  typedef logic [VECTOR*32-1:0] word_t;

  logic [SUMS*ADDRESS_BITS-1:0] lists[QUEUE];
  logic [$clog2(SUMS):0] counts[QUEUE];
  logic [SUMS*VECTOR*32-1:0] sums[QUEUE];
  count_t lists_in, sums_in, done;  // bundles

  logic busy, resting;
  logic [7:0] phase;  // cycle of the round
  logic [SUMS-1:0] left;  // addresses that no round has taken yet

  logic held[BANKS][PORTS_MOST];  // what the round read, added up, for its last cycle
  logic [ADDRESS_BITS-1:0] held_row[BANKS][PORTS_MOST];
  word_t held_word[BANKS][PORTS_MOST];

  logic [SUMS*ADDRESS_BITS-1:0] head_list;
  logic [SUMS*VECTOR*32-1:0] head_sums;
  logic [$clog2(SUMS):0] head_count;
  assign head_list = lists[index_t'(done)];
  assign head_count = counts[index_t'(done)];
  assign head_sums = sums_in == done ? result : sums[index_t'(done)];  // straight through an empty queue

  logic opens, closes;  // first and last cycle of a round
  logic [7:0] cycles;
  assign begins = running && !busy && !resting && (sums_in != done || result_there);
  assign opens = begins || (busy && phase == 0);
  assign cycles = (fault == ROUND_SHORT && rmw_cycles > 1) || (fault == EMPTY_FREE && head_count == 0)
      ? rmw_cycles - 8'(rmw_cycles > 1) : rmw_cycles;
  assign closes = (begins || busy) && (begins ? 8'd0 : phase) == cycles - 1;

  // The round's accesses, lowest first; those to one word through two ports of a bank add up.
  logic [SUMS-1:0] after;
  word_t add[BANKS][PORTS_MOST];
  always_comb begin : pick
    automatic logic [SUMS-1:0] waiting;
    automatic logic [7:0] ports_used[BANKS];
    waiting = begins ? SUMS'((32'd1 << head_count) - 32'd1) : left;
    after = waiting;
    for (int b = 0; b < BANKS; b++) begin
      ports_used[b] = '0;
      for (int p = 0; p < PORTS_MOST; p++) begin
        read[b][p] = 1'b0;
        read_row[b][p] = '0;
        add[b][p] = '0;
      end
    end
    if (opens) begin
      for (int i = 0; i < SUMS; i++) begin
        if (waiting[i]) begin
          automatic logic [ADDRESS_BITS-1:0] at;
          automatic logic [31:0] bank;
          automatic logic [ADDRESS_BITS-1:0] row;
          automatic word_t total;
          automatic logic merged;
          at = head_list[i*ADDRESS_BITS+:ADDRESS_BITS];
          bank = bank_of(32'(at), BANKS, hashed);
          row = ADDRESS_BITS'(row_of(32'(at), BANKS));
          total = head_sums[i*VECTOR*32+:VECTOR*32];
          merged = 1'b0;
          for (int p = 0; p < PORTS_MOST; p++) begin
            if (read[bank][p] && read_row[bank][p] == row && fault == EQUAL_SUMS_MERGED) begin
              merged = 1'b1;
              for (int v = 0; v < VECTOR; v++) add[bank][p][v*32+:32] += total[v*32+:32];
            end
          end
          if (merged) after[i] = 1'b0;
          else if (ports_used[bank] < ports) begin
            for (int p = PORTS_MOST - 1; p >= 0; p--) begin  // the newest of equal rows holds the sum of all
              if (8'(p) < ports_used[bank] && read_row[bank][p] == row && fault != STALE_SUM) begin
                for (int v = 0; v < VECTOR; v++) total[v*32+:32] += add[bank][p][v*32+:32];
                break;
              end
            end
            for (int p = 0; p < PORTS_MOST; p++) begin
              if (ports_used[bank] == 8'(p)) begin
                read[bank][p] = 1'b1;
                read_row[bank][p] = row;
                add[bank][p] = total;
              end
            end
            ports_used[bank] += 8'd1;
            after[i] = 1'b0;
          end
        end
      end
    end
  end
  assign finishes = closes && (opens ? after : left) == '0;

  // Modify, and write in the round's last cycle.
  word_t fresh[BANKS][PORTS_MOST];
  always_comb begin : modify
    for (int b = 0; b < BANKS; b++) begin
      for (int p = 0; p < PORTS_MOST; p++) begin
        fresh[b][p] = add[b][p];
        if (read[b][p] && fault != OVERWRITE) begin
          for (int v = 0; v < VECTOR; v++) fresh[b][p][v*32+:32] += read_word[b][p][v*32+:32];
        end
        write[b][p] = closes && (opens ? read[b][p] : held[b][p]);
        write_row[b][p] = opens ? read_row[b][p] : held_row[b][p];
        write_word[b][p] = opens ? fresh[b][p] : held_word[b][p];
      end
    end
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      lists_in <= '0;
      sums_in <= '0;
      done <= '0;
      busy <= 1'b0;
      resting <= 1'b0;
      phase <= '0;
      left <= '0;
      overflow <= 1'b0;
    end else if (running) begin
      if (list_there) begin
        lists[index_t'(lists_in)] <= list;
        counts[index_t'(lists_in)] <= list_count;
        lists_in <= lists_in + 1'b1;
        if (count_t'(lists_in - done) >= count_t'(QUEUE)) overflow <= 1'b1;
      end
      if (result_there) begin
        sums[index_t'(sums_in)] <= result;
        sums_in <= sums_in + 1'b1;
      end
      resting <= finishes && fault == IDLE_BETWEEN;
      if (begins || busy) begin
        busy <= !finishes;
        phase <= closes ? '0 : (begins ? 8'd0 : phase) + 8'd1;
        if (opens) begin
          left <= after;
          for (int b = 0; b < BANKS; b++) begin
            for (int p = 0; p < PORTS_MOST; p++) begin
              held[b][p] <= read[b][p];
              held_row[b][p] <= read_row[b][p];
              held_word[b][p] <= fresh[b][p];
            end
          end
        end
        if (finishes) done <= done + 1'b1;
      end
    end
  end

endmodule
