// The points of all sets, which of them are kept by the ranges, and which one is chosen.
(() => {
  const { prefixOf, number } = edgeplan.units;

  // `tree` is what edgeplan/report/fronts.py wrote; points are numbered through all sets.
  function makePoints(tree) {
    const objectives = tree.objectives.map((objective, k) => {
      const columns = tree.sets.map((set) => set.values[k]);
      const all = columns.flat();
      const least = all.reduce((a, b) => Math.min(a, b), Infinity);
      const most = all.reduce((a, b) => Math.max(a, b), -Infinity);
      const [factor, prefix] = prefixOf(Math.max(Math.abs(least), Math.abs(most)) || 1);
      return {
        ...objective, column: all, least, most, factor, shown: prefix + objective.unit,
        label: `${objective.name} (${prefix}${objective.unit})`,
      };
    });
    const count = objectives[0].column.length;
    const sets = [];
    let begin = 0;
    for (const set of tree.sets) {
      const size = set.values[0].length;
      sets.push({ ...set, number: sets.length, begin, end: begin + size });
      begin += size;
    }
    const setOf = new Array(count);
    for (const set of sets) for (let i = set.begin; i < set.end; i++) setOf[i] = set;
    const marks = new Map();
    for (const mark of tree.marks) marks.set(mark.point, [...(marks.get(mark.point) || []), mark]);

    const listeners = [];
    const self = {
      objectives, sets, setOf, count, marks,
      ranges: objectives.map(() => null), // in SI units: [from, to]
      kept: new Uint8Array(count).fill(1),
      keptCount: count,
      chosen: null,
      several: sets.filter((set) => set.kind !== "baselines").length > 1,

      // Calls `listener` with "ranges" or "chosen" after a change.
      onChange(listener) {
        listeners.push(listener);
      },

      setRanges(ranges) {
        if (JSON.stringify(ranges) === JSON.stringify(self.ranges)) return;
        self.ranges = ranges;
        self.keptCount = 0;
        for (let i = 0; i < count; i++) {
          const inside = ranges.every((range, k) => {
            if (!range) return true;
            // What an input shows is rounded: a point on the edge counts as within.
            const room = 1e-9 * Math.max(Math.abs(range[0]), Math.abs(range[1]));
            const value = objectives[k].column[i];
            return value >= range[0] - room && value <= range[1] + room;
          });
          self.kept[i] = inside ? 1 : 0;
          self.keptCount += inside ? 1 : 0;
        }
        listeners.forEach((listener) => listener("ranges"));
      },

      choose(index) {
        if (index === self.chosen) return;
        self.chosen = index;
        listeners.forEach((listener) => listener("chosen"));
      },

      // A point as people call it: "12" of one front, "B 12" of several, a baseline by its name.
      nameOf(index) {
        const set = setOf[index];
        const own = index - set.begin;
        if (set.kind === "baselines") return set.labels[own];
        const label = set.labels?.[own] || String(own);
        return self.several ? `${set.name} ${label}` : label;
      },

      titleOf(index) {
        return setOf[index].kind === "baselines" ? `Baseline ${self.nameOf(index)}` : `Point ${self.nameOf(index)}`;
      },

      show(k, value, digits = 4) {
        return edgeplan.units.si(value, objectives[k].unit, digits);
      },

      inUnits(k, value) {
        return number(value / objectives[k].factor, 6);
      },

      words(index) {
        const values = objectives.map((o, k) => `${o.name} ${self.show(k, o.column[index])}`);
        return `${self.titleOf(index)}: ${values.join(", ")}`;
      },

      routesOf(index) {
        const set = setOf[index];
        if (!set.plans) return null;
        const own = index - set.begin;
        return set.plans.streams.map((name, s) => ({ name, ways: set.plans.ways[s][set.plans.taken[s][own]] }));
      },

      // A plan on one line: the devices that each stream passes, streams alike together.
      planWords(index) {
        const routes = self.routesOf(index);
        if (!routes) return "";
        const devices = setOf[index].plans.devices;
        const passed = new Map();
        for (const { ways } of routes) {
          const path = ways.map((way) => way.stages.map(([device]) => devices[device]).join(" > ")).join(" or ");
          passed.set(path, (passed.get(path) || 0) + 1);
        }
        const ordered = [...passed].sort((a, b) => b[1] - a[1]);
        return ordered.map(([path, times]) => (times > 1 ? `${times} × ${path}` : path)).join(", ");
      },
    };
    return self;
  }

  edgeplan.makePoints = makePoints;
})();
