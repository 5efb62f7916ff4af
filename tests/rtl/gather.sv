// The gather unit: groups enter a window of at most `window`, their requests ask banks for words, words come to lanes.
// A group has a slot from its dispatch until the MAC array takes it; slots are a ring, so group number mod SLOTS names
// one. In one cycle: a group is dispatched and at once visible, banks grant from the oldest request to the youngest,
// the window moves over all groups that are granted. Granted words are in the slot at the end of the cycle; `latency`
// is the way from there to the array, a delay line of "this group is whole".
module gather
  import bank_map::*;
#(
    parameter int LANES = 8,
    parameter int BANKS = 8,
    parameter int WINDOW_MOST = 32,
    parameter int LATENCY_MOST = 32,
    parameter int SLOTS = 64,
    parameter int PORTS_MOST = 4,
    parameter int ADDRESS_BITS = 16,
    parameter int WORD_BITS = 32
) (
    input logic clk,
    input logic reset,
    input logic running,
    input fault_t fault,
    // held still while running
    input logic [7:0] window,
    input logic out_of_order,
    input logic coalesce,
    input logic hashed,
    input logic [7:0] ports,
    input logic [7:0] latency,
    input logic [15:0] interval_num,
    input logic [15:0] interval_den,
    // the next group, from the weight buffer
    input logic group_there,
    input logic [LANES-1:0] group_lanes,
    input logic [ADDRESS_BITS-1:0] group_address[LANES],
    output logic dispatch,
    output logic [$clog2(SLOTS)-1:0] dispatch_slot,
    // activation banks
    output logic read[BANKS][PORTS_MOST],
    output logic [ADDRESS_BITS-1:0] read_row[BANKS][PORTS_MOST],
    input logic [WORD_BITS-1:0] read_word[BANKS][PORTS_MOST],
    // to the MAC array, which takes a group in every cycle that one is there
    output logic whole,
    output logic [$clog2(SLOTS)-1:0] whole_slot,
    output logic [WORD_BITS-1:0] whole_word[LANES],
    // for the bench
    output logic [SLOTS-1:0] granted,
    output logic overflow
);

  localparam int SlotBits = $clog2(SLOTS);
  typedef logic [SlotBits:0] count_t;  // group numbers modulo twice the ring: differences are exact
  typedef logic [SlotBits-1:0] slot_t;

  count_t next, oldest, taken;  // groups dispatched, oldest group not fully granted, groups the array has taken
  count_t late_oldest;
  logic [16:0] credit;
  logic [LANES-1:0] pending[SLOTS];  // requests not granted yet
  logic [ADDRESS_BITS-1:0] address[SLOTS][LANES];
  logic [WORD_BITS-1:0] word[SLOTS][LANES];
  logic [SLOTS-1:0] delay[LATENCY_MOST];  // which groups became whole, by cycle mod LATENCY_MOST
  logic [$clog2(LATENCY_MOST)-1:0] now;
  logic [SLOTS-1:0] arrived;

  // Dispatch
  assign dispatch = running && group_there && 32'(count_t'(next - oldest)) < 32'(window) + 32'(fault == WINDOW_PLUS_ONE)
      && credit >= 17'(interval_num);
  assign dispatch_slot = slot_t'(next);

  logic [17:0] credit_gained, credit_limit;
  always_comb begin
    credit_gained = 18'(credit) - (dispatch ? 18'(interval_num) : 18'd0) + 18'(interval_den);
    credit_limit = 18'(interval_num) + 18'(interval_den) - 18'd1;
    if (fault == CREDIT_UNBOUNDED) credit_limit = 18'h1ffff;
  end

  // Grant. Position k in the window counts from the oldest group; the group dispatched in this cycle is the last.
  logic [31:0] live;
  logic [LANES-1:0] asking[WINDOW_MOST+1];
  logic [LANES-1:0] grant[WINDOW_MOST+1];
  logic [ADDRESS_BITS-1:0] port_address[BANKS][PORTS_MOST];
  logic [7:0] ports_used[BANKS];
  count_t retired;

  always_comb begin : arbitrate
    automatic logic [LANES-1:0] lane_has_asked;
    live = 32'(count_t'(next - oldest)) + 32'(dispatch);
    lane_has_asked = '0;
    for (int b = 0; b < BANKS; b++) begin
      ports_used[b] = '0;
      for (int p = 0; p < PORTS_MOST; p++) begin
        read[b][p] = 1'b0;
        port_address[b][p] = '0;
        read_row[b][p] = '0;
      end
    end
    for (int k = 0; k <= WINDOW_MOST; k++) begin
      asking[k] = '0;
      grant[k] = '0;
    end
    for (int k = 0; k <= WINDOW_MOST; k++) begin
      if (k >= live) break;
      asking[k] = (dispatch && k == live - 1) ? group_lanes : pending[slot_t'(32'(oldest) + k)];
    end
    for (int step = 0; step <= WINDOW_MOST; step++) begin
      automatic logic [31:0] k;
      automatic slot_t slot;
      automatic logic fresh;
      if (step >= live) break;
      k = fault == YOUNGEST_FIRST ? live - 1 - step : step;
      slot = slot_t'(32'(oldest) + k);
      fresh = dispatch && k == live - 1;
      if (fault == LATE_DISPATCH && fresh) break;
      for (int i = 0; i < LANES; i++) begin
        automatic int lane;
        lane = fault == HIGHEST_LANE_FIRST ? LANES - 1 - i : i;
        if (asking[k][lane] && (out_of_order || fault == LANE_OFFERS_ALL || !lane_has_asked[lane])) begin
          automatic logic [ADDRESS_BITS-1:0] asked;
          automatic logic [31:0] bank;
          automatic logic shared, served;
          lane_has_asked[lane] = 1'b1;
          asked = fresh ? group_address[lane] : address[slot][lane];
          bank = bank_of(32'(asked), BANKS, hashed && fault != HASH_IGNORED);
          shared = 1'b0;
          for (int p = 0; p < PORTS_MOST; p++) begin
            if (coalesce && read[bank][p] && port_address[bank][p] == asked) shared = 1'b1;
          end
          if (fault == LONE_COALESCING && ports_used[bank] == ports) shared = 1'b0;
          served = shared && fault != PAID_COALESCING;
          if (!served && ports_used[bank] < ports) begin
            served = !(fault == LOST_GRANT && ports_used[bank] == ports - 1 && now[0]);
            for (int p = 0; p < PORTS_MOST; p++) begin
              if (ports_used[bank] == 8'(p)) begin
                read[bank][p] = 1'b1;
                port_address[bank][p] = asked;
                read_row[bank][p] = ADDRESS_BITS'(row_of(32'(asked), BANKS));
              end
            end
            ports_used[bank] += 8'd1;
          end
          grant[k][lane] = served;
        end
      end
    end
  end

  // Retire
  always_comb begin : retire
    retired = oldest;
    granted = '0;
    for (int k = 0; k <= WINDOW_MOST; k++) begin
      if (k >= live) break;
      if (asking[k] != '0 && (asking[k] & ~grant[k]) == '0) granted[slot_t'(32'(oldest)+k)] = 1'b1;
    end
    for (int k = 0; k <= WINDOW_MOST; k++) begin
      if (k >= live || (asking[k] & ~grant[k]) != '0) break;
      if (fault != BATCH_RETIRE || k == live - 1) retired = oldest + count_t'(k + 1);
    end
  end

  // The way to the array
  logic [SLOTS-1:0] arriving;
  logic [7:0] way;
  assign way = latency - 8'(fault == WORD_A_CYCLE_EARLY && latency > 1);
  always_comb begin
    arriving = arrived | delay[$clog2(LATENCY_MOST)'(32'(now)-32'(way))];
    whole_slot = slot_t'(taken);
    whole = running && arriving[whole_slot];
  end
  for (genvar l = 0; l < LANES; l++) begin : g_words
    assign whole_word[l] = word[whole_slot][l];
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      next <= '0;
      oldest <= '0;
      late_oldest <= '0;
      taken <= '0;
      now <= '0;
      arrived <= '0;
      overflow <= 1'b0;
      credit <= fault == CREDIT_FROM_ZERO ? '0 : 17'(interval_num);
      for (int i = 0; i < LATENCY_MOST; i++) delay[i] <= '0;
      for (int s = 0; s < SLOTS; s++) pending[s] <= '0;
    end else if (running) begin
      now <= now + 1'b1;
      credit <= credit_gained > credit_limit ? 17'(credit_limit) : 17'(credit_gained);
      if (dispatch) begin
        next <= next + 1'b1;
        for (int l = 0; l < LANES; l++) address[dispatch_slot][l] <= group_address[l];
      end
      for (int k = 0; k <= WINDOW_MOST; k++) begin
        if (k >= live) break;
        pending[slot_t'(32'(oldest)+k)] <= asking[k] & ~grant[k];
        // a word goes to every lane whose request was served by the port that reads its address
        for (int l = 0; l < LANES; l++) begin
          if (grant[k][l] && !(fault == STALE_WORD && !(dispatch && k == live - 1))) begin
            automatic int from = (fault == SWAPPED_WORDS && (l ^ 1) < LANES && grant[k][l^1]) ? (l ^ 1) : l;
            automatic logic [ADDRESS_BITS-1:0] asked = (dispatch && k == live - 1)
                ? group_address[from] : address[slot_t'(32'(oldest)+k)][from];
            automatic logic [31:0] bank = bank_of(32'(asked), BANKS, hashed && fault != HASH_IGNORED);
            automatic logic [WORD_BITS-1:0] delivered = '0;
            for (int p = 0; p < PORTS_MOST; p++) begin
              if (read[bank][p] && port_address[bank][p] == asked && !(fault == LOST_WORD && p > 0)) begin
                delivered = read_word[bank][p];
              end
            end
            word[slot_t'(32'(oldest)+k)][l] <= delivered;
          end
        end
      end
      late_oldest <= retired;
      oldest <= fault == LATE_RETIRE ? late_oldest : retired;
      delay[now] <= granted;
      arrived <= arriving;
      if (whole) begin
        arrived[whole_slot] <= 1'b0;
        taken <= taken + 1'b1;
      end
      if (dispatch && count_t'(next - taken) >= count_t'(SLOTS)) overflow <= 1'b1;
    end
  end

endmodule
