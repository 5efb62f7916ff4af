// A scratchpad: BANKS single-cycle memories of ROWS words, each with PORTS read and PORTS write ports.
// A word that no port was told to read is zero, so a grant that is lost cannot deliver. The host port fills and empties
// the memories before and after a run. Of two writes to one word in a cycle the higher port's stays.
module banks
  import bank_map::*;
#(
    parameter int BANKS = 8,
    parameter int ROWS = 512,
    parameter int PORTS = 4,
    parameter int WORD_BITS = 32,
    parameter int ADDRESS_BITS = 16
) (
    input logic clk,
    input logic hashed,
    input logic read[BANKS][PORTS],
    input logic [ADDRESS_BITS-1:0] read_row[BANKS][PORTS],
    output logic [WORD_BITS-1:0] read_word[BANKS][PORTS],
    input logic write[BANKS][PORTS],
    input logic [ADDRESS_BITS-1:0] write_row[BANKS][PORTS],
    input logic [WORD_BITS-1:0] write_word[BANKS][PORTS],
    input logic host_write,
    input logic [ADDRESS_BITS-1:0] host_address,
    input logic [WORD_BITS-1:0] host_word,
    output logic [WORD_BITS-1:0] host_read_word
);

  localparam int RowBits = $clog2(ROWS);
  logic [WORD_BITS-1:0] memory[BANKS][ROWS];

  always_comb begin
    for (int b = 0; b < BANKS; b++) begin
      for (int p = 0; p < PORTS; p++) begin
        read_word[b][p] = read[b][p] ? memory[b][RowBits'(read_row[b][p])] : '0;
      end
    end
  end

  logic [31:0] host_bank, host_row;
  assign host_bank = bank_of(32'(host_address), BANKS, hashed);
  assign host_row = row_of(32'(host_address), BANKS);
  assign host_read_word = memory[host_bank][RowBits'(host_row)];

  always_ff @(posedge clk) begin
    for (int b = 0; b < BANKS; b++) begin
      for (int p = 0; p < PORTS; p++) begin
        if (write[b][p]) memory[b][RowBits'(write_row[b][p])] <= write_word[b][p];
      end
    end
    if (host_write) memory[host_bank][RowBits'(host_row)] <= host_word;
  end

endmodule
