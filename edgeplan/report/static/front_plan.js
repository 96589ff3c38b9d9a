// The plan of the chosen point: values, drawing, loads, and where its latency comes from.
(() => {
  const { si, percent, bytes } = edgeplan.units;

  function table(caption, heads, rows) {
    const { element } = edgeplan;
    const made = element("table", {}, element("caption", { textContent: caption }));
    const head = element("tr");
    heads.forEach((words) => head.append(element("th", { scope: "col", textContent: words.replace(/^>/, ""), className: words.startsWith(">") ? "number" : "" })));
    made.append(element("thead", {}, head));
    const body = element("tbody");
    for (const row of rows) {
      const line = element("tr");
      row.forEach((cell, number) => {
        const made = element(number ? "td" : "th", { className: heads[number].startsWith(">") ? "number" : "" });
        if (!number) made.scope = "row";
        made.append(cell);
        line.append(made);
      });
      body.append(line);
    }
    made.append(body);
    return element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption }, made);
  }

  function layers(first, stop) {
    return stop - first > 1 ? `layers ${first}–${stop - 1}` : `layer ${first}`;
  }

  // -- the steps of a request ---------------------------------------------------------------

  // Every step of a stream's route in order: {kind, words, seconds}.
  function steps(points, index, stream, way) {
    const { plans, begin } = points.setOf[index];
    const own = index - begin;
    const name = (device) => plans.devices[device];
    const loads = plans.loads || {};
    const deviceWait = (device) => loads.device_waits?.[device]?.[own] || 0;
    const linkWait = (link) => (link < 0 ? 0 : loads.link_waits?.[link]?.[own] || 0);
    const found = [];
    const add = (kind, words, seconds) => seconds > 0 && found.push({ kind, words, seconds });
    const move = ([from, to, size, seconds, link]) => {
      add("wait", `wait for ${name(from)} → ${name(to)}`, linkWait(link));
      add("transfer", `${name(from)} → ${name(to)}, ${bytes(size)}`, seconds);
    };
    add("wait", `gather a batch of ${way.batch}`, way.fill);
    for (const [device, first, stop, seconds, moves] of way.stages) {
      moves.forEach(move);
      add("wait", `wait for ${name(device)}`, deviceWait(device));
      add("compute", `${name(device)}, ${layers(first, stop)}`, seconds);
    }
    way.back.forEach(move);
    return found;
  }

  function latency(points, index, routes) {
    return routes.map(({ name, ways }, s) => {
      const each = ways.map((way) => ({ way, steps: steps(points, index, s, way) }));
      const seconds = each.reduce((sum, { way, steps: found }) => sum + way.share * found.reduce((a, step) => a + step.seconds, 0), 0);
      return { name, each, seconds };
    });
  }

  // -- the drawing --------------------------------------------------------------------------

  let drawings = null; // thousands: unpacked after all else can be used

  // A figure that is filled once the drawings are there: HTML that drawing.svg.j2 made.
  function drawing(points, index) {
    const { number, begin } = points.setOf[index];
    const figure = edgeplan.element("figure", { className: "chart" });
    drawings ??= edgeplan.data("drawings");
    drawings.then((sets) => {
      const { lines, plans } = sets[number];
      figure.innerHTML = plans[index - begin].map((line) => lines[line]).join("\n");
    });
    return figure;
  }

  // -- parts of the panel -------------------------------------------------------------------

  function values(points, index) {
    const rows = points.objectives.map((o, k) => {
      const above = o.least > 0 ? (o.column[index] - o.least) / o.least : null;
      const words = o.column[index] === o.least ? "the least" : above === null ? "" : `+${percent(above)}`;
      return [o.name, points.show(k, o.column[index]), words];
    });
    return table("Values (predicted)", ["objective", ">value", ">above the least"], rows);
  }

  function loadRows(points, index) {
    const { plans, begin } = points.setOf[index];
    const own = index - begin;
    const { problem, loads } = plans;
    const rows = [];
    plans.devices.forEach((name, d) => {
      const about = problem.devices[d];
      const memory = loads.memory[d]?.[own] || 0;
      const copies = loads.replicas[d]?.[own] ?? 1;
      rows.push({
        name: copies > 1 ? `${name} (${copies} copies)` : name, busy: loads.devices[d]?.[own] || 0, cap: about.cap,
        memory, room: about.memory,
      });
    });
    problem.links.forEach((link, l) => {
      const busy = loads.links[l]?.[own] || 0;
      if (busy > 0) rows.push({ name: `${link.from} → ${link.to}`, busy, cap: link.cap, memory: null, room: null });
    });
    return rows;
  }

  // A bar in a table's cell, as blocks.css has it: [class, begin, length] of its parts, a mark.
  function bar(parts, mark = null) {
    const { element } = edgeplan;
    const rail = element("span", { className: "bar", ariaHidden: "true" });
    for (const [kind, begin, length] of parts) {
      const part = element("span", { className: `part ${kind}` });
      part.style.left = `${100 * begin}%`;
      part.style.width = `${100 * Math.min(1 - begin, length)}%`;
      rail.append(part);
    }
    if (mark !== null && mark < 1) {
      const line = element("span", { className: "mark" });
      line.style.left = `${100 * mark}%`;
      rail.append(line);
    }
    return rail;
  }

  function filled(share, cap, words) {
    const kind = cap !== null && share > cap * (1 + 1e-6) ? "over" : "busy";
    return edgeplan.element("span", {}, bar([[kind, 0, share]], cap), words);
  }

  function loads(points, index) {
    const rows = loadRows(points, index).map(({ name, busy, cap, memory, room }) => [
      name,
      filled(busy, cap > 0 ? cap : null, percent(busy)),
      memory === null ? "" : room ? filled(memory / room, 1, `${bytes(memory)} of ${bytes(room)}`) : bytes(memory),
    ]);
    const found = table("Busy share and memory (predicted; the line in a bar is the cap)", ["resource", "busy", "memory"], rows);
    found.classList.add("loads");
    return found;
  }

  // Steps one after the other, from the top: bars that begin where the last ended.
  function waterfall({ name, each }) {
    const { element } = edgeplan;
    const whole = Math.max(...each.map(({ steps: found }) => found.reduce((sum, step) => sum + step.seconds, 0)));
    const rows = [];
    for (const { way, steps: found } of each) {
      let at = 0;
      const share = each.length > 1 ? `${percent(way.share)} of requests: ` : "";
      for (const { kind, words, seconds } of found) {
        rows.push([share + words, bar([[kind, at / whole, seconds / whole]]), si(seconds, "s", 3)]);
        at += seconds;
      }
    }
    const legend = element("ul", { className: "bar-legend" }, ...["compute", "transfer", "wait"].map((kind) => {
      return element("li", {}, element("span", { className: `swatch ${kind}` }), kind);
    }));
    const found = table(`A request of ${name}, step by step (mean, predicted)`, ["step", "from first to last", ">time"], rows);
    found.classList.add("waterfall");
    return [legend, found];
  }

  // -- the panel ----------------------------------------------------------------------------

  function startPlan(points) {
    const { element } = edgeplan;
    const title = document.getElementById("plan-title");
    const body = document.getElementById("plan-body");
    const falls = element("div");
    let shownStream = "";

    function streamChoice(streams, redraw) {
      const select = element("select", { id: "stream" });
      streams.forEach(({ name, seconds }) => select.append(element("option", { value: name, textContent: `${name} (${si(seconds, "s", 3)})` })));
      if (streams.some((stream) => stream.name === shownStream)) select.value = shownStream;
      shownStream = select.value;
      select.addEventListener("change", () => {
        shownStream = select.value;
        redraw();
      });
      return element("label", {}, "Stream ", select);
    }

    function drawWaterfall(streams) {
      falls.replaceChildren(...waterfall(streams.find((stream) => stream.name === shownStream) || streams[0]));
    }

    function stageTable(index, routes) {
      const { plans, begin } = points.setOf[index];
      const rows = [];
      routes.forEach(({ name, ways }, s) => {
        const network = plans.problem?.networks[plans.problem.streams[s].network];
        for (const way of ways) {
          const share = ways.length > 1 ? ` (${percent(way.share)})` : "";
          const batch = way.batch > 1 ? `, batches of ${way.batch}` : "";
          for (const [device, first, stop, seconds] of way.stages) {
            const known = network ? `${network.layers[first]}${stop - first > 1 ? ` … ${network.layers[stop - 1]}` : ""}` : "";
            const row = [`${name}${share}${batch}`, plans.devices[device], layers(first, stop).replace(/^layers? /, "")];
            rows.push(network ? [...row, known, si(seconds, "s", 3)] : row);
          }
        }
      });
      const heads = ["stream", "device", ">layers", "from … to", ">compute"];
      return table("Stages", plans.problem ? heads : heads.slice(0, 3), rows);
    }

    function details(index) {
      const { plans, begin } = points.setOf[index];
      const routes = points.routesOf(index);
      const parts = [];
      if (!routes) return [element("p", { className: "note", textContent: "This point came without a plan." })];
      parts.push(element("h4", { textContent: "Where the stages run" }), drawing(points, index));
      if (plans.problem) {
        const streams = latency(points, index, routes);
        const heading = element("h4", { textContent: "Where the latency comes from (predicted)" });
        parts.push(heading);
        if (streams.length > 1) parts.push(streamChoice(streams, () => drawWaterfall(streams)));
        parts.push(falls, loads(points, index));
        drawWaterfall(streams);
        const limits = streams.map((stream, s) => [stream, plans.problem.streams[s].deadline]).filter(([, limit]) => limit);
        if (limits.length) {
          parts.push(table("Deadlines (mean latency, predicted)", ["stream", ">latency", ">deadline", ">left"], limits.map(([stream, limit]) => [
            stream.name, si(stream.seconds, "s", 3), si(limit, "s", 3), si(limit - stream.seconds, "s", 3)])));
        }
        const broken = plans.loads.broken[index - begin];
        if (broken) parts.unshift(element("p", { className: "warning", textContent: `Breaks a limit of the instance at hand: ${broken.join("; ")}` }));
      } else {
        parts.push(element("p", { className: "note", textContent: "The instance is not at hand, so times and loads are not known: --instance names it." }));
      }
      const stages = element("details", {}, element("summary", { textContent: "All stages" }), stageTable(index, routes));
      parts.push(stages);
      return parts;
    }

    function show() {
      const index = points.chosen;
      title.textContent = points.titleOf(index);
      const set = points.setOf[index];
      const marks = (points.marks.get(index) || []).map((mark) => (mark.meaning ? `${mark.meaning} (score ${edgeplan.units.number(mark.score, 3)})` : mark.words));
      const about = [];
      if (marks.length) about.push(element("p", { className: "marks", textContent: marks.join("; ") }));
      if (points.several && set.kind !== "baselines") about.push(element("p", { className: "note", textContent: `of ${set.title}` }));
      const waits = set.plans?.loads?.basis?.[index - set.begin];
      if (waits) about.push(element("p", { className: "note", textContent: `Waits are ${[...new Set(waits)].join(" and ")}.` }));
      body.replaceChildren(...about, values(points, index), ...details(index));
    }

    points.onChange((what) => what === "chosen" && points.chosen !== null && show());
  }

  edgeplan.startPlan = startPlan;
})();
