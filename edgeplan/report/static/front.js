// The page of a front: puts the parts together.
(async () => {
  const { element } = edgeplan;
  const points = edgeplan.makePoints(await edgeplan.data("front"));
  edgeplan.points = points;

  // Buttons that choose what has a name.
  function startPicks() {
    const place = document.getElementById("picks");
    const named = [...points.marks].flatMap(([index, marks]) => marks.map((mark) => [index, mark.words]));
    for (const [index, words] of named) {
      const set = points.several ? `${points.setOf[index].name}: ` : "";
      const button = element("button", { type: "button", textContent: set + words });
      button.addEventListener("click", () => points.choose(index));
      place.append(button);
    }
  }

  // Two numbers for each objective: the same ranges as the lines', for keyboard and touch.
  function startRanges() {
    const form = document.getElementById("ranges");
    const inputs = points.objectives.map((o, k) => {
      const input = (words) => element("input", { type: "number", step: "any", inputMode: "decimal", ariaLabel: `${words} ${o.label}` });
      const pair = [input("least"), input("most")];
      form.append(element("fieldset", {}, element("legend", { textContent: o.label }), pair[0], element("span", { textContent: "to" }), pair[1]));
      pair.forEach((each) => each.addEventListener("change", read));
      return pair;
    });
    const clear = element("button", { type: "button", textContent: "Keep all" });
    clear.addEventListener("click", () => points.setRanges(points.objectives.map(() => null)));
    form.append(clear);

    function read() {
      points.setRanges(points.objectives.map((o, k) => {
        const [low, high] = inputs[k].map((each) => (each.value === "" ? null : Number(each.value) * o.factor));
        return low === null && high === null ? null : [low ?? o.least, high ?? o.most];
      }));
    }

    function write() {
      points.objectives.forEach((o, k) => {
        const range = points.ranges[k] || ["", ""];
        inputs[k].forEach((each, side) => {
          each.value = range[side] === "" ? "" : points.inUnits(k, range[side]);
          each.placeholder = points.inUnits(k, side ? o.most : o.least);
        });
      });
      clear.disabled = points.ranges.every((range) => !range);
    }

    form.addEventListener("submit", (event) => event.preventDefault());
    points.onChange((what) => what === "ranges" && write());
    write();
  }

  // Says what was chosen to those who do not see the panel.
  function startWords() {
    points.onChange((what) => {
      if (what === "chosen") {
        const words = points.words(points.chosen);
        document.getElementById("announce").textContent = words;
        document.getElementById("chosen-words").textContent = words;
        document.getElementById("chosen").hidden = false;
      } else {
        document.getElementById("announce").textContent = `${points.keptCount} of ${points.count} points are within the ranges`;
      }
    });
  }

  startPicks();
  startRanges();
  startWords();
  edgeplan.startTable(points);
  edgeplan.startPlan(points);
  edgeplan.startCharts(points);
  const knee = [...points.marks].find(([, marks]) => marks.some((mark) => mark.kind === "knee"));
  points.choose(knee ? knee[0] : 0);
  performance.mark("edgeplan-ready");
  document.documentElement.dataset.ready = "yes";
})();
