// The whole machine: a short queue of groups (the front of the weight buffer), gather unit, activation banks, MAC array,
// scatter unit, output banks. LANES, BANKS and the limits are fixed in a build; everything else is a register that
// `configure` sets. Cycle 0 is the first cycle with `running` set; the bench keeps the queue filled.
module machine
  import bank_map::*;
#(
    parameter int LANES = 8,
    parameter int BANKS = 8,
    parameter int WINDOW_MOST = 32,
    parameter int LATENCY_MOST = 32,
    parameter int PORTS_MOST = 4,
    parameter int WORDS = 4096,
    parameter int SUMS = 16,
    parameter int VECTOR = 2,
    parameter int QUEUE = 8192
) (
    input logic clk,
    input logic reset,
    input logic configure,
    input logic [7:0] set_fault,
    input logic [7:0] set_window,
    input logic set_out_of_order,
    input logic set_coalesce,
    input logic set_hashed,
    input logic [7:0] set_ports,
    input logic [7:0] set_latency,
    input logic [15:0] set_interval_num,
    input logic [15:0] set_interval_den,
    input logic [7:0] set_mac_latency,
    input logic [7:0] set_scatter_ports,
    input logic [7:0] set_rmw_cycles,
    input logic go,
    // groups in
    output logic push_ready,
    input logic push,
    input logic [LANES-1:0] push_lanes,
    input logic [15:0] push_address[LANES],
    input logic signed [15:0] push_weight[LANES],
    input logic [$clog2(SUMS)-1:0] push_target[LANES],
    input logic push_last,
    input logic [$clog2(SUMS):0] push_count,
    input logic [SUMS*16-1:0] push_list,
    // memories in and out, while not running
    input logic load_activation,
    input logic load_output,
    input logic [15:0] host_address,
    input logic [VECTOR*16-1:0] host_activation,
    input logic [VECTOR*32-1:0] host_output,
    output logic [VECTOR*32-1:0] host_output_word,
    // what happened in this cycle
    output logic dispatched,
    output logic [2*(WINDOW_MOST > LATENCY_MOST ? WINDOW_MOST : LATENCY_MOST)-1:0] granted,
    output logic consumed,
    output logic begins,
    output logic finishes,
    output logic overflow
);

  // a slot is busy from dispatch until the array takes the group: at most window + latency at a time
  localparam int Slots = 2 * (WINDOW_MOST > LATENCY_MOST ? WINDOW_MOST : LATENCY_MOST);
  localparam int Rows = (WORDS + BANKS - 1) / BANKS;

  fault_t fault;
  logic running, out_of_order, coalesce, hashed;
  logic [7:0] window, ports, latency, mac_latency, scatter_ports, rmw_cycles;
  logic [15:0] interval_num, interval_den;

  always_ff @(posedge clk) begin
    running <= go && !reset;
    if (configure) begin
      fault <= fault_t'(set_fault);
      window <= set_window;
      out_of_order <= set_out_of_order;
      coalesce <= set_coalesce;
      hashed <= set_hashed;
      ports <= set_ports;
      latency <= set_latency;
      interval_num <= set_interval_num;
      interval_den <= set_interval_den;
      mac_latency <= set_mac_latency;
      scatter_ports <= set_scatter_ports;
      rmw_cycles <= set_rmw_cycles;
    end
  end

  // Queue of groups: four, of which one leaves and one enters in a cycle.
  logic [2:0] pushed, popped;
  logic [LANES-1:0] lanes[4];
  logic [15:0] address[4][LANES];
  logic signed [15:0] weight[4][LANES];
  logic [$clog2(SUMS)-1:0] target[4][LANES];
  logic last[4];
  logic [$clog2(SUMS):0] count[4];
  logic [SUMS*16-1:0] list[4];
  logic [1:0] front;
  logic group_there;

  assign front = popped[1:0];
  assign group_there = pushed != popped;
  assign push_ready = 3'(pushed - popped) != 3'd4;

  always_ff @(posedge clk) begin
    if (reset) begin
      pushed <= '0;
      popped <= '0;
    end else begin
      if (push) begin
        pushed <= pushed + 1'b1;
        lanes[pushed[1:0]] <= push_lanes;
        last[pushed[1:0]] <= push_last;
        count[pushed[1:0]] <= push_count;
        list[pushed[1:0]] <= push_list;
        for (int l = 0; l < LANES; l++) begin
          address[pushed[1:0]][l] <= push_address[l];
          weight[pushed[1:0]][l] <= push_weight[l];
          target[pushed[1:0]][l] <= push_target[l];
        end
      end
      if (dispatched) popped <= popped + 1'b1;
    end
  end

  logic [LANES-1:0] group_lanes;
  logic [15:0] group_address[LANES];
  logic signed [15:0] group_weight[LANES];
  logic [$clog2(SUMS)-1:0] group_target[LANES];
  logic group_last;
  assign group_lanes = lanes[front];
  assign group_last = last[front];
  for (genvar l = 0; l < LANES; l++) begin : g_front
    assign group_address[l] = address[front][l];
    assign group_weight[l] = weight[front][l];
    assign group_target[l] = target[front][l];
  end

  logic act_read[BANKS][PORTS_MOST], out_read[BANKS][PORTS_MOST], out_write[BANKS][PORTS_MOST];
  logic act_write[BANKS][PORTS_MOST];
  logic [15:0] act_row[BANKS][PORTS_MOST], out_read_row[BANKS][PORTS_MOST], out_write_row[BANKS][PORTS_MOST];
  logic [15:0] act_write_row[BANKS][PORTS_MOST];
  logic [VECTOR*16-1:0] act_word[BANKS][PORTS_MOST], act_write_word[BANKS][PORTS_MOST], act_host_word;
  logic [VECTOR*32-1:0] out_word[BANKS][PORTS_MOST], out_write_word[BANKS][PORTS_MOST];
  for (genvar b = 0; b < BANKS; b++) begin : g_bank
    for (genvar p = 0; p < PORTS_MOST; p++) begin : g_port
      assign act_write[b][p] = 1'b0;  // only the host fills the activation scratchpad
      assign act_write_row[b][p] = '0;
      assign act_write_word[b][p] = '0;
    end
  end

  banks #(
      .BANKS(BANKS), .ROWS(Rows), .PORTS(PORTS_MOST), .WORD_BITS(VECTOR * 16), .ADDRESS_BITS(16)
  ) activation (
      .clk, .hashed,
      .read(act_read), .read_row(act_row), .read_word(act_word),
      .write(act_write), .write_row(act_write_row), .write_word(act_write_word),
      .host_write(load_activation), .host_address, .host_word(host_activation), .host_read_word(act_host_word)
  );

  banks #(
      .BANKS(BANKS), .ROWS(Rows), .PORTS(PORTS_MOST), .WORD_BITS(VECTOR * 32), .ADDRESS_BITS(16)
  ) sums (
      .clk, .hashed,
      .read(out_read), .read_row(out_read_row), .read_word(out_word),
      .write(out_write), .write_row(out_write_row), .write_word(out_write_word),
      .host_write(load_output), .host_address, .host_word(host_output), .host_read_word(host_output_word)
  );

  logic [$clog2(Slots)-1:0] dispatch_slot, whole_slot;
  logic [VECTOR*16-1:0] whole_word[LANES];
  logic gather_overflow, scatter_overflow, result_there;
  logic [SUMS*VECTOR*32-1:0] result;

  gather #(
      .LANES(LANES), .BANKS(BANKS), .WINDOW_MOST(WINDOW_MOST), .LATENCY_MOST(LATENCY_MOST), .SLOTS(Slots),
      .PORTS_MOST(PORTS_MOST), .ADDRESS_BITS(16), .WORD_BITS(VECTOR * 16)
  ) gather_unit (
      .clk, .reset, .running, .fault,
      .window, .out_of_order, .coalesce, .hashed, .ports, .latency, .interval_num, .interval_den,
      .group_there, .group_lanes, .group_address, .dispatch(dispatched), .dispatch_slot,
      .read(act_read), .read_row(act_row), .read_word(act_word),
      .whole(consumed), .whole_slot, .whole_word, .granted, .overflow(gather_overflow)
  );

  mac #(
      .LANES(LANES), .SLOTS(Slots), .SUMS(SUMS), .VECTOR(VECTOR), .LATENCY_MOST(LATENCY_MOST)
  ) mac_array (
      .clk, .reset, .running, .fault, .latency(mac_latency),
      .dispatch(dispatched), .dispatch_slot, .group_lanes, .group_weight, .group_target, .group_last,
      .whole(consumed), .whole_slot, .whole_word, .result_there, .result
  );

  scatter #(
      .BANKS(BANKS), .PORTS_MOST(PORTS_MOST), .SUMS(SUMS), .VECTOR(VECTOR), .ADDRESS_BITS(16), .QUEUE(QUEUE)
  ) scatter_unit (
      .clk, .reset, .running, .fault, .hashed, .ports(scatter_ports), .rmw_cycles,
      .list_there(dispatched && group_last), .list_count(count[front]), .list(list[front]),
      .result_there, .result,
      .read(out_read), .read_row(out_read_row), .read_word(out_word),
      .write(out_write), .write_row(out_write_row), .write_word(out_write_word),
      .begins, .finishes, .overflow(scatter_overflow)
  );

  assign overflow = gather_overflow || scatter_overflow;

  logic unused;
  assign unused = &{1'b0, act_host_word};

endmodule
