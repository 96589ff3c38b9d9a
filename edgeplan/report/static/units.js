// Numbers for people: digits and a unit, as edgeplan/cli/units.py has them.
"use strict";
const edgeplan = {};

(() => {
  const PREFIXES = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
  const MISSING = "–";

  // A value in SI units with the prefix that shows it best: si(0.0123, "s") is "12.3 ms".
  function si(value, unit, digits = 4) {
    if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
    if (!Number.isFinite(value)) return "∞";
    if (value === 0) return `0 ${unit}`;
    const [factor, prefix] = prefixOf(value);
    return `${fixed(value / factor, digits)} ${prefix}${unit}`;
  }

  function prefixOf(value) {
    const size = Math.abs(value) * 1.00005;
    return PREFIXES.find(([factor]) => size >= factor) || PREFIXES[PREFIXES.length - 1];
  }

  function number(value, digits = 4) {
    return String(Number(value.toPrecision(digits)));
  }

  // With all its digits, so that numbers below each other line up: "20.0", not "20".
  function fixed(value, digits) {
    const text = value.toPrecision(digits);
    return value === 0 || text.includes("e") ? String(Number(text)) : text;
  }

  function percent(value) {
    if (value === null || value === undefined) return MISSING;
    return value !== 0 && Math.abs(value) < 0.0001 ? "<0.01 %" : `${number(value * 100, 3)} %`;
  }

  function bytes(value) {
    if (value === null || value === undefined) return MISSING;
    return value < 1000 ? `${Math.round(value)} B` : si(value, "B", 3);
  }

  function count(value) {
    return value.toLocaleString("en-US");
  }

  edgeplan.units = { si, prefixOf, number, fixed, percent, bytes, count };
})();
