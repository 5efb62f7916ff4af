"use strict";
// Why a layer takes its time, in words: fills the sentences of layer_words.py by the same rules (a test compares them).
(() => {
  const UNITS = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
  const PREFIXES = [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"], [1, ""]];
  const SMALLEST_S = 1e-12, LARGEST_S = 1e6, SMALL_PART = 0.0005, LARGEST_PART = 1e4, MISSING = "-";
  const known = (value) => typeof value === "number";

  const threeDigits = (value) => String(Number(value.toPrecision(3)));
  const duration = (seconds) => {
    if (!known(seconds)) return MISSING;
    if (seconds === 0) return "0 s";
    if (seconds < SMALLEST_S) return "under 0.001 ns";
    if (seconds >= LARGEST_S) return "over 1000000 s";
    const [factor, unit] = UNITS.find(([each]) => seconds >= each) || UNITS[UNITS.length - 1];
    return `${threeDigits(seconds / factor)} ${unit}`;
  };
  const share = (fraction) => {
    if (!known(fraction)) return MISSING;
    if (fraction > 0 && fraction < SMALL_PART) return "under 0.1 %";
    if (fraction >= LARGEST_PART) return "over 1000000 %";
    const percent = fraction * 100;
    return `${percent.toFixed(percent >= 10 ? 0 : 1)} %`.replace(".0 %", " %");
  };
  const amount = (count) => {
    if (!known(count)) return MISSING;
    const [factor, prefix] = PREFIXES.find(([each]) => count >= each) || [1, ""];
    return `${threeDigits(count / factor)}${prefix}`;
  };
  const signed = (value, text) => (value < 0 ? `-${text}` : `+${text}`);
  const part = (value, whole) => (whole ? value / whole : null);

  // words: the data's sentences, causes and bounds. Returns the one function that the view needs.
  const layerWords = ({ words, causes, bounds, other_bound: otherBound, rules }) => {
    const own = (texts, name) => (Object.hasOwn(texts, name) ? texts[name] : undefined);
    const boundText = (bound) => own(bounds, bound) || otherBound;
    // in one pass: a name that looks like a gap is left as it is
    const fill = (name, values) => words[name].replace(/\{(\w+)\}/g, (gap, key) => String(values[key]));

    // Causes with their seconds, the largest first; null where the row does not tell them.
    const causesOf = (facts) => {
      if (!causes.every((cause) => known(facts[cause.column]))) return null;
      return causes.map((cause) => [cause, facts[cause.column]]).sort((one, other) => other[1] - one[1]);
    };
    const madeOf = (facts, seconds) => {
      const told = causesOf(facts);
      if (!told) return [fill("no_cause", {})];
      const [[cause, most], ...others] = told;
      if (most <= 0) return [];
      const lines = [fill("cause", { title: cause.title, time: duration(most), share: share(part(most, seconds)), text: cause.text })];
      const rest = others.filter(([, each]) => (part(each, seconds) || 0) >= SMALL_PART)
        .map(([other, each]) => `${other.title} ${duration(each)} (${share(part(each, seconds))})`);
      return rest.length ? [...lines, fill("rest", { rest: rest.join("; ") })] : lines;
    };
    // What the row calls its bound, and how it goes with the largest cause.
    const limitedBy = (facts) => {
      const { bound } = facts, told = causesOf(facts);
      if (!bound) return [];
      const values = { bound, text: boundText(bound) };
      const [cause, most] = told ? told[0] : [null, 0];
      if (!cause || most <= 0 || cause.name === bound) return [fill("bound", values)];
      const counted = told.filter(([each, seconds]) => (own(rules.counted, bound) || rules.memory).includes(each.name) && seconds);
      if (counted.reduce((sum, [, seconds]) => sum + seconds, 0) < most) {
        return [fill("bound_apart", { ...values, title: cause.title, cause: cause.text })];
      }
      return [fill("bound_counted", { ...values, title: counted.map(([each]) => each.title).join(" and ") })];
    };
    // Multiply-adds that are left and how fast each is; "" where the other variant's are the same or unknown.
    const against = (facts, beside, label) => {
      const { macs_effectual: macs, utilization: after } = facts;
      const { macs_effectual: otherMacs, utilization: before } = beside || {};
      if (!otherMacs || !after || !before) return "";
      const rest = macs / otherMacs, times = before / after;
      if (Math.abs(rest - 1) < rules.alike && Math.abs(times - 1) < rules.alike) return "";
      return fill("beside_use", {
        macs: amount(macs), part: share(rest), beside: label, times: threeDigits(times), after: share(after), before: share(before),
      });
    };
    // How many multiply-adds there are, how fast each is and why: against the other variant where they differ.
    const used = (facts, beside, label) => {
      const { kernel, bound, utilization } = facts, other = beside ? beside.kernel : "";
      const lines = [];
      if (facts.macs_effectual && known(utilization)) {
        const why = rules.work.includes(bound) && utilization < rules.low ? own(rules.kernels, kernel.split("-")[0]) : "";
        const told = { macs: amount(facts.macs_effectual), utilization: share(utilization), kernel, why };
        const line = against(facts, beside, label);
        if (line) lines.push(line, ...(why ? [fill("kernel_why", told)] : []));
        else lines.push(fill(why ? "use_kernel" : "use", told));
      }
      if (kernel && other && kernel !== other) lines.push(fill("beside_kernel", { kernel, beside: label, other }));
      return lines;
    };
    const stored = ({ kernel, encoding, density }) => {
      if (kernel && encoding && known(density)) return [fill("weights", { kernel, encoding, density: share(density) })];
      return kernel ? [fill("kernel", { kernel })] : [];
    };
    const noted = (facts) => [
      ...(known(facts.dense_kernel_s)
        ? [fill("dense_kernel", { time: duration(facts.dense_kernel_s) })] : []),
      ...(facts.reason ? [fill("reason", { reason: facts.reason.replace(/\.+$/, "") })] : []),
    ];
    const moved = (facts, beside, change) => {
      if (!causesOf(facts) || !causesOf(beside)) return [];
      return causes.map((cause) => [cause, facts[cause.column] - beside[cause.column]])
        .sort((one, other) => Math.abs(other[1]) - Math.abs(one[1]))
        .filter(([, move]) => Math.abs(move) > 0.01 * change)
        .map(([cause, move]) => `${cause.title} ${signed(move, duration(Math.abs(move)))}`);
    };
    const changed = (facts, beside, label) => {
      const after = facts.latency_s, before = beside ? beside.latency_s : null;
      if (!known(before) || !known(after)) return fill("absent", { beside: label });
      const change = after - before, size = Math.abs(change);
      if (size <= before * SMALL_PART) return fill("equal", { beside: label });
      const told = {
        beside: label, before: duration(before), change: signed(change, duration(size)),
        percent: before ? signed(change, share(size / before)) : MISSING,
      };
      const moves = moved(facts, beside, size);
      return moves.length ? fill("changes", { ...told, causes: moves.join("; ") }) : fill("change", told);
    };
    const sure = (facts, seconds) => {
      const { low_ratio: low, high_ratio: high } = facts;
      const validated = facts.validated || "not validated";
      const line = known(low) && known(high)
        ? fill("band", { low: duration(seconds * low), high: duration(seconds * high), validated })
        : fill("no_band", { validated });
      return facts.extrapolated ? [line, fill("extrapolated", {})] : [line];
    };

    // place: {layer, device, total_s, rank, count}; no sentence compares where besideLabel is empty.
    const sentences = (facts, place, beside, besideLabel) => {
      const seconds = facts.latency_s || 0;
      const time = fill("time", {
        ...place, time: duration(seconds), total: duration(place.total_s), share: share(part(seconds, place.total_s)),
      });
      const change = besideLabel ? [changed(facts, beside, besideLabel)] : [];
      const use = used(facts, besideLabel ? beside : null, besideLabel);
      const made = [...limitedBy(facts), ...madeOf(facts, seconds)];
      return [time, ...change, ...use, ...made, ...stored(facts), ...noted(facts), ...sure(facts, seconds)];
    };
    return { sentences, causesOf };
  };

  Object.assign(Gatherline, { layerWords, duration, share, amount, signed });
})();
