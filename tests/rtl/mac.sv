// The MAC array: takes one whole group a cycle, multiplies each lane's word (VECTOR elements) with the lane's weight
// and adds the products into the sum that the lane's `target` names. After a bundle's last group the sums leave, to come
// out `latency` cycles later. Weights wait in the group's slot from its dispatch on. Arithmetic is exact modulo 2^32.
module mac
  import bank_map::*;
#(
    parameter int LANES = 8,
    parameter int SLOTS = 64,
    parameter int SUMS = 16,
    parameter int VECTOR = 2,
    parameter int LATENCY_MOST = 32
) (
    input logic clk,
    input logic reset,
    input logic running,
    input fault_t fault,
    input logic [7:0] latency,
    // with a group's dispatch
    input logic dispatch,
    input logic [$clog2(SLOTS)-1:0] dispatch_slot,
    input logic [LANES-1:0] group_lanes,
    input logic signed [15:0] group_weight[LANES],
    input logic [$clog2(SUMS)-1:0] group_target[LANES],
    input logic group_last,
    // the words of the oldest group, once whole
    input logic whole,
    input logic [$clog2(SLOTS)-1:0] whole_slot,
    input logic [VECTOR*16-1:0] whole_word[LANES],
    // sums of a bundle
    output logic result_there,
    output logic [SUMS*VECTOR*32-1:0] result
);

  localparam int TimeBits = $clog2(LATENCY_MOST);

  logic [LANES-1:0] lanes[SLOTS];
  logic signed [15:0] weight[SLOTS][LANES];
  logic [$clog2(SUMS)-1:0] target[SLOTS][LANES];
  logic [SLOTS-1:0] last;

  logic [31:0] sum[SUMS*VECTOR];
  logic [31:0] added[SUMS*VECTOR];
  logic [LATENCY_MOST-1:0] line_there;  // by cycle mod LATENCY_MOST
  logic [SUMS*VECTOR*32-1:0] line[LATENCY_MOST];
  logic [SUMS*VECTOR*32-1:0] leaving;
  logic [TimeBits-1:0] now, due;
  logic ends;

  assign ends = whole && last[whole_slot];
  assign due = TimeBits'(32'(now) - 32'(latency) - 32'(fault == RESULT_LATE));
  assign result_there = running && line_there[due];
  assign result = line[due];

  always_comb begin : multiply_and_reduce
    for (int i = 0; i < SUMS * VECTOR; i++) added[i] = sum[i];
    if (whole && !(fault == LAST_GROUP_DROPPED && last[whole_slot])) begin
      for (int l = 0; l < LANES; l++) begin
        if (lanes[whole_slot][l]) begin
          for (int v = 0; v < VECTOR; v++) begin
            automatic logic signed [15:0] element;
            element = whole_word[l][v*16+:16];
            added[32'(target[whole_slot][l])*VECTOR+v] += 32'(weight[whole_slot][l]) * 32'(element);
          end
        end
      end
    end
    for (int i = 0; i < SUMS * VECTOR; i++) leaving[i*32+:32] = added[i];
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      now <= '0;
      line_there <= '0;
      for (int i = 0; i < SUMS * VECTOR; i++) sum[i] <= '0;
    end else if (running) begin
      now <= now + 1'b1;
      if (dispatch) begin
        lanes[dispatch_slot] <= group_lanes;
        last[dispatch_slot] <= group_last;
        for (int l = 0; l < LANES; l++) begin
          weight[dispatch_slot][l] <= group_weight[l];
          target[dispatch_slot][l] <= group_target[l];
        end
      end
      if (whole) begin
        for (int i = 0; i < SUMS * VECTOR; i++) sum[i] <= (ends && fault != SUM_KEPT) ? '0 : added[i];
      end
      line_there[now] <= ends;
      if (ends) line[now] <= leaving;
    end
  end

endmodule
