// Drives the machine through the runs of a trace file and writes what it did. No rule of the machine is known here.
// Usage: bench TRACE RESULT. Both are little-endian 32-bit integers, run after run; see trace_file.py for the order.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "Vmachine.h"
#include "verilated.h"

using Ints = std::vector<int32_t>;

[[noreturn]] static void fail(const std::string& text) {
    std::fprintf(stderr, "bench: %s\n", text.c_str());
    std::exit(2);
}

class Reader {
public:
    explicit Reader(const char* path) : file_(path, std::ios::binary) {
        if (!file_) fail(std::string(path) + " cannot be read");
    }
    bool ended() { return file_.peek() == EOF; }
    Ints take(size_t count) {
        Ints values(count);
        file_.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(int32_t)));
        if (!file_) fail("the trace ends inside a run");
        return values;
    }

private:
    std::ifstream file_;
};

struct Run {
    enum Field {
        GROUPS, REQUESTS, BUNDLES, OUTPUTS, WORDS, MOST_CYCLES, FAULT, WINDOW, OUT_OF_ORDER, COALESCE, HASHED, PORTS,
        LATENCY, INTERVAL_NUM, INTERVAL_DEN, MAC_LATENCY, SCATTER_PORTS, RMW_CYCLES, FIELDS
    };
    Ints field, group_ptr, lane, address, weight, target, bundle_end, scatter_ptr, scatter_address, activation, output;

    explicit Run(Reader& in) : field(in.take(FIELDS)) {
        group_ptr = in.take(field[GROUPS] + 1);
        lane = in.take(field[REQUESTS]);
        address = in.take(field[REQUESTS]);
        weight = in.take(field[REQUESTS]);
        target = in.take(field[REQUESTS]);
        bundle_end = in.take(field[BUNDLES]);
        scatter_ptr = in.take(field[BUNDLES] + 1);
        scatter_address = in.take(field[OUTPUTS]);
        activation = in.take(static_cast<size_t>(field[WORDS]) * VECTOR);
        output = in.take(static_cast<size_t>(field[WORDS]) * VECTOR);
    }
};

struct Outcome {
    int32_t cycles = 0, overflow = 0, finished = 0;
    Ints granted, consumed, start, end, output;
};

class Bench {
public:
    Bench() {
        context_.randReset(2);  // registers wake up with random bits: a missing reset shows
        context_.randSeed(1);
        top_ = std::make_unique<Vmachine>(&context_);
        top_->clk = 0;
        top_->eval();
    }
    ~Bench() { top_->final(); }

    Outcome play(const Run& run) {
        configure(run);
        load(run);
        Outcome out = step(run);
        unload(run, out);
        return out;
    }

private:
    VerilatedContext context_;
    std::unique_ptr<Vmachine> top_;

    void tick() {
        top_->clk = 1;
        top_->eval();
        top_->clk = 0;
        top_->eval();
    }

    void configure(const Run& run) {
        top_->go = top_->push = top_->load_activation = top_->load_output = 0;
        top_->set_fault = run.field[Run::FAULT];
        top_->set_window = run.field[Run::WINDOW];
        top_->set_out_of_order = run.field[Run::OUT_OF_ORDER];
        top_->set_coalesce = run.field[Run::COALESCE];
        top_->set_hashed = run.field[Run::HASHED];
        top_->set_ports = run.field[Run::PORTS];
        top_->set_latency = run.field[Run::LATENCY];
        top_->set_interval_num = run.field[Run::INTERVAL_NUM];
        top_->set_interval_den = run.field[Run::INTERVAL_DEN];
        top_->set_mac_latency = run.field[Run::MAC_LATENCY];
        top_->set_scatter_ports = run.field[Run::SCATTER_PORTS];
        top_->set_rmw_cycles = run.field[Run::RMW_CYCLES];
        top_->reset = top_->configure = 1;
        tick();
        top_->configure = 0;
        tick();
        top_->reset = 0;
    }

    void load(const Run& run) {
        top_->load_activation = top_->load_output = 1;
        for (int word = 0; word < run.field[Run::WORDS]; ++word) {
            uint64_t activation = 0, output = 0;
            for (int v = 0; v < VECTOR; ++v) {
                activation |= static_cast<uint64_t>(run.activation[word * VECTOR + v] & 0xffff) << (16 * v);
                output |= static_cast<uint64_t>(static_cast<uint32_t>(run.output[word * VECTOR + v])) << (32 * v);
            }
            top_->host_address = word;
            top_->host_activation = activation;
            top_->host_output = output;
            tick();
        }
        top_->load_activation = top_->load_output = 0;
    }

    // Put group `group` on the inputs of the queue; `bundle` is the bundle it belongs to.
    void push(const Run& run, int group, int bundle) {
        uint32_t lanes = 0;
        for (int i = run.group_ptr[group]; i < run.group_ptr[group + 1]; ++i) {
            const int lane = run.lane[i];
            lanes |= 1u << lane;
            top_->push_address[lane] = run.address[i];
            top_->push_weight[lane] = run.weight[i] & 0xffff;
            top_->push_target[lane] = run.target[i];
        }
        top_->push_lanes = lanes;
        top_->push_last = group + 1 == run.bundle_end[bundle];
        const int first = run.scatter_ptr[bundle], count = run.scatter_ptr[bundle + 1] - first;
        top_->push_count = count;
        for (int i = 0; i < SUMS; i += 2) {
            const uint32_t low = i < count ? run.scatter_address[first + i] : 0;
            const uint32_t high = i + 1 < count ? run.scatter_address[first + i + 1] : 0;
            top_->push_list[i / 2] = high << 16 | low;
        }
    }

    Outcome step(const Run& run) {
        const int groups = run.field[Run::GROUPS], bundles = run.field[Run::BUNDLES];
        Outcome out;
        out.granted.assign(groups, -1);
        out.consumed.assign(groups, -1);
        out.start.assign(bundles, -1);
        out.end.assign(bundles, -1);
        constexpr int slots = SLOTS;
        std::vector<int> group_in_slot(slots, -1);
        int pushed = 0, bundle = 0, dispatched = 0, consumed = 0, begun = 0, finished = 0;
        const auto feed = [&] {
            top_->push = top_->push_ready && pushed < groups;
            if (top_->push) {
                push(run, pushed, bundle);
                bundle += ++pushed == run.bundle_end[bundle];
            }
        };
        for (int i = 0; i < 8; ++i) {  // fill the queue
            feed();
            tick();
        }
        top_->push = 0;
        top_->go = 1;
        tick();
        for (int cycle = 0; cycle < run.field[Run::MOST_CYCLES] && finished < bundles; ++cycle) {
            if (top_->dispatched && dispatched < groups) {
                group_in_slot[dispatched % slots] = dispatched;
                ++dispatched;
            }
            for (uint64_t done = top_->granted; done != 0; done &= done - 1) {
                const int group = group_in_slot[__builtin_ctzll(done)];
                if (group >= 0) out.granted[group] = cycle;
            }
            if (top_->consumed && consumed < groups) out.consumed[consumed++] = cycle;
            if (top_->begins && begun < bundles) out.start[begun++] = cycle;
            if (top_->finishes) out.end[finished++] = cycle + 1;
            ++out.cycles;
            feed();
            tick();
        }
        top_->go = top_->push = 0;
        out.overflow = top_->overflow;
        out.finished = finished == bundles;
        tick();
        return out;
    }

    void unload(const Run& run, Outcome& out) {
        for (int word = 0; word < run.field[Run::WORDS]; ++word) {
            top_->host_address = word;
            top_->eval();
            for (int v = 0; v < VECTOR; ++v) {
                out.output.push_back(static_cast<int32_t>(static_cast<uint64_t>(top_->host_output_word) >> (32 * v)));
            }
        }
    }
};

static void write(std::ofstream& file, const Ints& values) {
    file.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size() * sizeof(int32_t)));
}

int main(int argc, char** argv) {
    if (argc != 3) fail("usage: bench TRACE RESULT");
    Reader in(argv[1]);
    std::ofstream out(argv[2], std::ios::binary);
    Bench bench;
    while (!in.ended()) {
        const Outcome outcome = bench.play(Run(in));
        write(out, {outcome.cycles, outcome.overflow, outcome.finished});
        for (const Ints* values : {&outcome.granted, &outcome.consumed, &outcome.start, &outcome.end, &outcome.output}) {
            write(out, *values);
        }
    }
    out.flush();
    if (!out) fail(std::string(argv[2]) + " cannot be written");
    return 0;
}
